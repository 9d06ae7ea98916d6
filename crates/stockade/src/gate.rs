//! The gate of one run: between the sandbox, which has sockets inside, and `stockade-egress`, which knows nothing of
//! sandboxes.
//!
//! Published ports are bound before the launch, so that a port that is taken costs nothing but a message. Everything else
//! waits until the launch is over, which must find one thread.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Instant;

use rustix::process::{Resource, getrlimit, setrlimit};
use stockade_egress::rules::Rules;
use stockade_egress::{Admission, Decider, Gate, GateConfig, GateError, Limits, Process, Published, Upstream};
use stockade_linux::denials::DenialLog;
use stockade_linux::observe::gatekeeper::{self, Gatekeeper, Refusal};
use stockade_linux::observe::undelivered::Undelivered;
use stockade_linux::{GateParts, SocketService, Watch};
use stockade_spec::Request;
use stockade_spec::plan::Plan;
use stockade_spec::plan::gate::{GateRules, NetworkDefault};
use stockade_spec::policy::endpoint::EndpointRule;
use stockade_spec::report::{NetworkReport, ProcessRef};

use crate::error::Error;
use crate::event::Event;
use crate::traffic;

/// Variables that name an HTTP proxy of the host, the first that is set counting. The gate asks it for every connection by
/// CONNECT, as programs do for HTTPS.
const PROXIES: [&str; 6] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "http_proxy", "HTTP_PROXY"];
/// Variables that name hosts which the proxy is not asked for.
const EXCEPTIONS: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// What the gate needs of the host, made before the launch.
#[derive(Debug)]
pub(crate) struct Prepared<'p> {
    rules: &'p GateRules,
    publish: Published,
    upstream: Option<Upstream>,
}

impl<'p> Prepared<'p> {
    /// Prepares the gate of a plan; `None` where it has none.
    ///
    /// # Errors
    /// When a port cannot be published, or the host's proxy cannot be used.
    pub(crate) fn of(plan: &'p Plan, request: &Request) -> Result<Option<Self>, Error> {
        let Some(rules) = plan.gate() else { return Ok(None) };
        let publish = Published::bind(&rules.publish).map_err(Error::Gate)?;
        Ok(Some(Self { rules, publish, upstream: upstream(request)? }))
    }

    /// Starts the gate. Without parts of it inside, it carries what the gatekeeper is handed.
    ///
    /// # Errors
    /// When the system refuses a thread or a descriptor.
    pub(crate) fn start(self, parts: Option<GateParts>, decider: Option<Decider>) -> Result<OpenGate, Error> {
        crate::fault::gate().map_err(|error| Error::Gate(GateError::Thread(error)))?;
        let descriptors = raise_descriptor_limit();
        let (inside, name_server, undelivered): (Box<dyn stockade_egress::Inside>, _, _) = match parts {
            Some(parts) => (Box::new(Inside(parts.service)), parts.name_server, parts.undelivered),
            None => (Box::new(Nowhere), Vec::new(), Vec::new()),
        };
        let Self { rules, publish, upstream } = self;
        let mut config = GateConfig::new(compiled(rules), rules.ranges.ipv4, rules.ranges.ipv6);
        config.limits = limits(rules);
        config.limits.at_once = config.limits.at_once.min(at_once(descriptors));
        config.publish = publish;
        config.upstream = upstream;
        config.name_server = name_server;
        // Asking takes a thread of its own.
        config.decider = decider.filter(|_| rules.default == NetworkDefault::Ask);
        let gate = Gate::start(config, inside).map_err(Error::Gate)?;
        let gate = Rc::new(gate);
        let named = |watch: Undelivered| {
            let gate = Rc::clone(&gate);
            Box::new(watch.described_by(move |address| gate.describe(address))) as Box<dyn Watch>
        };
        let undelivered = undelivered.into_iter().map(named).collect();
        Ok(OpenGate { gate, undelivered, found: Rc::default(), started: Instant::now() })
    }
}

/// The gate of a run that is going on.
#[derive(Debug)]
pub(crate) struct OpenGate {
    gate: Rc<Gate>,
    undelivered: Vec<Box<dyn Watch>>,
    found: Rc<RefCell<Found>>,
    started: Instant,
}

/// What went through, and what went wrong.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// What went through.
    pub(crate) network: NetworkReport,
    /// Why the gate ended before the run.
    pub(crate) failure: Option<String>,
}

impl OpenGate {
    /// Who is asked about connections.
    pub(crate) fn keeper(&self) -> Box<dyn Gatekeeper> {
        Box::new(Keeper(Rc::clone(&self.gate)))
    }

