//! The supervisor's loop, from the start of the command to the end of the last process.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{WaitId, WaitIdOptions, WaitIdStatus};
use stockade_spec::plan::Plan;
use stockade_spec::report::{Area, Outcome, OutputSizes, Usage};

use super::bounds::Bounds;
use super::commands::CommandService;
use super::error::RunError;
use super::gate::GateParts;
use super::job::Job;
use super::launch::{PrivateDirectories, Sandbox};
use super::service::SocketService;
use crate::denials::{Attempt, DenialLog};
use crate::freeze::{FreezeError, Freezer, Frozen};
use crate::observe::gatekeeper::Gatekeeper;
use crate::observe::{Activity, Observer};
use crate::relay::{Relay, RelayError, RelayEvent};
use crate::stage::channel::{Channel, Received};
use crate::stage::message::{FromStage, Status, ToInit};
use crate::sys::signals::Signals;

/// How long init may take to end everything before it is killed itself.
const PATIENCE: Duration = Duration::from_secs(3);

/// Something outside that is looked at while the command runs.
pub trait Watch: std::fmt::Debug {
    /// Becomes readable when there is something to do.
    fn descriptor(&self) -> BorrowedFd<'_>;
    /// Does it.
    fn ready(&mut self, denials: &mut DenialLog<'_>);
    /// Whether the run is to be ended.
    fn is_done(&self) -> bool {
        false
    }
    /// Called once at most: nothing that the command started runs any more, though the kernel may still be closing its files
    /// and taking down what held it. Not called when the run ends in another way than by itself.
    fn over(&mut self, denials: &mut DenialLog<'_>);
}

/// What launching made.
#[derive(Debug)]
pub(super) struct RunningParts<'a> {
    pub(super) plan: &'a Plan,
    /// Before everything that it outlives: dropping it kills what is inside.
    pub(super) sandbox: Sandbox,
    pub(super) bounds: Bounds,
    pub(super) private: PrivateDirectories,
    pub(super) relay: Relay,
    pub(super) signals: Signals,
    pub(super) channel: Channel,
    /// Where the plan has a gate; taken when the stage is ready.
    pub(super) service: Option<SocketService>,
    /// The sandbox's `/proc`, where it has its own.
    pub(super) proc: Option<OwnedFd>,
    /// Where the sandbox lasts; taken by whoever has commands for it.
    pub(super) commands: Option<CommandService>,
    pub(super) denials: DenialLog<'a>,
    pub(super) started: Instant,
}

/// A command that runs. Dropping it ends the command.
#[derive(Debug)]
pub struct Running<'a> {
    parts: RunningParts<'a>,
    observer: Option<Observer>,
    gate: Option<GateParts>,
    /// Whether somebody is being asked about a connection.
    asking: bool,
    job: Job,
    degraded: BTreeMap<u32, String>,
    /// What the run ends with, when the supervisor ends it.
    verdict: Option<Outcome>,
    /// When init is killed, after it was told to end everything.
    patience: Option<Instant>,
    exec_failed: Option<i32>,
    ended: Option<Ended>,
    /// Whether init can say nothing more, though it may not have ended yet: it waits for what others hold.
    is_silent: bool,
    discarded: Vec<PathBuf>,
    stream_failures: Vec<RelayError>,
}

#[derive(Clone, Copy, Debug)]
struct Ended {
    status: Status,
    usage: Usage,
}

/// A run that is over: nothing of it is left but what it wrote into the workspace.
#[derive(Debug)]
pub struct Finished<'a> {
    /// How it ended.
    pub outcome: Outcome,
    /// What it used.
    pub usage: Usage,
    /// What was refused so far; the caller adds what it finds.
    pub denials: DenialLog<'a>,
    /// Steps that failed although the run went on, by index, with the reason.
    pub degraded: BTreeMap<u32, String>,
    /// Files that were written into private directories.
    pub discarded: Vec<PathBuf>,
    /// Bytes passed on.
    pub output: OutputSizes,
    /// The end of standard error.
    pub stderr_tail: Vec<u8>,
    /// Streams of the caller that could not be read or written; at most one failure for each.
    pub stream_failures: Vec<RelayError>,
}

