//! From a plan to a running command: the supervisor's steps, the clone, and waiting for the stage's word.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Instant;

use rustix::process::Pid;
use stockade_spec::facts::CgroupFacts;
use stockade_spec::plan::gate::GateRules;
use stockade_spec::plan::{Operation, Plan, Resource, Side};

use super::bounds::Bounds;
use super::commands::CommandService;
use super::error::LaunchError;
use super::gate::GateParts;
use super::heirs::Heirs;
use super::namespaces::Namespaces;
use super::patience::Patience;
use super::running::{Running, RunningParts};
use super::service::SocketService;
use super::terminal::FORWARDED;
use crate::denials::DenialLog;
use crate::fault;
use crate::observe::undelivered::Undelivered;
use crate::observe::{Context, Observer};
use crate::relay::{HostStdio, InnerStdio, Relay};
use crate::stage::Stage;
use crate::stage::ahead::Ahead;
use crate::stage::channel::{Channel, Received};
use crate::stage::message::{FromStage, ToInit};
use crate::sys::clone::{ALL_NAMESPACES, Cloned, clone, is_single_threaded};
use crate::sys::maker::Maker;
use crate::sys::notify::Listener;
use crate::sys::signals::{Mask, Signals};

/// What a launch needs besides the plan.
#[derive(Debug)]
pub struct Launch<'a, 'h> {
    /// The plan.
    pub plan: &'a Plan,
    /// Where control groups can be made.
    pub cgroups: &'h CgroupFacts,
    /// The caller's standard streams, or others in their place.
    pub stdio: HostStdio,
    /// Collects what is refused.
    pub denials: DenialLog<'a>,
    /// Namespaces that were begun before.
    pub namespaces: Namespaces,
}

/// Launches a plan: when this returns, every step was carried out and the command is being executed.
///
/// # Errors
/// See [`LaunchError`]; nothing is left behind then.
pub fn launch<'a>(launch: Launch<'a, '_>) -> Result<Running<'a>, LaunchError> {
    Launching::begin(launch)?.proceed()
}

/// A launch that goes on by itself as far as to the command, which waits for the word. Dropping it ends it.
#[derive(Debug)]
pub struct Launching<'a>(RunningParts<'a>);

impl<'a> Launching<'a> {
    /// Begins a launch.
    ///
    /// # Errors
    /// See [`LaunchError`]; nothing is left behind then.
    pub fn begin(launch: Launch<'a, '_>) -> Result<Self, LaunchError> {
        if !is_single_threaded().map_err(LaunchError::Threads)? {
            return Err(LaunchError::Threaded);
        }
        let Launch { plan, cgroups, stdio, denials, namespaces } = launch;
        let started = Instant::now();
        let mut bounds = Bounds::prepare(plan, cgroups, started)?;
        fault::steps(plan, |operation| matches!(operation, Operation::Limit { .. }))?;
        fault::place();
        let output = limit_of(plan, Resource::Output);
        let (relay, inner) = Relay::new(stdio, plan.command.terminal, output)?;
        let signals = Signals::block(FORWARDED).map_err(LaunchError::Signals)?;
        fault::place();
        fault::steps(plan, |operation| matches!(operation, Operation::Gate { .. }))?;
        let started_stage = start_stage(plan, inner, &signals, &bounds, namespaces)?;
        let Started { sandbox, channel, service, commands } = started_stage;
        fault::steps(plan, |operation| *operation == Operation::CreateNamespaces)?;
        fault::place();
        bounds.enclose(plan, cgroups, sandbox.pid)?;
        let private = PrivateDirectories::default();
        let proc = None;
        Ok(Self(RunningParts {
            plan,
            bounds,
            private,
            relay,
            signals,
            channel,
            service,
            proc,
            commands,
            sandbox,
            denials,
            started,
        }))
    }

