//! Deciding about a connection before the kernel makes it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use rustix::io::Errno;
use stockade_spec::report::allow_option;

use super::asks::Answer;
use super::shared::{New, Shared};
use crate::event::{Denial, Limit, Process, Reason};
use crate::flow::doors::{Door, Pass};
use crate::rules::{Host, Verdict};

/// Whether the kernel may go on with a `connect(2)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may. Nothing depends on the program having left the address as it was: where the gate does not listen, the kernel
    /// refuses.
    Continue,
    /// It must fail. The denial is for whoever asked to tell: no event says it again.
    Refuse {
        /// The error number for the program: `EACCES`, or `ENETDOWN` when the gate has ended.
        errno: i32,
        /// Why.
        denial: Box<Denial>,
    },
}

impl Shared {
    /// [`Gate::try_admit`](super::Gate::try_admit).
    pub(super) fn try_admit(&self, to: SocketAddr, process: Option<Process>) -> Option<Admission> {
        let to = SocketAddr::new(to.ip().to_canonical(), to.port());
        if self.stays_inside(to) {
            return Some(Admission::Continue);
        }
        let now = Instant::now();
        let outcome = if let Err(refusal) = self.open(now) {
            Err(refusal)
        } else if let Some(door) = self.doors.at(&to).filter(|door| door.is_open()) {
            door.expect(Pass::Always, process.clone(), now);
            Ok(true)
        } else {
            self.decide(to, process.clone(), now)
        };
        match outcome {
            Ok(true) => Some(Admission::Continue),
            Ok(false) => None,
            Err(refusal) => Some(self.refuse(to, process, refusal)),
        }
    }

    /// [`Gate::try_carry`](super::Gate::try_carry).
    pub(super) fn try_carry(
        &self,
        to: SocketAddr,
        process: Option<Process>,
        socket: BorrowedFd<'_>,
    ) -> Option<Admission> {
        let to = SocketAddr::new(to.ip().to_canonical(), to.port());
        let outcome = self.open(Instant::now()).and_then(|()| match self.permit(to, process.as_ref())? {
            Some(permit) => self.hand_over(to, permit, process.clone(), socket).map(|()| true),
            None => Ok(false),
        });
        match outcome {
            Ok(true) => Some(Admission::Continue),
            Ok(false) => None,
            Err(refusal) => Some(self.refuse(to, process, refusal)),
        }
    }

    /// Has the gate's thread carry a connection to which nobody needs to listen.
    fn hand_over(
        &self,
        to: SocketAddr,
        permit: Permit,
        process: Option<Process>,
        socket: BorrowedFd<'_>,
    ) -> Result<(), Refusal> {
        let socket = socket.try_clone_to_owned().map_err(|error| {
            Refusal::of(Reason::Unserved(format!("the gate has no descriptor left for the connection: {error}")))
        })?;
        let door = Arc::new(Door::new(to, permit.host, permit.rule));
        door.expect(Pass::Once, process, Instant::now());
        self.serve(New::Stream { door, socket }).then_some(()).ok_or_else(|| self.unserving())
    }

    /// [`Gate::answer_names`](super::Gate::answer_names).
    pub(super) fn answer_names(&self, socket: OwnedFd) -> io::Result<()> {
        let place = Arc::clone(&self.lines).try_acquire_owned().map_err(|_| Errno::MFILE)?;
        if self.serve(New::Names { socket, place }) { Ok(()) } else { Err(Errno::NETDOWN.into()) }
    }

    /// Whether a connection may be opened at all now.
    fn open(&self, now: Instant) -> Result<(), Refusal> {
        if self.has_ended() {
            return Err(Refusal::of(Reason::Failed));
        }
        self.traffic.may_open(now).map_err(|limit| Refusal::of(Reason::Limit(limit)))
    }

    /// Why the gate's thread takes nothing.
    fn unserving(&self) -> Refusal {
        Refusal::of(if self.has_ended() { Reason::Failed } else { Reason::Limit(Limit::Endpoints) })
    }

    /// Waits, but not for long, for the answer to the question that [`Self::try_admit`] has left open.
    pub(super) fn wait_for_answer(&self, to: SocketAddr) {
        let to = SocketAddr::new(to.ip().to_canonical(), to.port());
        if let Some(host) = self.host_at(to) {
            self.asks.wait(&host, to.port());
        }
    }

    /// Whether an address never leads out: the sandbox's own loopback, unless a rule names it, and the name server. Doors are
    /// made only at addresses that stand for a name, so that nothing but the name server can listen at port 53 of the others.
    fn stays_inside(&self, to: SocketAddr) -> bool {
        let ip = to.ip();
        let names = self.names();
        if names.is_fake(ip) {
            return to.port() == 53 && names.name_of(ip).is_none();
        }
        drop(names);
        (ip.is_loopback() || ip.is_unspecified()) && !self.rules.names_address(ip, to.port())
    }