    /// What is to be watched while the command runs.
    pub(crate) fn watches<'t>(&mut self, tell: &'t dyn Fn(Event<'_>)) -> Vec<Box<dyn Watch + 't>> {
        let (gate, found) = (Rc::clone(&self.gate), Rc::clone(&self.found));
        let events = Events { gate, found, started: self.started, tell };
        let mut watches: Vec<Box<dyn Watch + 't>> = vec![Box::new(events)];
        watches.extend(std::mem::take(&mut self.undelivered).into_iter().map(|watch| watch as Box<dyn Watch + 't>));
        watches
    }

    /// Ends it, when nothing runs any more.
    pub(crate) fn finish(self, denials: &mut DenialLog<'_>, tell: &dyn Fn(Event<'_>)) -> Found {
        let Self { gate, found, started, .. } = self;
        if let Some(gate) = Rc::into_inner(gate) {
            let summary = gate.finish();
            denials.count_lost(summary.lost_events);
            found.borrow_mut().take(summary.events, started, denials, tell);
        }
        found.take()
    }
}

impl Found {
    fn take(
        &mut self,
        events: Vec<stockade_egress::Event>,
        started: Instant,
        denials: &mut DenialLog<'_>,
        tell: &dyn Fn(Event<'_>),
    ) {
        for event in events {
            match event {
                stockade_egress::Event::Connection(connection) => {
                    let connection = traffic::connection(*connection, started);
                    tell(Event::Connected(&connection));
                    self.network.record(connection);
                }
                stockade_egress::Event::Denied(denial) => denials.record(traffic::attempt(*denial)),
                // That the descriptor was readable is what makes the supervisor ask again.
                stockade_egress::Event::Answered => {}
                stockade_egress::Event::Failed(reason) => self.failure = Some(reason),
            }
        }
    }
}

/// Takes the gate's events as they come.
struct Events<'t> {
    gate: Rc<Gate>,
    found: Rc<RefCell<Found>>,
    started: Instant,
    tell: &'t dyn Fn(Event<'_>),
}

impl std::fmt::Debug for Events<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("gate", &self.gate).finish_non_exhaustive()
    }
}

impl Watch for Events<'_> {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.gate.descriptor()
    }

    fn ready(&mut self, denials: &mut DenialLog<'_>) {
        self.found.borrow_mut().take(self.gate.events(), self.started, denials, self.tell);
    }

    fn over(&mut self, denials: &mut DenialLog<'_>) {
        self.ready(denials);
    }
}

/// Asks the gate.
#[derive(Debug)]
struct Keeper(Rc<Gate>);

impl Gatekeeper for Keeper {
    fn admit(&mut self, to: SocketAddr, process: Option<&ProcessRef>) -> gatekeeper::Admission {
        answer(self.0.try_admit(to, process.map(asking)))
    }

    fn carry(&mut self, to: SocketAddr, process: Option<&ProcessRef>, socket: BorrowedFd<'_>) -> gatekeeper::Admission {
        answer(self.0.try_carry(to, process.map(asking), socket))
    }

    fn answer_names(&mut self, socket: OwnedFd) -> io::Result<()> {
        self.0.answer_names(socket)
    }

    fn describe(&self, address: SocketAddr) -> String {
        self.0.describe(address)
    }
}

fn asking(process: &ProcessRef) -> Process {
    Process::new(process.pid, &process.name)
}

fn answer(admission: Option<Admission>) -> gatekeeper::Admission {
    match admission {
        None => gatekeeper::Admission::Later,
        Some(Admission::Continue) => gatekeeper::Admission::Continue,
        Some(Admission::Refuse { errno, denial }) => {
            let (target, rule) = (traffic::target(&denial), traffic::rule(&denial));
            gatekeeper::Admission::Refuse(Refusal { errno, target, rule, suggestion: denial.suggestion })
        }
    }
}

/// Where there is no network inside, no socket is made in it: nothing is published, and programs' sockets are handed over.
struct Nowhere;

impl stockade_egress::Inside for Nowhere {
    fn listen(&mut self, _at: SocketAddr) -> io::Result<OwnedFd> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn connect(&mut self, _to: SocketAddr) -> io::Result<OwnedFd> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Sockets inside, for the gate.
struct Inside(SocketService);

impl stockade_egress::Inside for Inside {
    fn listen(&mut self, at: SocketAddr) -> io::Result<OwnedFd> {
        Ok(self.0.listen(at)?)
    }

    fn connect(&mut self, to: SocketAddr) -> io::Result<OwnedFd> {
        Ok(self.0.connect(to)?)
    }
}

/// The rules in the form that decides. The plan holds canonical texts, each of which reads.
pub(crate) fn compiled(rules: &GateRules) -> Rules {
    let read = |texts: &[String]| -> Vec<EndpointRule> { texts.iter().filter_map(|text| text.parse().ok()).collect() };
    Rules::new(&read(&rules.allow), &read(&rules.deny), rules.default)
}

const fn limits(rules: &GateRules) -> Limits {
    let limits = &rules.limits;
    Limits {
        sent: limits.sent,
        received: limits.received,
        connections: limits.connections,
        at_once: limits.connections_at_once,
        per_second: limits.connections_per_second,
    }
}

fn upstream(request: &Request) -> Result<Option<Upstream>, Error> {
    let value = |names: &[&str]| {
        names.iter().find_map(|name| {
            let found = request.environment.iter().find(|(variable, _)| variable == OsStr::new(name));
            found.map(|(_, value)| value.to_string_lossy().into_owned()).filter(|value| !value.is_empty())
        })
    };
    let Some(url) = value(&PROXIES) else { return Ok(None) };
    Upstream::new(&url, &value(&EXCEPTIONS).unwrap_or_default()).map(Some).map_err(Error::Upstream)
}

/// Takes as many descriptors as there may be, and says how many; `None` where there is no limit.
fn raise_descriptor_limit() -> Option<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).ok();
    getrlimit(Resource::Nofile).current
}

/// Connections at once for which there are descriptors. Each takes up to six, and the rest is for listeners and for the
/// supervisor itself: where it cannot look at the processes any more, it ends the run.
fn at_once(descriptors: Option<u64>) -> u32 {
    descriptors.map_or(u32::MAX, |descriptors| u32::try_from(descriptors / 8).unwrap_or(u32::MAX).max(1))
}
