//! The gate: a thread that accepts what programs inside open, and the handle that the supervisor has of it.
//!
//! The supervisor starts the gate after the launch, since a sandbox starts as a copy of a process with one thread. From then
//! on it asks [`Gate::admit`] about every address that a program wants to connect to, before the kernel goes on with it:
//!
//! ```text
//! connect(2) inside -> supervisor -> admit: name, rules, limits, a door -> the kernel connects to the door
//!                                     gate's thread: accepts -> dial -> first bytes -> splice in both directions
//! ```
//!
//! Whatever happens to the thread, nothing opens: what it has accepted ends with it, and afterwards everything is refused.

mod admit;
mod asks;
mod error;
mod published;
mod shared;
mod signal;
mod thread;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;

use ipnet::{Ipv4Net, Ipv6Net};
use tokio::sync::oneshot;

pub use admit::Admission;
pub use asks::{Decider, Decision, Question};
pub use error::GateError;
pub use published::Published;

use crate::dial::{Lookup, SystemLookup, Upstream};
use crate::event::{Event, Process};
use crate::flow::Limits;
use crate::rules::Rules;
pub(crate) use shared::Shared;

/// The way into the sandbox's network: sockets that are made inside it.
///
/// Called by the supervisor's thread (`listen`, within [`Gate::admit`]) and by threads of the gate (`connect`), never two at
/// once.
pub trait Inside: Send {
    /// A TCP socket that listens on exactly this address.
    ///
    /// # Errors
    /// Those of `bind(2)` and `listen(2)`.
    fn listen(&mut self, at: SocketAddr) -> io::Result<OwnedFd>;

    /// A TCP socket that is connected to this address, or is about to be (`EINPROGRESS`). Must not wait for the connection.
    ///
    /// # Errors
    /// Those of `socket(2)` and `connect(2)`, except for `EINPROGRESS`.
    fn connect(&mut self, to: SocketAddr) -> io::Result<OwnedFd>;
}

/// What a gate needs.
pub struct GateConfig {
    /// Who may be reached.
    pub rules: Rules,
    /// How much.
    pub limits: Limits,
    /// Ports inside that the host's loopback reaches.
    pub publish: Published,
    /// The host's HTTP proxy, where it has one.
    pub upstream: Option<Upstream>,
    /// The sockets of the name server inside: bound UDP sockets, and listening TCP sockets.
    pub name_server: Vec<OwnedFd>,
    /// The addresses that stand for names.
    pub fake_ipv4: Ipv4Net,
    /// Those of IPv6, where the kernel has it.
    pub fake_ipv6: Option<Ipv6Net>,
    /// Who is asked about hosts that no rule names, where the rules say so. Without it, these are refused.
    pub decider: Option<Decider>,
    /// How names are looked up.
    pub lookup: Arc<dyn Lookup>,
}

impl GateConfig {
    /// A configuration with nothing but rules, for the ranges that stand for names.
    #[must_use]
    pub fn new(rules: Rules, fake_ipv4: Ipv4Net, fake_ipv6: Option<Ipv6Net>) -> Self {
        Self {
            rules,
            limits: Limits::default(),
            publish: Published::default(),
            upstream: None,
            name_server: Vec::new(),
            fake_ipv4,
            fake_ipv6,
            decider: None,
            lookup: Arc::new(SystemLookup),
        }
    }
}

impl fmt::Debug for GateConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateConfig").field("rules", &self.rules).field("publish", &self.publish).finish_non_exhaustive()
    }
}

/// A running gate.
///
/// Dropping it ends it too. It needs up to six descriptors for each connection at once: a supervisor should have raised its
/// soft `RLIMIT_NOFILE`. When they are used up, connections are refused.
#[derive(Debug)]
pub struct Gate {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    stop: Option<oneshot::Sender<()>>,
}

/// What a gate has done in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Connections that programs inside opened.
    pub connections: u64,
    /// Bytes that they sent.
    pub sent: u64,
    /// Bytes that they received.
    pub received: u64,
    /// Events that [`Gate::events`] had not given out.
    pub events: Vec<Event>,
    /// Denials that were not kept because too many waited.
    pub lost_events: u64,
}

