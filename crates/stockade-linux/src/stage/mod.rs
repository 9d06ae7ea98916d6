//! Our code inside: between the clone and the command, and as the first process for as long as the command runs.
//!
//! The stage is a forked copy of a process that had one thread, so it may allocate and lock. It carries out the plan's
//! steps in order, and does nothing that the plan does not say.

pub(crate) mod ahead;
pub(crate) mod channel;
mod command;
pub(crate) mod descendants;
mod discarded;
pub(crate) mod gate;
mod init;
mod last;
pub mod message;
mod overlay;
mod privileges;
pub mod service_message;
pub mod spawner;
mod streams;
pub(crate) mod tree;
mod view;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal};
use stockade_spec::Tier;
use stockade_spec::plan::{LimitMechanism, Operation, Plan, Resource, Side};

use self::ahead::Ahead;
use self::channel::{Channel, Received};
use self::command::Command;
use self::gate::{GateError, GateSockets};
use self::last::LastSteps;
use self::message::{FromStage, ToInit};
use self::streams::{StreamError, Streams};
use self::view::View;
use crate::limits::LimitError;
use crate::relay::{InnerStdio, InnerStream};
use crate::sys::clone::{Memory, spawn};
use crate::sys::landlock::LandlockError;
use crate::sys::signals::{Mask, Signals};

/// What the stage works with.
#[derive(Debug)]
pub(crate) struct Stage<'p> {
    plan: &'p Plan,
    channel: Channel,
    /// Taken when the command is started.
    stdio: Option<InnerStdio>,
    /// The signal mask that the command starts with.
    mask: Mask,
    /// The descriptor through which the stage enters its version 1 control groups.
    cgroups: Vec<OwnedFd>,
    view: Option<View>,
    /// This end of the socket service, where the plan has a gate.
    service: Option<Channel>,
    /// This end of the channel through which commands are asked for, where the sandbox lasts.
    commands: Option<Channel>,
    /// What the supervisor gets of the gate.
    gate: GateSockets,
    /// Steps that were carried out before there was a plan.
    ahead: Option<Ahead>,
}

impl<'p> Stage<'p> {
    pub(crate) fn new(
        plan: &'p Plan,
        channel: Channel,
        stdio: InnerStdio,
        mask: Mask,
        cgroups: Vec<OwnedFd>,
        [service, commands]: [Option<Channel>; 2],
        ahead: Option<Ahead>,
    ) -> Self {
        let (view, gate) = (None, GateSockets::default());
        Self { plan, channel, stdio: Some(stdio), mask, cgroups, view, service, commands, gate, ahead }
    }

    /// Carries out the plan's steps, starts the command and becomes init. Never returns.
    pub(crate) fn run(mut self) -> ! {
        // Closed before the step that closes every other descriptor does it behind their owner's back.
        let cgroups = std::mem::take(&mut self.cgroups);
        // In a session of its own, so that whoever kills the supervisor's whole group does not kill init, which ends the
        // others then. Where the groups are gone, so is the supervisor; if not, it sees the channel close, and refuses to
        // call this a launch.
        if rustix::process::setsid().is_err() || crate::limits::join(&cgroups).is_err() {
            self.follow_supervisor();
        }
        drop(cgroups);
        let steps: Vec<usize> = self.steps().collect();
        // The domain and the filter are the command's own: init needs neither, having no privilege left and running
        // nothing else, and signals from the command cannot leave its domain to reach init.
        let (shared, own): (Vec<usize>, Vec<usize>) =
            steps.into_iter().partition(|&step| !self.is_for_command_only(step));
        if self.needs_private_directories() {
            self.wait_to_proceed();
        }
        self.perform_all(&shared);
        let child = if self.commands.is_some() { init::Child::Spawner } else { init::Child::Command };
        match self.start(&own) {
            Ok((pid, children)) => {
                drop((self.view, self.gate));
                init::run(self.plan, &self.channel, self.service, child(pid), &children)
            }
            Err(Failure { errno, .. }) => {
                self.tell(&FromStage::ExecFailed { errno });
                crate::sys::clone::exit_now(1)
            }
        }
    }

