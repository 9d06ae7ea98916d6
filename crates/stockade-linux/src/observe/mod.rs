//! The supervisor's side of system-call notification (`seccomp_unotify(2)`): answers every call that the filter asks
//! about, and records what was refused.
//!
//! An answer is one of three. A refusal is always safe. Letting the kernel carry on is safe only where the kernel itself
//! refuses what must not happen, because whatever the supervisor has read through a pointer can have changed since. All
//! else is done on the process's behalf, with the supervisor's own copy of the arguments.

mod address;
mod asker;
mod callers;
mod capabilities;
mod fifo;
mod files;
pub mod gatekeeper;
pub mod inferred;
mod network;
mod process;
mod share;
mod signals;
mod sockets;
mod stand_ins;
pub mod undelivered;
mod walk;

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use stockade_spec::plan::gate::EndpointRule;
use stockade_spec::plan::gate::{FakeRanges, GateRoutes};
use stockade_spec::plan::{Explanations, NetworkFilter, SystemCallFilter};
use stockade_spec::report::Area;
use stockade_spec::tier::Tier;
use thiserror::Error;

use crate::denials::{Attempt, DenialLog};
use crate::seccomp::{self, Kind, Meaning};
use crate::sys::notify::{Listener, Notification};
use asker::Asker;
use callers::Callers;
use capabilities::OwnCapabilities;
use fifo::Waiting;
use files::FileRules;
use gatekeeper::Gatekeeper;
use stand_ins::StandIns;

/// Calls that are answered at a time. A program that floods the supervisor waits its turn like everything else.
const MAX_ANSWERS: usize = 64;

/// Calls that wait at a time for a gatekeeper that has to ask somebody. More are refused.
const MAX_HELD: usize = 64;

/// What an observer has to know about the run.
#[derive(Clone, Debug)]
pub struct Context {
    /// The workspace, as an absolute path without links.
    pub workspace: PathBuf,
    /// The home directory, as seen inside.
    pub home: PathBuf,
    /// The tier.
    pub tier: Tier,
    /// The plan's rules about files.
    pub explanations: Explanations,
    /// Process id of the supervisor.
    pub supervisor: u32,
    /// Process id, on the host, of the first process of the sandbox, to which every other one descends.
    pub first_process: u32,
    /// Whether the second process of the sandbox is the spawner of one that lasts.
    pub has_spawner: bool,
    /// What the network namespace leads to the gate, where the plan has one.
    pub gate: Option<GateRoutes>,
    /// Rules about loopback addresses that mean the host's: the gatekeeper is asked about these too.
    pub host_loopback: Vec<EndpointRule>,
    /// The addresses that stand for names, where the plan has a gate.
    pub ranges: Option<FakeRanges>,
}

