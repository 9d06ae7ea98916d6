//! What the supervisor holds of a gate's inside.

use std::os::fd::OwnedFd;

use super::service::SocketService;
use crate::observe::undelivered::Undelivered;

/// The inside of a gate, for whoever runs the gate.
#[derive(Debug)]
pub struct GateParts {
    /// Makes sockets inside.
    pub service: SocketService,
    /// What the name server listens at, in the order of the plan's addresses: for each a UDP socket and a TCP socket that
    /// listens. They do not block. Addresses of a family that the sandbox has not are left out.
    pub name_server: Vec<OwnedFd>,
    /// Records datagrams that reach nobody; to be watched while the command runs. One for each family that the sandbox
    /// has, so two mean that it has IPv6.
    pub undelivered: Vec<Undelivered>,
}