    fn steps(&self) -> impl Iterator<Item = usize> + use<'p> {
        let plan = self.plan;
        (0..plan.steps.len()).filter(move |&step| plan.steps[step].operation.side() == Side::Stage)
    }

    fn is_for_command_only(&self, step: usize) -> bool {
        use Operation::{Landlock, ServeCommands, SystemCalls};
        matches!(self.plan.steps[step].operation, Landlock { .. } | SystemCalls { .. } | ServeCommands)
    }

    /// Whether steps write to directories that the supervisor makes after this process; otherwise they are carried out
    /// while it is still busy.
    fn needs_private_directories(&self) -> bool {
        self.plan.steps.iter().any(|step| matches!(step.operation, Operation::PrivateDirectory { .. }))
    }

    fn perform_all(&mut self, steps: &[usize]) {
        for &index in steps {
            let operation = &self.plan.steps[index].operation;
            let done = crate::fault::step(index).map_err(Failure::from).and_then(|()| self.perform(operation));
            self.answer_for(index, done);
        }
    }

    /// Goes on after a step that was carried out or may fail.
    fn answer_for(&self, index: usize, done: Result<(), Failure>) {
        let Err(Failure { errno, detail }) = done else { return };
        let step = u32::try_from(index).unwrap_or(u32::MAX);
        if self.plan.steps[index].degradable {
            self.tell(&FromStage::StepDegraded { step, errno, detail });
        } else {
            self.tell(&FromStage::StepFailed { step, errno, detail });
            crate::sys::clone::exit_now(1);
        }
    }

    /// Tells the supervisor; when it is gone, so must this process be.
    fn tell(&self, message: &FromStage) {
        if self.channel.send(&message.encode(), &[]).is_err() {
            self.follow_supervisor();
        }
    }

    /// The supervisor is gone: what it had made for this run goes too.
    fn follow_supervisor(&self) -> ! {
        init::remove_private_directories(self.plan);
        crate::sys::clone::exit_now(1)
    }

    /// Waits until the supervisor has set up what bounds this process from outside. Nothing else is sent this early, and
    /// a supervisor that is gone ends the stage.
    fn wait_to_proceed(&self) {
        let mut set = [PollFd::from_borrowed_fd(self.channel.as_fd(), PollFlags::IN)];
        loop {
            match self.channel.receive() {
                Ok(Received::Packet(packet, _)) if ToInit::decode(&packet) == Ok(ToInit::Proceed) => return,
                // Interrupted by a signal or not: the channel is looked at again.
                Ok(Received::Nothing) => drop(poll(&mut set, None).map_err(io::Error::from)),
                _ => self.follow_supervisor(),
            }
        }
    }

    /// Starts the process that becomes the command.
    fn start(&mut self, own: &[usize]) -> Result<(Pid, Signals), Failure> {
        if !self.needs_private_directories() {
            self.wait_to_proceed();
        }
        let command = match self.commands {
            Some(_) => None,
            None => Some(Command::prepare(&self.plan.command)?),
        };
        crate::sys::title::erase_arguments()?;
        // Nothing inside may look into init, whose memory is a copy of the supervisor's. In tier `landlock` the domain sees to
        // that, and another sandbox around this one has to be able to read the paths that init opens.
        if self.plan.tier == Tier::Namespaces {
            rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
        }
        let children = Signals::block(&[libc::SIGCHLD])?;
        let stdio = self.stdio.take().ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
        let streams = Streams::open(stdio)?;
        streams.give_terminal().map_err(StreamError::Session)?;
        // Opened in the new process namespace, so that the supervisor sees the sandbox's processes as they do.
        let proc = self.view.as_ref().map(|_| open_directory(Path::new("/proc"))).transpose()?;
        let serves = self.commands.is_some();
        let last = LastSteps { stage: self, own, command, streams, proc };
        // In tier `landlock` init has to end the others when the supervisor ends, so it must not wait for what may itself wait for
        // the supervisor; in the other it is ended, and everything with it. The spawner stays, and cannot use init's memory.
        let shares = self.plan.tier == Tier::Namespaces && !serves;
        let memory = if shares { Memory::Shared } else { Memory::Own };
        let started = spawn(&last, LastSteps::become_command, memory)?;
        // Dropping `last` here matters: copies of the command's streams would keep its pipes open. So does the channel of the
        // spawner, whose end the supervisor would not see otherwise.
        drop(last);
        self.commands = None;
        Ok((started, children))
    }

    fn perform(&mut self, operation: &Operation) -> Result<(), Failure> {
        match operation {
            Operation::DieWithSupervisor => self.die_with_supervisor()?,
            Operation::Subreaper => rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?,
            Operation::MapIdentity { uid, gid } => match self.ahead {
                Some(ahead) => ahead.identity()?,
                None => privileges::map_identity(*uid, *gid)?,
            },
            Operation::LoopbackUp => match self.ahead {
                Some(ahead) => ahead.loopback()?,
                None => crate::sys::loopback::up()?,
            },
            Operation::GateRoutes { routes } => self.gate = gate::set_up(routes)?,
            Operation::HostName { name } => rustix::system::sethostname(name.as_bytes())?,
            Operation::MountRoot { size, inodes } => self.view = Some(View::new(*size, *inodes)?),
            Operation::Limit { resource, value, mechanism } => limit(*resource, *value, *mechanism)?,
            Operation::CloseDescriptors => self.close_descriptors()?,
            Operation::DropCapabilities => {
                self.ahead.map_or(Ok(()), Ahead::bounding_set)?;
                privileges::drop_capabilities(self.ahead.is_some())?;
            }
            Operation::NoNewPrivileges => rustix::thread::set_no_new_privs(true)?,
            // Without a view, the private home is a directory of the host.
            Operation::File { target, content, mode } if self.plan.tier == Tier::Landlock => {
                view::write_file(rustix::fs::CWD, target, content, *mode)?;
            }
            view_operation => self.perform_on_view(view_operation)?,
        }
        Ok(())
    }

    fn perform_on_view(&mut self, operation: &Operation) -> io::Result<()> {
        let view = self.view.as_mut().ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
        match operation {
            Operation::Directory { target, mode } => view.directory(target, *mode),
            Operation::PrivateStore { target, mode } => view.private_store(target, *mode),
            Operation::File { target, content, mode } => view.file(target, content, *mode),
            Operation::CoverFile { target, content, mode } => view.cover_file(target, content, *mode),
            Operation::Symlink { target, text } => view.symlink(target, text),
            Operation::Bind { source, target, access } => view.bind(source, target, *access),
            Operation::Socket { source, target } => view.socket(source, target),
            Operation::CopyOnWrite { source, target } => view.copy_on_write(source, target),
            Operation::Layered { source, target, sealed, writes } => {
                view.layered(source, target, sealed, writes.as_ref())
            }
            Operation::Mask { target, directory } => view.mask(target, *directory),
            Operation::ReadOnly { target } => view.read_only(target),
            Operation::Pin { target } => view.pin(target),
            Operation::MountProc => view.mount_fresh("proc", Path::new("/proc"), &[]),
            Operation::MountDevPts => mount_devpts(view),
            Operation::MountMqueue => view.mount_fresh("mqueue", Path::new("/dev/mqueue"), &[]),
            Operation::SwitchRoot => view.switch_root(),
            _ => Err(io::Error::from_raw_os_error(libc::ENOSYS)),
        }
    }

    fn die_with_supervisor(&self) -> io::Result<()> {
        if self.plan.tier == Tier::Namespaces {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        }
        // In tier `landlock`, init has to end the others first, which it does when the channel closes. In both, the
        // supervisor may have ended before this point.
        let mut set = [PollFd::from_borrowed_fd(self.channel.as_fd(), PollFlags::empty())];
        poll(&mut set, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
        if set[0].revents().contains(PollFlags::HUP) {
            self.follow_supervisor();
        }
        Ok(())
    }

    fn close_descriptors(&self) -> io::Result<()> {
        let mut keep = vec![self.channel.as_fd()];
        if let Some(stdio) = &self.stdio {
            for stream in [&stdio.stdin, &stdio.stdout, &stdio.stderr] {
                if let InnerStream::Descriptor(descriptor) = stream {
                    keep.push(descriptor.as_fd());
                }
            }
        }
        keep.extend(self.service.as_ref().map(AsFd::as_fd));
        keep.extend(self.commands.as_ref().map(AsFd::as_fd));
        keep.extend(self.gate.descriptors());
        keep.extend(self.view.iter().flat_map(View::descriptors));
        crate::sys::descriptors::close_all_but(&keep)
    }
}

