//! Outside: launches a plan, follows the run to its end, and leaves nothing behind.

mod bounds;
mod error;
mod gate;
mod launch;
mod namespaces;
mod patience;
mod running;
mod service;
mod terminal;

pub use error::{LaunchError, RunError};
pub use gate::GateParts;
pub use launch::{Launch, Launching, launch};
pub use namespaces::Namespaces;
pub use running::{Finished, Running, Watch};
pub use service::{ServiceError, SocketService};
