//! What this machine can enforce.

mod cgroups;
mod git_identity;
mod host;
mod listing;

pub use cgroups::cgroups;
pub(crate) use cgroups::group_of;
pub use host::{ProbeError, probe};
pub(crate) use host::{read_start, switches};