    /// Lets the command begin, and returns when it is being executed.
    ///
    /// # Errors
    /// See [`LaunchError`]; nothing is left behind then.
    pub fn proceed(self) -> Result<Running<'a>, LaunchError> {
        let Self(mut parts) = self;
        fault::steps(parts.plan, |operation| matches!(operation, Operation::SweepProtected { .. }))?;
        // The stage, which waits meanwhile, removes them should this process be killed from here on.
        parts.private = PrivateDirectories::make(parts.plan)?;
        fault::steps(parts.plan, |operation| matches!(operation, Operation::PrivateDirectory { .. }))?;
        fault::place();
        proceed(&parts.channel)?;
        fault::place();
        wait_until_ready(parts)
    }
}

/// The value of a bound that the plan sets.
pub(super) fn limit_of(plan: &Plan, wanted: Resource) -> Option<u64> {
    plan.steps.iter().find_map(|step| match &step.operation {
        Operation::Limit { resource, value, .. } if *resource == wanted => Some(*value),
        _ => None,
    })
}

/// The process that is init, as the supervisor holds it. Dropping it kills it and with it everything inside.
#[derive(Debug)]
pub(super) struct Sandbox {
    pub(super) pidfd: OwnedFd,
    pub(super) pid: Pid,
    pub(super) reaped: bool,
    pub(super) heirs: Option<Heirs>,
}

impl Sandbox {
    /// Ends what init has left, and returns how many processes could not be ended. To be called when init was reaped.
    pub(super) fn end_heirs(&mut self) -> usize {
        self.heirs.take().map_or(0, |heirs| heirs.end())
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if self.reaped {
            return;
        }
        // A process that has ended already cannot be signalled; waiting for it is right in both cases.
        rustix::process::pidfd_send_signal(&self.pidfd, rustix::process::Signal::KILL).ok();
        let options = rustix::process::WaitIdOptions::EXITED;
        rustix::process::waitid(rustix::process::WaitId::PidFd(self.pidfd.as_fd()), options).ok();
        self.end_heirs();
    }
}

/// Tells the stage that it is bounded. One that has failed meanwhile has said why, and that is the error to report.
fn proceed(channel: &Channel) -> Result<(), LaunchError> {
    match channel.send(&ToInit::Proceed.encode(), &[]) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EPIPE | libc::ECONNRESET)) => Ok(()),
        result => result.map_err(LaunchError::Channel),
    }
}

/// The new process, and the supervisor's ends of what leads there.
struct Started {
    sandbox: Sandbox,
    channel: Channel,
    service: Option<SocketService>,
    commands: Option<CommandService>,
}

fn start_stage(
    plan: &Plan,
    inner: InnerStdio,
    signals: &Signals,
    bounds: &Bounds,
    namespaces: Namespaces,
) -> Result<Started, LaunchError> {
    let (ours, theirs) = Channel::pair().map_err(LaunchError::Channel)?;
    let service = plan.gate_routes().map(|_| SocketService::pair()).transpose().map_err(LaunchError::Channel)?;
    let (service, served) = service.unzip();
    let lasts = plan.steps.iter().any(|step| step.operation == Operation::ServeCommands);
    let commands = lasts.then(CommandService::pair).transpose().map_err(LaunchError::Channel)?;
    let (commands, asked) = commands.unzip();
    let entrances = bounds.entrances()?;
    let mask = signals.previous();
    let served = [served, asked];
    let parts = StageParts { plan, ours, service, commands, theirs, inner, mask, entrances, served, ahead: None };
    let namespaced = plan.steps.iter().any(|step| step.operation == Operation::CreateNamespaces);
    let error = if namespaced { LaunchError::Namespaces } else { LaunchError::Process };
    let heirs = Heirs::expect(plan).map_err(LaunchError::Process)?;
    let (parts, pid, pidfd) = match namespaces.take_for(plan).map_err(error)? {
        Some(maker) => parts.start_by(&maker, bounds),
        None => parts.start(if namespaced { ALL_NAMESPACES } else { 0 }, bounds),
    }
    .map_err(error)?;
    let sandbox = Sandbox { pidfd, pid, reaped: false, heirs };
    Ok(Started { sandbox, channel: parts.ours, service: parts.service, commands: parts.commands })
}

