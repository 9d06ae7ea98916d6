//! Why a gate could not be started.

use std::io;
use std::net::SocketAddr;

/// Why a gate could not be started.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The process would be killed when a connection breaks.
    #[error(
        "the process does not ignore SIGPIPE, so that a broken connection would end it: ignore the signal before starting"
    )]
    BrokenPipeSignal,
    /// Whether the process ignores `SIGPIPE` could not be read.
    #[error("cannot read /proc/thread-self/status: {0}; mount /proc")]
    Status(#[source] io::Error),
    /// No descriptor was left for the queue of events, or for the spare one.
    #[error("cannot make an eventfd: {0}; raise the limit on open files")]
    Eventfd(#[source] io::Error),
    /// A published port is taken on the host, or must not be bound.
    #[error("cannot publish a port at {address}: {source}; {}", remedy(source))]
    Publish {
        /// Where.
        address: SocketAddr,
        /// What `bind(2)` says.
        source: io::Error,
    },
    /// A socket of the name server cannot be served.
    #[error("cannot serve a socket of the name server: {0}")]
    NameServer(#[source] io::Error),
    /// The event loop could not be made.
    #[error("cannot start the gate's event loop: {0}; raise the limit on open files")]
    Runtime(#[source] io::Error),
    /// The system refused a thread.
    #[error("cannot start a thread for the gate: {0}; raise the limit on processes")]
    Thread(#[source] io::Error),
}

/// What to do about a port that cannot be bound.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "publish a higher port: low ones are for root only (net.ipv4.ip_unprivileged_port_start)"
        }
        _ => "end the program that listens there, or publish another port",
    }
}