    /// The host that an address inside stands for; `None` for an address of the fake range that stands for no name.
    fn host_at(&self, to: SocketAddr) -> Option<Host> {
        let names = self.names();
        if names.is_fake(to.ip()) {
            return names.name_of(to.ip()).cloned().map(Host::Name);
        }
        Some(Host::Address(to.ip()))
    }

    /// [`Gate::describe`](super::Gate::describe).
    pub(super) fn describe(&self, address: SocketAddr) -> String {
        match self.host_at(SocketAddr::new(address.ip().to_canonical(), address.port())) {
            Some(Host::Name(name)) => format!("{name}:{}", address.port()),
            Some(Host::Address(_)) | None => address.to_string(),
        }
    }

    /// Decides by the rules. `None` where somebody is being asked.
    fn permit(&self, to: SocketAddr, process: Option<&Process>) -> Result<Option<Permit>, Refusal> {
        let host = self.host_at(to).ok_or_else(|| Refusal::of(Reason::NoSuchAddress))?;
        let (rule, pass) = match self.rules.decide(&host, to.port()) {
            Verdict::Allowed { rule } => (rule, Pass::Always),
            Verdict::Denied { rule: None } => return Err(Refusal::of(Reason::NotAllowed)),
            Verdict::Denied { rule } => return Err(Refusal { reason: Reason::Denied, rule }),
            Verdict::Ask => match self.asks.answer(&host, to.port(), process.cloned()) {
                Answer::Allowed(Pass::Once) => ("allowed once".to_owned(), Pass::Once),
                Answer::Allowed(Pass::Always) => ("allowed for this run".to_owned(), Pass::Always),
                Answer::Declined => return Err(Refusal::of(Reason::Declined)),
                Answer::Waiting => return Ok(None),
            },
        };
        Ok(Some(Permit { host, rule, pass }))
    }

    /// Decides by the rules, and makes the door. False where somebody is being asked.
    fn decide(&self, to: SocketAddr, process: Option<Process>, now: Instant) -> Result<bool, Refusal> {
        let Some(Permit { host, rule, pass }) = self.permit(to, process.as_ref())? else { return Ok(false) };
        let is_own_loopback = to.ip().is_loopback() && matches!(host, Host::Address(_));
        let door = match self.doors.at(&to) {
            Some(door) => door,
            None => match self.make_door(to, host, rule, now) {
                // A program's own server is there, which comes first on its own loopback.
                Err(Refusal { reason: Reason::Unserved(_), .. }) if is_own_loopback => return Ok(true),
                made => made?,
            },
        };
        door.expect(pass, process, now);
        Ok(true)
    }

    /// Makes a socket inside that listens, and has the gate's thread serve it.
    fn make_door(&self, at: SocketAddr, host: Host, rule: String, now: Instant) -> Result<Arc<Door>, Refusal> {
        if !self.doors.make_room(now) {
            return Err(Refusal::of(Reason::Limit(Limit::Endpoints)));
        }
        let socket = self.inside().listen(at).map_err(|error| Refusal::of(Reason::Unserved(why(&error))))?;
        let door = Arc::new(Door::new(at, host, rule));
        let closed = self.doors.add(&door);
        if self.serve(New::Door { door: Arc::clone(&door), socket, closed }) {
            return Ok(door);
        }
        self.doors.remove(&at);
        Err(self.unserving())
    }

    fn refuse(&self, to: SocketAddr, process: Option<Process>, refusal: Refusal) -> Admission {
        let host = self.host_at(to).unwrap_or_else(|| Host::Address(to.ip()));
        let asks_for_rule = matches!(refusal.reason, Reason::NotAllowed | Reason::Declined);
        let errno = if refusal.reason == Reason::Failed { Errno::NETDOWN } else { Errno::ACCESS };
        let denial = Denial {
            suggestion: asks_for_rule.then(|| allow_option(&host.to_string(), to.port())).flatten(),
            host: host.to_string(),
            port: Some(to.port()),
            reason: refusal.reason,
            rule: refusal.rule,
            process,
        };
        Admission::Refuse { errno: errno.raw_os_error(), denial: Box::new(denial) }
    }
}

/// What the rules allow.
struct Permit {
    host: Host,
    rule: String,
    pass: Pass,
}

struct Refusal {
    reason: Reason,
    rule: Option<String>,
}

impl Refusal {
    const fn of(reason: Reason) -> Self {
        Self { reason, rule: None }
    }
}

/// Why the gate could not listen inside.
fn why(error: &io::Error) -> String {
    match Errno::from_io_error(error) {
        Some(Errno::ADDRINUSE) => {
            "a server inside holds the port on all addresses; have it listen on 127.0.0.1 only".to_owned()
        }
        _ => format!("listening inside failed: {error}"),
    }
}
