//! Carries plans out on Linux: finds what the host offers, launches, and follows a run to its end.
//!
//! The order of a run: [`probe`] finds the facts from which a plan is compiled; [`launch`] carries the plan's operations
//! out, those of the supervisor in this process and those of the stage in a new one; [`Running::wait`] follows the
//! command, answers the system-call filter's questions, passes the streams on and watches the limits.
//!
//! `unsafe` is confined to the files of `sys`.

#![warn(unsafe_code)]

pub mod denials;
#[cfg(feature = "fault-injection")]
pub mod fault;
#[cfg(not(feature = "fault-injection"))]
#[path = "fault_absent.rs"]
mod fault;
pub mod freeze;
pub mod limits;
pub mod observe;
mod probe;
pub mod relay;
mod removal;
pub mod seccomp;
pub mod stage;
mod supervisor;
mod sys;

pub use probe::{ProbeError, cgroups, probe};
pub use stage::spawner::message::{FromSpawner, StreamKind};
pub use supervisor::{
    AttachError, Attached, CommandError, CommandService, Finished, GateParts, Launch, LaunchError, Launching,
    Namespaces, News, Passed, Peer, PeerNews, RunError, Running, ServiceError, SocketService, Watch, detach, launch,
};
#[cfg(target_env = "musl")]
pub use sys::allocator::Allocator;