/// Which descriptors of the poll set are whose.
#[derive(Clone, Copy, Debug)]
struct Layout {
    relay_first: usize,
    observer: Option<usize>,
    watch_first: usize,
    memory: Option<usize>,
}

const CHANNEL: usize = 0;
const SIGNALS: usize = 1;
const INIT: usize = 2;

impl<'a> Running<'a> {
    pub(super) fn new(
        parts: RunningParts<'a>,
        observer: Option<Observer>,
        gate: Option<GateParts>,
        degraded: BTreeMap<u32, String>,
    ) -> Self {
        Self {
            parts,
            observer,
            gate,
            asking: false,
            job: Job::default(),
            degraded,
            verdict: None,
            patience: None,
            exec_failed: None,
            ended: None,
            is_silent: false,
            discarded: Vec::new(),
            stream_failures: Vec::new(),
        }
    }

    /// Hands the gate's inside over, once; `None` when the plan has no gate. The command runs already, but whoever of it
    /// wants to leave waits until [`Self::wait`] answers.
    pub fn take_gate(&mut self) -> Option<GateParts> {
        self.gate.take()
    }

    /// Hands over what starts commands in a sandbox that lasts, once; `None` in a run of one command.
    pub fn take_commands(&mut self) -> Option<CommandService> {
        self.parts.commands.take()
    }

    /// What stops the processes of a sandbox that lasts for a moment. To be made before the first command runs.
    ///
    /// # Errors
    /// When `/proc` cannot be opened.
    pub fn freezer(&self) -> Result<Freezer, FreezeError> {
        let proc = self.parts.proc.as_ref().map(AsFd::as_fd);
        let missing = || FreezeError::Call {
            operation: "open the sandbox's `/proc`",
            source: std::io::ErrorKind::NotFound.into(),
        };
        Freezer::of(self.parts.bounds.groups(), self.parts.sandbox.pid, proc.ok_or_else(missing)?)?.sparing_what_runs()
    }

    /// The `/proc` of a sandbox that lasts.
    ///
    /// # Errors
    /// When its descriptor cannot be copied.
    pub fn proc(&self) -> std::io::Result<Option<OwnedFd>> {
        self.parts.proc.as_ref().map(OwnedFd::try_clone).transpose()
    }

