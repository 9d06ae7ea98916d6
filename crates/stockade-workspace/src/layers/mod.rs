//! What a sandbox changed: overlayfs layers, read without mounting anything, compared with the host's workspace.
//!
//! A copy-on-write workspace keeps its writes in layers, the newest on top, over the workspace that they never touch. What
//! stands in them is a private language of overlayfs: whiteouts, opaque directories, directories merged over several layers
//! (`Documentation/filesystems/overlayfs.rst` of the kernel). A [`Stack`] speaks it, and [`changes()`] says in plain terms
//! what differs from the host.
//!
//! The layers' content was made by code that nobody has read. Names may be anything, trees deeper than a path may be long, a
//! file larger than the disk: everything here goes by descriptors, name by name, and is bounded. No link is followed.

mod changes;
mod compare;
pub(crate) mod content;
pub(crate) mod copy;
pub(crate) mod descent;
mod entry;
mod error;
mod merge;
pub(crate) mod names;
pub(crate) mod optional_path;
mod quote;
pub(crate) mod reach;
mod reader;
mod remarks;
mod renames;
mod sides;
mod stack;
mod stat;
mod text;
pub(crate) mod union;
pub(crate) mod xattrs;

pub use changes::{Change, Status, changes};
pub use entry::{Entry, Kind};
pub use error::LayerError;
pub use merge::merge;
pub(crate) use reader::Reader;
pub use renames::find_renames;
pub use sides::Untold;
pub use stack::{Stack, open_layer};
pub use stat::{Amount, FileStat, Totals, stat};
pub use text::unified;
