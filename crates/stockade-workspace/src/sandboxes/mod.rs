//! Sandboxes that last: everything about them that happens on disk while no program of theirs needs to run.
//!
//! A sandbox is a folder of the state directory. Programs in it see the host's workspace with a directory `upper` over it,
//! by overlayfs, which takes their writes. A checkpoint turns `upper` into a layer that never changes again, and a sandbox's
//! state is a list of such layers with an `upper` on top, so that going back, and going on from one state in several
//! sandboxes, are matters of lists. Nothing is mounted here.
//!
//! [`Sandboxes`] are all of a state directory, [`Sandbox`] is one, and [`Locked`] is one that nobody else changes meanwhile.
//! Of the modules, `folder`, `home`, `manifest` and `pending` are how things lie on disk; `locked` carries changes out so
//! that an interruption at any point is completed or undone; `seal` and `mirror` make layers, when programs run not and when
//! they do; `take`, `restore`, `fork` and `compact` are what people ask for; `bases` remember what the host had.
//!
//! What survives: of a process that is killed at any point, everything that it reported, and a state that is the one before
//! or the one after; [`Sandboxes::tidy`] or the next change completes or undoes the rest. Of a failure of power, some state
//! that was there within the last seconds, whole but for content of files that the kernel had not written back yet;
//! [`Sandbox::settle`] waits until nothing can be lost. A sandbox that was only just made may be gone.

mod bases;
mod checkpoint;
mod collection;
mod compact;
mod create;
mod error;
mod every;
mod filesystem;
mod folder;
mod fork;
mod garbage;
mod home;
mod id;
mod listing;
mod locked;
mod manifest;
mod mirror;
mod name;
mod pending;
mod preserve;
mod prune;
mod removal;
mod remove;
mod restore;
mod sandbox;
mod seal;
mod supervisor;
mod take;
mod tidy;
mod upper;
mod usage;
mod window;
mod workspace;

pub use bases::{Bases, Seen};
pub use checkpoint::{Branch, Checkpoint};
pub use collection::{Listed, Sandboxes, Summary};
pub use create::New;
pub use error::{NotOwn, SandboxError};
pub use fork::At;
pub use id::{Id, NoId};
pub use listing::{Difference, Verified};
pub use locked::Locked;
pub use mirror::Unseen;
pub use name::Label;
pub use preserve::Preserving;
pub use prune::{Prune, Pruned};
pub use restore::Restored;
pub use sandbox::Sandbox;
pub use supervisor::Supervisor;
pub use take::{Programs, Take, Taken};
pub use tidy::Tidied;
pub use usage::{Amount, Usage};
pub use workspace::Workspace;
