//! Outside: launches a plan, follows the run to its end, and leaves nothing behind.

mod attached;
mod bounds;
mod commands;
mod detach;
mod error;
mod gate;
mod heirs;
mod job;
mod launch;
mod namespaces;
mod patience;
mod running;
mod service;
mod terminal;

pub use attached::{AttachError, Attached, Passed, Peer, PeerNews};
pub use commands::{CommandError, CommandService, News};
pub use detach::detach;
pub use error::{LaunchError, RunError};
pub use gate::GateParts;
pub use launch::{Launch, Launching, launch};
pub use namespaces::Namespaces;
pub use running::{Finished, Running, Watch};
pub use service::{ServiceError, SocketService};