/// Why notifications cannot be answered. The run has to end: its programs would wait forever.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ObserveError {
    /// The descriptor does not poll.
    #[error("cannot wait for notified system calls: {0}; please report this with the kernel's version")]
    Wait(#[source] io::Error),
    /// A notification cannot be received.
    #[error("cannot receive a notified system call: {0}; please report this with the kernel's version")]
    Receive(#[source] io::Error),
    /// An answer cannot be sent.
    #[error("cannot answer the system call `{call}`: {source}; please report this with the kernel's version")]
    Answer {
        /// The call's name.
        call: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// A rule of the plan is no glob.
    #[error("the plan holds a path rule that cannot be read: {0}")]
    Rule(#[from] stockade_spec::glob::GlobError),
    /// The supervisor's own file mode creation mask cannot be read.
    #[error("cannot read the supervisor's umask from /proc: {0}; is /proc mounted?")]
    Umask(#[source] io::Error),
    /// The supervisor's own capabilities cannot be read.
    #[error("cannot read the supervisor's capabilities: {0}")]
    Capabilities(#[source] io::Error),
}

/// Whether more notifications can come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Programs run under the filter.
    Going,
    /// The last program that ran under the filter has ended: the descriptor need not be polled any more.
    Over,
}

/// What a call is answered with.
#[derive(Debug)]
enum Answer {
    /// The kernel makes the call.
    Continue,
    /// The call fails.
    Fail(Errno),
    /// The call returns 0 without being made.
    Done,
    /// The call returns this without being made.
    Value(i64),
    /// The call returns a new descriptor for this file.
    Descriptor { file: OwnedFd, close_on_exec: bool },
    /// The call is decided about again later.
    Later,
    /// The call returns a new descriptor for this FIFO, as soon as its other side is open.
    WhenOpened { fifo: OwnedFd, flags: OFlags, close_on_exec: bool },
}

impl From<Result<(), Errno>> for Answer {
    fn from(result: Result<(), Errno>) -> Self {
        result.map_or_else(Self::Fail, |()| Self::Done)
    }
}

/// Answers the calls that one filter asks about.
#[derive(Debug)]
pub struct Observer {
    listener: Arc<Listener>,
    waiting: Waiting,
    network: NetworkFilter,
    nested_namespaces: bool,
    keep_processors: bool,
    files: FileRules,
    capabilities: OwnCapabilities,
    context: Context,
    /// Calls whose answer depends on somebody who is being asked; at most [`MAX_HELD`].
    held: Vec<Notification>,
    gatekeeper: Option<Box<dyn Gatekeeper>>,
    stand_ins: RefCell<StandIns>,
    callers: RefCell<Callers>,
}

impl Observer {
    /// Takes over the listener of an installed filter.
    ///
    /// # Errors
    /// When a path rule is no glob, or the supervisor cannot learn what it may do itself.
    pub(crate) fn new(listener: Listener, filter: &SystemCallFilter, context: Context) -> Result<Self, ObserveError> {
        let files = FileRules::new(&filter.files, &context)?;
        let capabilities = OwnCapabilities::read().map_err(ObserveError::Capabilities)?;
        Ok(Self {
            listener: Arc::new(listener),
            waiting: Waiting::default(),
            network: filter.network,
            nested_namespaces: filter.nested_namespaces,
            keep_processors: filter.keep_processors,
            files,
            capabilities,
            context,
            held: Vec::new(),
            gatekeeper: None,
            stand_ins: RefCell::default(),
            callers: RefCell::default(),
        })
    }

    /// Lets `gatekeeper` decide about connections that would leave through the gate. Without one they are refused.
    pub(crate) fn guard(&mut self, gatekeeper: Box<dyn Gatekeeper>) {
        self.gatekeeper = Some(gatekeeper);
    }

    /// Polls readable when calls wait for [`Self::on_ready`].
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Answers the calls that wait, at most 64 of them, without waiting for more. `ready` is what polling the descriptor gave.
    ///
    /// # Errors
    /// When the kernel does not take part any more; the run has to be ended then.
    pub fn on_ready(&mut self, mut ready: PollFlags, log: &mut DenialLog<'_>) -> Result<Activity, ObserveError> {
        for _ in 0..MAX_ANSWERS {
            if !ready.contains(PollFlags::IN) {
                return Ok(if ready.contains(PollFlags::HUP) { Activity::Over } else { Activity::Going });
            }
            if let Some(notification) = self.listener.receive().map_err(ObserveError::Receive)? {
                self.answer(&notification, log)?;
            }
            ready = self.poll()?;
        }
        Ok(Activity::Going)
    }

    /// Whether a call waits for somebody who is being asked.
    pub(crate) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Decides again about the calls that wait for somebody who is being asked.
    ///
    /// # Errors
    /// As [`Self::on_ready`].
    pub(crate) fn retry(&mut self, log: &mut DenialLog<'_>) -> Result<(), ObserveError> {
        std::mem::take(&mut self.held).into_iter().try_for_each(|notification| self.answer(&notification, log))
    }

    /// What there is to do now; see [`Self::on_ready`].
    pub(crate) fn poll(&self) -> Result<PollFlags, ObserveError> {
        let mut descriptors = [PollFd::new(&self.listener, PollFlags::IN)];
        match poll(&mut descriptors, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
            Ok(_) | Err(Errno::INTR) => Ok(descriptors[0].revents()),
            Err(error) => Err(ObserveError::Wait(error.into())),
        }
    }

    fn answer(&mut self, notification: &Notification, log: &mut DenialLog<'_>) -> Result<(), ObserveError> {
        let meaning = seccomp::meaning(notification.arch, notification.number);
        let mut gatekeeper = self.gatekeeper.take();
        let decide = || self.decide(meaning, notification, gatekeeper.as_deref_mut(), log);
        let answer = self.capabilities.aside(decide).unwrap_or_else(Answer::Fail);
        self.gatekeeper = gatekeeper;
        if matches!(answer, Answer::Later) && self.held.len() < MAX_HELD {
            self.held.push(*notification);
            return Ok(());
        }
        self.send(notification.id, answer).map_err(|source| ObserveError::Answer { call: meaning.name, source })
    }

    fn decide(
        &self,
        meaning: Meaning,
        notification: &Notification,
        gatekeeper: Option<&mut (dyn Gatekeeper + 'static)>,
        log: &mut DenialLog<'_>,
    ) -> Answer {
        let asker = Asker::new(&self.listener, notification, &self.callers);
        match meaning.kind {
            Kind::Connect => network::connect(self, gatekeeper, &asker, log),
            Kind::Bind => network::bind(self, &asker, log),
            Kind::SendTo => network::send_to(self, gatekeeper, &asker, log),
            Kind::SocketName => stand_ins::name(self, &asker, meaning.name == "getpeername"),
            Kind::SocketOption => stand_ins::option(self, &asker),
            Kind::ReceiveFrom => stand_ins::receive(self, &asker),
            Kind::ReceiveMessage => stand_ins::receive_message(self, &asker),
            Kind::Signal if self.keep_processors && meaning.name == "sched_setaffinity" => {
                forbid(meaning, notification, &asker, log)
            }
            Kind::Signal => signals::decide(self, &asker, meaning.name, log),
            Kind::FileOpen | Kind::FileChange | Kind::Execute => files::decide(self, &asker, meaning.name, log),
            Kind::Socket => {
                if let Some((is_ipv6, is_stream)) = self.stood_in_for(notification) {
                    return stand_ins::make(self, &asker, is_ipv6, is_stream);
                }
                let refusal = refusal(notification);
                let family = asker.number(0);
                let name = address::family_name(family).map_or_else(|| format!("family {family}"), str::to_owned);
                log.record(Attempt::new(Area::Sockets, meaning.name, name).by(asker.process()));
                Answer::Fail(refusal)
            }
            Kind::Forbidden | Kind::ForeignArchitecture | Kind::Other => forbid(meaning, notification, &asker, log),
        }
    }

    /// Family and type of an Internet socket that gets another in its place.
    fn stood_in_for(&self, notification: &Notification) -> Option<(bool, bool)> {
        let has_stand_ins = self.network == NetworkFilter::StandIns;
        has_stand_ins
            .then(|| seccomp::internet_socket(notification.arch, notification.number, &notification.arguments))
            .flatten()
    }

    /// Sends an answer; one to a thread that was killed meanwhile goes nowhere.
    fn send(&mut self, id: u64, answer: Answer) -> io::Result<()> {
        let delivered = match answer {
            Answer::Continue => self.listener.respond_continue(id),
            Answer::Fail(error) => self.listener.respond_errno(id, error.raw_os_error()),
            Answer::Later => self.listener.respond_errno(id, libc::EACCES),
            Answer::Done => self.listener.respond_value(id, 0),
            Answer::Value(value) => self.listener.respond_value(id, value),
            Answer::Descriptor { file, close_on_exec } => return fifo::give(&self.listener, id, &file, close_on_exec),
            Answer::WhenOpened { fifo, flags, close_on_exec } => {
                match self.waiting.open((&self.listener, self.capabilities), id, fifo, flags, close_on_exec) {
                    Ok(()) => return Ok(()),
                    Err(error) => self.listener.respond_errno(id, error.raw_os_error()),
                }
            }
        };
        delivered.map(|_to_somebody| ())
    }
}

/// Refuses a call, whatever it is about.
fn forbid(meaning: Meaning, notification: &Notification, asker: &Asker<'_>, log: &mut DenialLog<'_>) -> Answer {
    let target = target_of_forbidden(meaning, notification);
    log.record(Attempt::new(Area::SystemCalls, meaning.name, target).by(asker.process()));
    Answer::Fail(refusal(notification))
}

fn refusal(notification: &Notification) -> Errno {
    Errno::from_raw_os_error(seccomp::refusal(notification.arch, notification.number, &notification.arguments))
}

/// What tells one forbidden call from another of the same name.
fn target_of_forbidden(meaning: Meaning, notification: &Notification) -> String {
    match meaning.kind {
        Kind::ForeignArchitecture => format!("number {}", notification.number.cast_unsigned() & 0x3fff_ffff),
        _ if meaning.name == "ioctl" => format!("request {:#x}", notification.arguments[1] & 0xffff_ffff),
        _ if matches!(meaning.name, "prctl" | "fcntl") => {
            let at = usize::from(meaning.name == "fcntl");
            format!("option {}", notification.arguments[at] & 0xffff_ffff)
        }
        _ if matches!(meaning.name, "clone" | "unshare" | "personality") => {
            format!("flags {:#x}", notification.arguments[0] & 0xffff_ffff)
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