/// What the stage begins with, and the supervisor's ends of it: both processes have all of it at first.
struct StageParts<'a> {
    plan: &'a Plan,
    ours: Channel,
    service: Option<SocketService>,
    commands: Option<CommandService>,
    theirs: Channel,
    inner: InnerStdio,
    mask: Mask,
    entrances: Vec<OwnedFd>,
    served: [Option<Channel>; 2],
    ahead: Option<Ahead>,
}

impl StageParts<'_> {
    /// Makes the stage's process with new namespaces.
    fn start(self, namespaces: i32, bounds: &Bounds) -> io::Result<(Self, Pid, OwnedFd)> {
        match clone(namespaces, bounds.cgroup_directory())? {
            Cloned::Child => self.become_stage(),
            Cloned::Parent { pid, pidfd } => Ok((self, pid, pidfd)),
        }
    }

    /// Makes it in namespaces that are there already.
    fn start_by(mut self, maker: &Maker, bounds: &Bounds) -> io::Result<(Self, Pid, OwnedFd)> {
        self.ahead = Some(Ahead::new(maker.made()?));
        maker.copy(self, Self::become_stage, bounds.cgroup_directory())
    }

    fn become_stage(self) -> ! {
        let Self { plan, ours, service, commands, theirs, inner, mask, entrances, served, ahead } = self;
        // As long as the stage holds this end too, it cannot see that the supervisor's is gone.
        drop((ours, service, commands));
        Stage::new(plan, theirs, inner, mask, entrances, served, ahead).run()
    }
}

fn wait_until_ready(parts: RunningParts<'_>) -> Result<Running<'_>, LaunchError> {
    let mut degraded = BTreeMap::new();
    let patience = Patience::new()?;
    loop {
        patience.wait_for(&parts.channel)?;
        fault::place();
        let (packet, descriptors) = match parts.channel.receive().map_err(LaunchError::Channel)? {
            Received::Packet(packet, descriptors) => (packet, descriptors),
            Received::Nothing => continue,
            Received::Closed => return Err(LaunchError::StageEnded),
        };
        match FromStage::decode(&packet)? {
            FromStage::Ready { listener, proc, store, terminal, name_servers, notices } => {
                let flags = [listener, proc, store, terminal];
                let inside = Inside::take(descriptors, flags, [name_servers, notices]);
                return make_running(parts, inside.ok_or(LaunchError::Unexpected)?, degraded);
            }
            FromStage::StepFailed { step, errno, detail } => return Err(failed_step(parts.plan, step, errno, detail)),
            FromStage::StepDegraded { step, errno, detail } => {
                degraded.insert(step, format!("{detail} {}", io::Error::from_raw_os_error(errno)).trim().to_owned());
            }
            FromStage::ExecFailed { errno } => return Err(LaunchError::Process(io::Error::from_raw_os_error(errno))),
            FromStage::Stopped { .. } | FromStage::Discarded { .. } => return Err(LaunchError::Unexpected),
            // The process that was to become the command gave up; its own word on why came first.
            FromStage::Ended { .. } => {}
        }
    }
}

/// Descriptors of things inside, sent by the stage.
#[derive(Debug)]
struct Inside {
    listener: Option<OwnedFd>,
    proc: Option<OwnedFd>,
    store: Option<OwnedFd>,
    terminal: Option<OwnedFd>,
    /// For each address of the name server a UDP and a TCP socket.
    name_server: Vec<OwnedFd>,
    /// Sockets for notices of undelivered datagrams.
    notices: Vec<OwnedFd>,
}

impl Inside {
    /// Assigns the descriptors to the flags and counts of the message; `None` when their number differs.
    fn take(descriptors: Vec<OwnedFd>, flags: [bool; 4], [name_servers, notices]: [u8; 2]) -> Option<Self> {
        let [sockets, notices] = [2 * usize::from(name_servers), usize::from(notices)];
        if descriptors.len() != flags.iter().filter(|flag| **flag).count() + sockets + notices {
            return None;
        }
        let mut descriptors = descriptors.into_iter();
        let [listener, proc, store, terminal] = flags.map(|flag| if flag { descriptors.next() } else { None });
        let name_server = descriptors.by_ref().take(sockets).collect();
        Some(Self { listener, proc, store, terminal, name_server, notices: descriptors.collect() })
    }
}

fn make_running(
    mut parts: RunningParts<'_>,
    inside: Inside,
    degraded: BTreeMap<u32, String>,
) -> Result<Running<'_>, LaunchError> {
    let Inside { listener, proc, store, terminal, name_server, notices } = inside;
    if let Some(terminal) = terminal {
        parts.relay.attach_terminal(terminal)?;
    }
    let filter = parts.plan.steps.iter().find_map(|step| match &step.operation {
        Operation::SystemCalls { filter } => Some(filter),
        _ => None,
    });
    let observer = match (listener, filter) {
        (Some(listener), Some(filter)) => {
            let listener = Listener::new(listener).map_err(LaunchError::Listener)?;
            Some(Observer::new(listener, filter, context(parts.plan, parts.sandbox.pid))?)
        }
        _ => None,
    };
    if let (Some(commands), Some(proc)) = (&mut parts.commands, &proc) {
        commands.look_at(proc.try_clone().map_err(LaunchError::Channel)?);
    }
    parts.proc = proc.as_ref().map(OwnedFd::try_clone).transpose().map_err(LaunchError::Channel)?;
    parts.bounds.watch(parts.plan, proc, store, parts.sandbox.pid)?;
    let gate = parts.service.take().map(|service| {
        let undelivered = notices.into_iter().map(Undelivered::new).collect();
        GateParts { service, name_server, undelivered }
    });
    Ok(Running::new(parts, observer, gate, degraded))
}