/// Pseudo-terminals that can be open at once. The kernel bounds those of the whole machine together (`kernel.pty.max`), so that one
/// sandbox could leave none to the user's own terminals.
const MAX_TERMINALS: &str = "256";

fn mount_devpts(view: &mut View) -> io::Result<()> {
    let options = [("ptmxmode", "0666"), ("mode", "0620"), ("max", MAX_TERMINALS)];
    view.mount_fresh("devpts", Path::new("/dev/pts"), &options)?;
    view.symlink(Path::new("/dev/ptmx"), Path::new("pts/ptmx"))
}

fn limit(resource: Resource, value: u64, mechanism: LimitMechanism) -> Result<(), Failure> {
    match mechanism {
        LimitMechanism::Rlimit => Ok(crate::limits::rlimits::apply(resource, value)?),
        LimitMechanism::Affinity => Ok(crate::limits::rlimits::affinity(value)?),
        _ => Err(io::Error::from_raw_os_error(libc::ENOSYS).into()),
    }
}

/// Why a step failed: what crosses the channel of an error.
#[derive(Debug)]
struct Failure {
    errno: i32,
    detail: String,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self { errno: error.raw_os_error().unwrap_or(libc::EIO), detail: String::new() }
    }
}

impl From<rustix::io::Errno> for Failure {
    fn from(error: rustix::io::Errno) -> Self {
        io::Error::from(error).into()
    }
}

impl From<LandlockError> for Failure {
    fn from(error: LandlockError) -> Self {
        explained(&error)
    }
}

impl From<GateError> for Failure {
    fn from(error: GateError) -> Self {
        explained(&error)
    }
}

impl From<StreamError> for Failure {
    fn from(error: StreamError) -> Self {
        explained(&error)
    }
}

impl From<LimitError> for Failure {
    fn from(error: LimitError) -> Self {
        explained(&error)
    }
}

/// An error that has more to say than the number of the system's error that caused it.
fn explained(error: &(dyn std::error::Error + 'static)) -> Failure {
    let causes = std::iter::successors(Some(error), |cause| cause.source());
    let errno = causes.filter_map(|cause| cause.downcast_ref::<io::Error>()?.raw_os_error()).last();
    Failure { errno: errno.unwrap_or(libc::EIO), detail: error.to_string() }
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}
