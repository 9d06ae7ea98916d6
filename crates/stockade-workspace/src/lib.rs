//! What is done with the files of a workspace while no process needs to run: its protected files, and sandboxes that last.
//!
//! Protected files are those that a person's own tools execute later, and that sandboxed code must not plant. The order of
//! these modules is the order of a run: [`Before`] is what was there when it started, a [`Journal`] says that it runs, a
//! [`Watch`] sees what appears meanwhile, [`sweep`] looks once more at the end, a [`Quarantine`] keeps what was found, and
//! [`recover`] does the sweep of a run whose supervisor was killed. Nothing is deleted by them.
//!
//! Of sandboxes that last, [`sandboxes`] are the folders, checkpoints and forks, [`layers`] reads what one changed, [`apply`]
//! brings it to the workspace, and [`record`] is the chain of hashes that says what happened in it.
//!
//! Everything here works on descriptors of directories, name by name, and never follows a symbolic link below the
//! workspace: its content was made by code that nobody has read, and may change while it is looked at.

#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

pub mod apply;
mod before;
mod directory;
mod error;
#[cfg(feature = "fault-injection")]
pub mod fault;
#[cfg(not(feature = "fault-injection"))]
#[path = "fault_absent.rs"]
mod fault;
mod git;
mod git_config;
mod git_state;
mod identity;
mod journal;
pub mod layers;
mod leads;
mod listing;
mod originals;
mod os_text;
mod quarantine;
pub mod record;
mod replaced;
pub mod sandboxes;
mod state;
mod sweep;
mod swept;
mod trail;
mod walk;
mod watch;

pub use before::{Before, scan};
pub use error::{JournalError, QuarantineError, ScanError, StateError, WatchError};
pub use identity::{Identity, Known};
pub use journal::{Journal, Recovered, recover};
pub use quarantine::{Item, Kept, Quarantine, Reason, Restored, list, restore};
pub use state::StateDirectory;
pub use sweep::sweep;
pub use swept::{Failure, Finding, Hold, Left, Options, Swept};
pub use watch::Watch;