    /// Follows the run to its end, looks at what is watched, and asks the gatekeeper about connections that would leave
    /// through the gate. Without one, all are refused.
    ///
    /// # Errors
    /// See [`RunError`]; everything inside has been killed then.
    pub fn wait(
        mut self,
        mut watches: Vec<Box<dyn Watch + '_>>,
        gatekeeper: Option<Box<dyn Gatekeeper>>,
    ) -> Result<Finished<'a>, RunError> {
        crate::fault::place();
        if let (Some(observer), Some(gatekeeper)) = (&mut self.observer, gatekeeper) {
            observer.guard(gatekeeper);
        }
        while self.ended.is_none() {
            let (revents, layout) = self.poll(&watches)?;
            self.serve(&revents, layout, &mut watches)?;
            self.look_at_bounds()?;
        }
        if !self.parts.sandbox.reaped {
            self.nothing_runs(&mut watches);
        }
        self.finish()
    }

    /// Init is the only process left: it has said so, or nobody runs under the filter any more, which every other process
    /// does (`seccomp_filter_release` in `kernel/seccomp.c` tells so when a process cannot return to its program again). In
    /// this tier init changes nothing outside, so that what is done when all is over need not wait until init and the
    /// kernel have taken everything down.
    fn nothing_runs(&mut self, watches: &mut Vec<Box<dyn Watch + '_>>) {
        if self.parts.plan.tier == stockade_spec::Tier::Namespaces {
            for mut watch in watches.drain(..) {
                watch.over(&mut self.parts.denials);
            }
        }
    }

    fn poll(&self, watches: &[Box<dyn Watch + '_>]) -> Result<(Vec<PollFlags>, Layout), RunError> {
        let parts = &self.parts;
        let mut set = Vec::with_capacity(8);
        // A closed channel hangs up for good, whatever is asked of it (`poll(2)`); init's end is what is left to hear of.
        let channel = if self.is_silent { parts.sandbox.pidfd.as_fd() } else { parts.channel.as_fd() };
        set.push(PollFd::from_borrowed_fd(channel, PollFlags::IN));
        set.push(PollFd::new(parts.signals.descriptor(), PollFlags::IN));
        set.push(PollFd::new(&parts.sandbox.pidfd, PollFlags::IN));
        let observer = self.observer.as_ref().map(|observer| {
            set.push(PollFd::from_borrowed_fd(observer.descriptor(), PollFlags::IN));
            set.len() - 1
        });
        let watch_first = set.len();
        set.extend(watches.iter().map(|watch| PollFd::from_borrowed_fd(watch.descriptor(), PollFlags::IN)));
        let memory = parts.bounds.out_of_memory().map(|descriptor| {
            set.push(PollFd::from_borrowed_fd(descriptor, PollFlags::IN));
            set.len() - 1
        });
        let layout = Layout { relay_first: set.len(), observer, watch_first, memory };
        parts.relay.interests(&mut set);
        match poll(&mut set, self.timeout().as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok((set.iter().map(PollFd::revents).collect(), layout)),
            Err(error) => Err(RunError::Wait(error.into())),
        }
    }

    fn timeout(&self) -> Option<Timespec> {
        let patience = self.patience.map(|until| until.saturating_duration_since(Instant::now()));
        let duration = [patience, self.parts.bounds.next_look()].into_iter().flatten().min()?;
        // Rounded up, so that the time has really come when poll returns.
        Timespec::try_from(duration + Duration::from_micros(100)).ok()
    }

    fn serve(
        &mut self,
        revents: &[PollFlags],
        layout: Layout,
        watches: &mut Vec<Box<dyn Watch + '_>>,
    ) -> Result<(), RunError> {
        let is_ready = |place: usize| revents.get(place).is_some_and(|flags| !flags.is_empty());
        let calls = layout.observer.and_then(|place| revents.get(place)).filter(|flags| !flags.is_empty());
        if let Some(&calls) = calls
            && self.observe(calls)? == Activity::Over
        {
            self.nothing_runs(watches);
        }
        let mut happened = false;
        for (place, watch) in (layout.watch_first..).zip(&mut *watches) {
            if is_ready(place) {
                watch.ready(&mut self.parts.denials);
                happened = true;
            }
        }
        if happened && watches.iter().any(|watch| watch.is_done()) {
            self.end_by_watch()?;
        }
        self.leave_terminal_to_questions(happened)?;
        if is_ready(SIGNALS) {
            self.take_signals()?;
        }
        if layout.memory.is_some_and(is_ready) && self.parts.bounds.ran_out_of_memory()? {
            self.end_with(Outcome::MemoryLimit)?;
        }
        let relayed = revents.get(layout.relay_first..).unwrap_or_default();
        if relayed.iter().any(|flags| !flags.is_empty()) {
            let event = self.parts.relay.ready(relayed);
            self.relayed(event)?;
        }
        if is_ready(CHANNEL) || is_ready(INIT) {
            self.take_messages()?;
        }
        if is_ready(INIT) && self.ended.is_none() {
            self.init_is_gone()?;
        }
        Ok(())
    }

    /// Takes note of what the relay said. A stream that failed is closed, as it would be natively, and the run goes on.
    fn relayed(&mut self, event: Result<RelayEvent, RelayError>) -> Result<(), RunError> {
        match event {
            Ok(RelayEvent::OutputLimit) => self.end_with(Outcome::OutputLimit),
            Ok(RelayEvent::Nothing) => Ok(()),
            Err(error) => {
                self.stream_failures.push(error);
                Ok(())
            }
        }
    }

    /// Passes on what is left of the output, as long as the caller takes to read it or until it asks to end.
    fn drain(&mut self) -> Result<(), RunError> {
        let event = self.parts.relay.end();
        self.relayed(event)?;
        while !self.parts.relay.is_done() {
            let mut set = vec![PollFd::new(self.parts.signals.descriptor(), PollFlags::IN)];
            self.parts.relay.interests(&mut set);
            match poll(&mut set, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(RunError::Wait(error.into())),
            }
            let revents: Vec<PollFlags> = set.iter().map(PollFd::revents).collect();
            if self.is_asked_to_end()? {
                return Ok(());
            }
            let event = self.parts.relay.ready(revents.get(1..).unwrap_or_default());
            self.relayed(event)?;
        }
        Ok(())
    }

    fn is_asked_to_end(&self) -> Result<bool, RunError> {
        while let Some(signal) = self.parts.signals.next().map_err(RunError::Wait)? {
            if matches!(signal, libc::SIGINT | libc::SIGTERM | libc::SIGHUP | libc::SIGQUIT) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// While somebody is asked about a connection, the caller's terminal is theirs: as it was found, and not read here.
    fn leave_terminal_to_questions(&mut self, may_be_answered: bool) -> Result<(), RunError> {
        let Some(observer) = &mut self.observer else { return Ok(()) };
        if may_be_answered && observer.is_holding() {
            observer.retry(&mut self.parts.denials)?;
        }
        if observer.is_holding() != self.asking {
            self.asking = !self.asking;
            if self.asking { self.parts.relay.suspend()? } else { self.parts.relay.resume()? }
        }
        Ok(())
    }

    fn observe(&mut self, ready: PollFlags) -> Result<Activity, RunError> {
        let Some(observer) = &mut self.observer else { return Ok(Activity::Over) };
        let activity = observer.on_ready(ready, &mut self.parts.denials)?;
        if activity == Activity::Over {
            // Nobody is left who could ask, and the descriptor would stay ready for ever.
            self.observer = None;
        }
        Ok(activity)
    }

    fn take_signals(&mut self) -> Result<(), RunError> {
        while let Some(signal) = self.parts.signals.next().map_err(RunError::Wait)? {
            match signal {
                libc::SIGWINCH => self.parts.relay.window_changed()?,
                libc::SIGTSTP => self.asked_to_stop()?,
                libc::SIGCONT if self.asking => {}
                libc::SIGCONT => self.parts.relay.resume()?,
                other => self.tell(ToInit::Signal(other))?,
            }
        }
        Ok(())
    }

    /// The caller's terminal said Ctrl-Z while the command does not own a pseudo-terminal, or somebody sent SIGTSTP: stop
    /// the command, then this process; when it is continued, so is the command.
    fn asked_to_stop(&mut self) -> Result<(), RunError> {
        self.tell(ToInit::Signal(libc::SIGSTOP))?;
        if self.job.asked() { self.stop() } else { Ok(()) }
    }

    /// Stops as the command has. Nobody keeps its limits meanwhile, so that all that is inside stops before, and time goes on: when
    /// it is over, this process goes on, to end the run.
    fn stop(&mut self) -> Result<(), RunError> {
        self.tell(ToInit::Signal(libc::SIGSTOP))?;
        let held = self.hold();
        let alarm = self.parts.bounds.alarm().map_err(RunError::Wait)?;
        self.job.stop(&mut self.parts.relay)?;
        drop((alarm, held));
        if self.parts.bounds.is_overdue() { Ok(()) } else { self.tell(ToInit::Signal(libc::SIGCONT)) }
    }

    /// Holds all that is inside, where there is a way: a program can have SIGCONT sent to itself, which ends the stop by a signal.
    fn hold(&self) -> Option<Frozen> {
        let (proc, groups) = (self.parts.proc.as_ref()?, self.parts.bounds.groups());
        Freezer::of(groups, self.parts.sandbox.pid, proc.as_fd()).ok()?.freeze(&[]).ok()
    }

    fn tell(&self, message: ToInit) -> Result<(), RunError> {
        match self.parts.channel.send(&message.encode(), &[]) {
            // It is ending; its last word is in the channel.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EPIPE | libc::ECONNRESET)) => Ok(()),
            result => result.map_err(RunError::Channel),
        }
    }

    fn take_messages(&mut self) -> Result<(), RunError> {
        loop {
            let packet = match self.parts.channel.receive().map_err(RunError::Channel)? {
                Received::Packet(packet, _) => packet,
                Received::Nothing => return Ok(()),
                Received::Closed => {
                    self.is_silent = true;
                    return Ok(());
                }
            };
            match FromStage::decode(&packet)? {
                FromStage::ExecFailed { errno } => self.exec_failed = Some(errno),
                FromStage::Stopped { .. } if self.job.command_stopped(&self.parts.relay) => self.stop()?,
                FromStage::Stopped { .. } => {}
                FromStage::Discarded { path } => {
                    if self.discarded.len() < stockade_spec::report::MAX_DENIALS {
                        self.discarded.push(path);
                    }
                }
                FromStage::Ended { status, user_us, system_us, peak_resident } => {
                    let usage = Usage {
                        wall_ms: self.wall_ms(),
                        user_ms: user_us / 1_000,
                        system_ms: system_us / 1_000,
                        peak_resident,
                    };
                    self.ended = Some(Ended { status, usage });
                    return Ok(());
                }
                FromStage::StepFailed { .. } | FromStage::StepDegraded { .. } | FromStage::Ready { .. } => {
                    return Err(RunError::InitEnded("it sent a message out of order".to_owned()));
                }
            }
        }
    }

    /// Init ended without its report: it was killed, by us, by the kernel for lack of memory, or by somebody on the host.
    fn init_is_gone(&mut self) -> Result<(), RunError> {
        let how = self.reap()?;
        let (by_kernel, _) = self.parts.bounds.verdict(None)?;
        if let (None, Some(outcome)) = (&self.verdict, by_kernel) {
            self.record_limit(&outcome);
            self.verdict = Some(outcome);
        }
        if self.verdict.is_none() {
            return Err(RunError::InitEnded(how));
        }
        self.ended = Some(Ended {
            status: Status::Signaled(libc::SIGKILL),
            usage: Usage { wall_ms: self.wall_ms(), ..Usage::default() },
        });
        Ok(())
    }

    fn wall_ms(&self) -> u64 {
        u64::try_from(self.parts.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn reap(&mut self) -> Result<String, RunError> {
        let id = WaitId::PidFd(self.parts.sandbox.pidfd.as_fd());
        let status =
            rustix::process::waitid(id, WaitIdOptions::EXITED).map_err(|error| RunError::Wait(error.into()))?;
        self.parts.sandbox.reaped = true;
        match self.parts.sandbox.end_heirs() {
            0 => {}
            left => return Err(RunError::LeftBehind(left)),
        }
        Ok(status.as_ref().map_or_else(|| "it is gone".to_owned(), describe))
    }

    fn look_at_bounds(&mut self) -> Result<(), RunError> {
        if self.patience.is_some_and(|until| until <= Instant::now()) {
            self.patience = None;
            rustix::process::pidfd_send_signal(&self.parts.sandbox.pidfd, rustix::process::Signal::KILL)
                .map_err(|error| RunError::Wait(error.into()))?;
        }
        if self.verdict.is_none()
            && self.ended.is_none()
            && let Some(outcome) = self.parts.bounds.reached()?
        {
            self.end_with(outcome)?;
        }
        Ok(())
    }

    /// Ends everything, because whoever watches has no further use for it.
    fn end_by_watch(&mut self) -> Result<(), RunError> {
        if self.patience.is_some() {
            return Ok(());
        }
        self.parts.bounds.stop_looking();
        self.patience = Instant::now().checked_add(PATIENCE);
        self.tell(ToInit::End)
    }

    /// Ends everything, with a reason.
    fn end_with(&mut self, outcome: Outcome) -> Result<(), RunError> {
        if self.verdict.is_some() {
            return Ok(());
        }
        self.record_limit(&outcome);
        self.verdict = Some(outcome);
        self.parts.bounds.stop_looking();
        self.patience = Instant::now().checked_add(PATIENCE);
        self.tell(ToInit::End)
    }

    fn record_limit(&mut self, outcome: &Outcome) {
        if let Some((name, option)) = limit_name(outcome) {
            let attempt = Attempt::new(Area::Limits, "exceed", name).suggestion(option);
            self.parts.denials.record(attempt);
        }
    }

    fn finish(mut self) -> Result<Finished<'a>, RunError> {
        if !self.parts.sandbox.reaped {
            self.reap()?;
        }
        crate::fault::place();
        // What was observed last may still wait to be read.
        let waiting = self.observer.as_ref().map_or(Ok(PollFlags::empty()), Observer::poll)?;
        self.observe(waiting)?;
        self.drain()?;
        let ended = self.ended.ok_or_else(|| RunError::InitEnded("it is gone".to_owned()))?;
        let outcome = self.outcome(ended)?;
        let parts = self.parts;
        let (output, stderr_tail) = (parts.relay.sizes(), parts.relay.stderr_tail().to_vec());
        parts.bounds.remove()?;
        crate::fault::place();
        let mut private = parts.private;
        private.remove().map_err(RunError::Wait)?;
        Ok(Finished {
            outcome,
            usage: ended.usage,
            denials: parts.denials,
            degraded: self.degraded,
            discarded: self.discarded,
            output,
            stderr_tail,
            stream_failures: self.stream_failures,
        })
    }

    fn outcome(&mut self, ended: Ended) -> Result<Outcome, RunError> {
        let signal = match ended.status {
            Status::Signaled(signal) => Some(signal),
            Status::Exited(_) => None,
        };
        let (by_kernel, refused_processes) = self.parts.bounds.verdict(signal)?;
        if refused_processes > 0 {
            let attempt = Attempt::new(Area::Limits, "fork", "processes").suggestion("--processes N");
            self.parts.denials.record(attempt);
        }
        if self.parts.bounds.store_is_full() {
            self.record_limit(&Outcome::DiskLimit);
        }
        if let Some(verdict) = self.verdict.take() {
            return Ok(verdict);
        }
        if let Some(errno) = self.exec_failed {
            let missing = matches!(errno, libc::ENOENT | libc::ENOTDIR);
            return Ok(if missing { Outcome::NotFound } else { Outcome::CannotExecute { errno } });
        }
        if let Some(outcome) = by_kernel {
            self.record_limit(&outcome);
            // A command that went on after one of its processes was ended decides itself how it ends.
            if ended.status != Status::Exited(0) {
                return Ok(outcome);
            }
        }
        Ok(match ended.status {
            Status::Exited(status) => Outcome::Exited { status },
            Status::Signaled(signal) => Outcome::Signaled { signal },
        })
    }
}

/// A limit's name in events, and the option that raises it.
fn limit_name(outcome: &Outcome) -> Option<(&'static str, &'static str)> {
    match outcome {
        Outcome::TimeLimit => Some(("time", "--time D")),
        Outcome::MemoryLimit => Some(("memory", "--memory S")),
        Outcome::ProcessLimit => Some(("processes", "--processes N")),
        Outcome::DiskLimit => Some(("disk", "--disk S")),
        Outcome::OutputLimit => Some(("output", "--output S")),
        _ => None,
    }
}

fn describe(status: &WaitIdStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("it exited with status {code}"),
        (_, Some(signal)) => format!("signal {signal} ended it"),
        _ => "it is gone".to_owned(),
    }
}
