//! Sandboxes that last.

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
