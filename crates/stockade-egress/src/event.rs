//! What the gate tells of: connections that have ended, attempts that were refused, and its own end.
//!
//! Events wait in a queue of bounded length until the supervisor takes them; a descriptor becomes readable when there are
//! some, a few milliseconds later where they are nothing but connections that have ended. When the supervisor does not keep up,
//! the newest are counted instead of kept, so that hostile code that causes events as fast as it can costs a counter.

mod queue;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::inspect::{Protocol, Refusal};
pub(crate) use queue::Queue;

/// Longest name of a program that an event carries, in characters.
const LONGEST_COMMAND: usize = 64;

/// A process inside, as far as the supervisor knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// The process id, as the host counts.
    pub pid: u32,
    /// The name of its program; written by the process itself, so that it may be wrong, but never holds anything other than
    /// printable ASCII characters.
    command: String,
}

impl Process {
    /// Describes a process. Whatever in `command` is not a printable ASCII character becomes `?`, and at most 64 characters are
    /// kept: the text ends up on terminals, and processes choose it.
    #[must_use]
    pub fn new(pid: u32, command: &str) -> Self {
        let printable = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
        Self { pid, command: command.chars().take(LONGEST_COMMAND).map(printable).collect() }
    }

    /// The name of the program.
    #[must_use]
    pub fn command(&self) -> &str {
        &self.command
    }
}

/// Something that the gate tells its supervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A connection has ended.
    Connection(Box<Connection>),
    /// An attempt was refused.
    Denied(Box<Denial>),
    /// A question has been answered: [`Gate::try_admit`](crate::Gate::try_admit) may decide what it left open.
    Answered,
    /// The gate has ended by itself and everything is refused from here on. Holds the reason.
    Failed(String),
}

/// One connection, after its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Which way it was opened.
    pub direction: Direction,
    /// The host that was asked for: a name, or an address where a rule names addresses. For a published port the address of the
    /// client.
    pub host: String,
    /// The port that was asked for.
    pub port: u16,
    /// The address that was connected to. `None` where nothing was, or an upstream proxy did it.
    pub address: Option<IpAddr>,
    /// What the first bytes looked like.
    pub protocol: Protocol,
    /// Bytes from the client that were passed on.
    pub sent: u64,
    /// Bytes to the client that were passed on.
    pub received: u64,
    /// When it was accepted.
    pub begun: Instant,
    /// From then to the end.
    pub duration: Duration,
    /// The rule that allowed it.
    pub rule: String,
    /// The process that most recently asked for this address. `None` where the supervisor does not know any.
    pub process: Option<Process>,
    /// How it ended.
    pub end: End,
}

/// Which way a connection was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// By a program inside, to the outside.
    Outward,
    /// By a program of the host, to a published port.
    Published,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Both sides closed it in order.
    Closed,
    /// A side, or the gate's bound on connections that are closed half, broke it off.
    Reset,
    /// The gate refused what it carried; a [`Denial`] says why.
    Refused,
    /// It could not be made. Holds the reason.
    Unreachable(String),
    /// The run ended first.
    RunEnded,
}

/// One refused attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The host: a name, or an address.
    pub host: String,
    /// The port; `None` where a name was only asked for.
    pub port: Option<u16>,
    /// Why.
    pub reason: Reason,
    /// The rule that decided, where one did.
    pub rule: Option<String>,
    /// The option that would permit it, such as `--allow example.com:22`; `None` where none would.
    pub suggestion: Option<String>,
    /// The process, where it is known.
    pub process: Option<Process>,
}

/// Why an attempt was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No rule allows the host and port.
    NotAllowed,
    /// A rule denies it.
    Denied,
    /// Whoever was asked said no, or nobody could be asked.
    Declined,
    /// The name is none that a host can have, so that no rule could allow it.
    NotAHost,
    /// The address is one of the fake range that stands for no name.
    NoSuchAddress,
    /// The name leads to no address that may be dialled. Holds the first of them and what forbids it.
    Address(IpAddr, String),
    /// What the program said names another host, cannot be read for certain, or did not come to its end in time.
    Content(Refusal),
    /// A bound of the policy is reached.
    Limit(Limit),
    /// The gate cannot serve the address: a server inside holds the port on all addresses, or the gate lacks descriptors. Holds
    /// the reason.
    Unserved(String),
    /// The gate has ended.
    Failed,
}

/// A bound on traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Bytes sent in the whole run.
    Sent,
    /// Bytes received in the whole run.
    Received,
    /// Connections in the whole run.
    Connections,
    /// Connections at once.
    AtOnce,
    /// New connections within a second.
    PerSecond,
    /// Endpoints that are served at once.
    Endpoints,
    /// Names that have been asked for.
    Names,
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sent => "the bytes that may be sent (network.limits.sent) are used up",
            Self::Received => "the bytes that may be received (network.limits.received) are used up",
            Self::Connections => "the connections that may be made (network.limits.connections) are used up",
            Self::AtOnce => "too many connections are open at once",
            Self::PerSecond => "too many connections are made within a second",
            Self::Endpoints => "too many endpoints are in use at once",
            Self::Names => "too many names were asked for",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_cannot_write_to_the_terminal_by_its_name() {
        let process = Process::new(7, "\u{1b}[2Jcurl\n\u{202e}x");
        assert_eq!(process.command(), "?[2Jcurl??x");
        assert_eq!(Process::new(7, &"a".repeat(1000)).command().len(), LONGEST_COMMAND);
    }
}
