//! Sandboxes that last: a workspace whose writes are kept apart until they are applied, with checkpoints and a record.
//!
//! [`Sandboxes`] are all of a user, [`Sandbox`] is one. What runs in it is supervised by a `stockade` program of this version,
//! which is started when it is needed, so that any process may call this, also one with several threads. While a [`Sandbox`]
//! that has run a command lives, so does its supervisor.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use stockade::sandbox::applying::{Options as ApplyOptions, Selection};
//! use stockade::sandbox::{Exec, Options, Sandboxes};
//! use stockade::{Job, stdio};
//!
//! # fn example(job: &Job<'_>, environment: Vec<(std::ffi::OsString, std::ffi::OsString)>)
//! #     -> Result<(), Box<dyn std::error::Error>> {
//! let all = Sandboxes::new(job.state, Path::new("/usr/local/bin/stockade"), environment)?;
//! let mut sandbox = all.create(Some("fix"), job, &Options::default())?;
//! let test = Exec { command: vec!["make".into(), "test".into()], ..Exec::default() };
//! let before = sandbox.checkpoint(None)?;
//! if sandbox.exec(&test, &stdio::inherited()?)?.outcome.exit_status() != 0 {
//!     sandbox.restore(&before.name)?;
//! }
//! for change in sandbox.changes(None)?.list() {
//!     println!("{:?} {}", change.status, change.path.display());
//! }
//! let application = sandbox.apply(&Selection::Everything, &ApplyOptions::default(), &mut |_progress| ())?;
//! for conflict in &application.applied.conflicts {
//!     println!("{} was not applied: {}", conflict.path.display(), conflict.reason);
//! }
//! # Ok(())
//! # }
//! ```

mod apply;
mod ask;
mod audit;
mod before;
mod changes;
mod control;
mod conversation;
mod detached;
mod disk;
mod exec;
mod handle;
mod housekeeper;
mod inferred;
mod keep;
mod recorder;
mod review;
mod settings;
mod start;
mod stop;
mod versions;

pub use apply::Application;
pub use ask::Status;
pub use audit::{Audit, AuditedLayer};
pub use changes::{Changes, Look};
pub use detached::{Log, attend};
pub use exec::{Exec, Executed};
pub use handle::{Listed, Sandbox, Sandboxes};
pub use keep::keep;
pub use review::Reviewed;
pub use settings::Options;
pub use stockade_workspace::apply as applying;
pub use stockade_workspace::layers;
pub use stockade_workspace::record;
pub use stockade_workspace::sandboxes::{
    Branch, Checkpoint, Difference, Label, Prune, Pruned, SandboxError, Summary, Tidied, Verified,
};
pub use versions::Restored;
