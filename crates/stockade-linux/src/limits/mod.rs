//! Bounds on what a run may use, by the strongest mechanism that the plan chose.
//!
//! | mechanism | here |
//! |---|---|
//! | control groups, version 1 and 2 | [`Cgroup`] |
//! | a scope of the user's systemd | [`Scope`] |
//! | limits of each process, processors | [`rlimits`], applied by the stage |
//! | looking at intervals | [`Sampler`] |

mod error;
mod group;
mod hits;
mod janitor;
pub(crate) mod kernel_file;
mod members;
pub mod rlimits;
pub(crate) mod sampler;
mod settings;
mod site;
mod systemd;

pub use error::LimitError;
pub use group::{Cgroup, join};
pub use hits::{Hits, verdict};
pub use sampler::descriptors::nameless;
pub use sampler::{Exceeded, Processes, Sampler, Watched};
pub use settings::{Bound, Version};
pub use systemd::{Scope, ScopeError};