impl Gate {
    /// Starts the thread.
    ///
    /// The process must ignore `SIGPIPE`, as programs in Rust do: `splice(2)` to a connection that has been broken off raises it.
    ///
    /// # Errors
    /// [`GateError`]; nothing runs then.
    pub fn start(config: GateConfig, inside: Box<dyn Inside>) -> Result<Self, GateError> {
        signal::check()?;
        let (shared, setup) = Shared::new(config, inside)?;
        let (stop, stopped) = oneshot::channel();
        let thread = thread::start(Arc::clone(&shared), setup, stopped)?;
        Ok(Self { shared, thread: Some(thread), stop: Some(stop) })
    }

    /// Decides whether a process may connect a TCP socket to an address inside, and if it may, makes sure that the gate listens
    /// there before it returns.
    ///
    /// Takes a few microseconds where the gate listens already, otherwise one call of [`Inside::listen`]. Where somebody has to
    /// be asked it waits for the answer, however long that takes: a supervisor with other things to do uses
    /// [`try_admit`](Self::try_admit).
    #[must_use]
    pub fn admit(&self, to: SocketAddr, process: Option<Process>) -> Admission {
        loop {
            if let Some(admission) = self.try_admit(to, process.clone()) {
                return admission;
            }
            self.shared.wait_for_answer(to);
        }
    }

    /// Like [`admit`](Self::admit), but never waits for an answer: `None` where somebody is being asked. When the answer is
    /// there, [`Event::Answered`] comes, and the same call decides.
    #[must_use]
    pub fn try_admit(&self, to: SocketAddr, process: Option<Process>) -> Option<Admission> {
        self.shared.try_admit(to, process)
    }

    /// Like [`admit`](Self::admit), where there is no network inside: `socket` is the gate's end of a connection that the program
    /// has the other end of, a stream of TCP or Unix. Where it may be made, the gate keeps a copy of it, and carries what comes
    /// from it. No address stays inside here: what is not allowed is refused.
    #[must_use]
    pub fn carry(&self, to: SocketAddr, process: Option<Process>, socket: BorrowedFd<'_>) -> Admission {
        loop {
            if let Some(admission) = self.try_carry(to, process.clone(), socket) {
                return admission;
            }
            self.shared.wait_for_answer(to);
        }
    }

    /// Like [`carry`](Self::carry), but never waits for an answer; see [`try_admit`](Self::try_admit).
    #[must_use]
    pub fn try_carry(&self, to: SocketAddr, process: Option<Process>, socket: BorrowedFd<'_>) -> Option<Admission> {
        self.shared.try_carry(to, process, socket)
    }

    /// Answers questions for names that come by a connected socket which keeps messages apart and does not block, until its peer
    /// is closed. At most 512 at once.
    ///
    /// # Errors
    /// `EMFILE` when there are too many, `ENETDOWN` when the gate has ended.
    pub fn answer_names(&self, socket: OwnedFd) -> io::Result<()> {
        self.shared.answer_names(socket)
    }

    /// What an address inside is called in events: the name for which it stands, where it stands for one.
    #[must_use]
    pub fn describe(&self, address: SocketAddr) -> String {
        self.shared.describe(address)
    }

    /// Readable while events wait; connections that have ended wait a few milliseconds for others. Never to be read or written.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.shared.events.descriptor()
    }

    /// Takes the events that wait: at most 1,024, and those that must not be lost, of which there are no more than connections at
    /// once.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.shared.events.drain()
    }

    /// Ends the thread, and with it every connection.
    #[must_use]
    pub fn finish(mut self) -> Summary {
        self.end();
        let traffic = &self.shared.traffic;
        Summary {
            connections: traffic.total(),
            sent: traffic.sent.used(),
            received: traffic.received.used(),
            events: self.shared.events.drain(),
            lost_events: self.shared.events.lost(),
        }
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic has been told as an event where it happened.
            let _told = thread.join();
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.end();
    }
}