/// What the observer has to know.
fn context(plan: &Plan, init: Pid) -> Context {
    Context {
        workspace: plan.workspace.clone(),
        home: plan.home.clone(),
        tier: plan.tier,
        explanations: plan.explanations.clone(),
        supervisor: std::process::id(),
        first_process: init.as_raw_nonzero().get().unsigned_abs(),
        gate: plan.gate_routes().cloned(),
        host_loopback: plan.gate().into_iter().flat_map(GateRules::host_loopback).collect(),
        ranges: plan.gate().map(|rules| rules.ranges),
    }
}

fn failed_step(plan: &Plan, step: u32, errno: i32, detail: String) -> LaunchError {
    let source = io::Error::from_raw_os_error(errno);
    let step = usize::try_from(step).ok().and_then(|step| plan.steps.get(step));
    step.map_or(LaunchError::Unexpected, |step| LaunchError::step(&step.operation, detail, source))
}

/// Directories on the host that hold what the command writes besides the workspace (tier `landlock`); removed when
/// dropped.
#[derive(Debug, Default)]
pub(super) struct PrivateDirectories(Vec<PathBuf>);

impl PrivateDirectories {
    fn make(plan: &Plan) -> Result<Self, LaunchError> {
        use std::os::unix::fs::DirBuilderExt;
        let mut made = Self::default();
        for step in plan.steps_of(Side::Supervisor) {
            if let Operation::PrivateDirectory { path } = &step.operation {
                // Fails when it exists, so nobody can have prepared it.
                let builder = std::fs::DirBuilder::new().mode(0o700).create(path);
                builder.map_err(|source| LaunchError::step(&step.operation, String::new(), source))?;
                made.0.push(path.clone());
            }
        }
        Ok(made)
    }

    /// Removes them. Called when nothing inside runs any more.
    pub(super) fn remove(&mut self) -> io::Result<()> {
        // In reverse order: one may lie in another.
        while let Some(path) = self.0.pop() {
            crate::removal::remove(&path)?;
        }
        Ok(())
    }
}

impl Drop for PrivateDirectories {
    fn drop(&mut self) {
        // The error path; a later start tidies what cannot be removed here.
        drop(self.remove());
    }
}
