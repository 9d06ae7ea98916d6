//! Process 1 of the sandbox (in tier `landlock`: the reaper of its descendants): waits, passes signals on, and ends
//! everything when the command or the supervisor ends.

use std::io;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use stockade_spec::Tier;
use stockade_spec::plan::{Operation, Plan};

use super::channel::{Channel, Received};
use super::message::{FromStage, Status, ToInit};
use super::{descendants, discarded, gate};
use crate::sys::signals::Signals;

/// The child by which a sandbox lives.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Child {
    /// The command of a run.
    Command(Pid),
    /// The spawner of a sandbox that lasts. Code inside may send it any signal.
    Spawner(Pid),
}

impl Child {
    const fn pid(self) -> Pid {
        match self {
            Self::Command(pid) | Self::Spawner(pid) => pid,
        }
    }
}

/// Runs until the child has ended, reports, and ends the process.
pub(crate) fn run(plan: &Plan, channel: &Channel, mut service: Option<Channel>, child: Child, children: &Signals) -> ! {
    let status = match wait(channel, &mut service, child, children, plan.tier) {
        Ok(Some(status)) => status,
        // The supervisor is gone, or init cannot go on: nothing may outlive it.
        Ok(None) | Err(_) => {
            end_everything(plan.tier);
            remove_private_directories(plan);
            crate::sys::clone::exit_now(1);
        }
    };
    end_everything(plan.tier);
    // The supervisor may be gone by now; then there is nobody to tell.
    drop(report(plan, channel, status));
    crate::sys::clone::exit_now(0)
}

/// Waits for the child, or for the word to end; `None` when the supervisor ended first.
fn wait(
    channel: &Channel,
    service: &mut Option<Channel>,
    child: Child,
    children: &Signals,
    tier: Tier,
) -> io::Result<Option<Status>> {
    loop {
        while children.next()?.is_some() {}
        if let Some(status) = reap(channel, child)? {
            return Ok(Some(status));
        }
        match take_orders(channel, child.pid(), tier)? {
            Orders::GoOn => {}
            Orders::End => return Ok(Some(Status::Signaled(libc::SIGKILL))),
            Orders::SupervisorGone => return Ok(None),
        }
        sleep(channel, service, children)?;
    }
}

/// Waits until a child or the supervisor wants something, and makes sockets meanwhile.
fn sleep(channel: &Channel, service: &mut Option<Channel>, children: &Signals) -> io::Result<()> {
    loop {
        let mut set = Vec::with_capacity(3);
        set.push(PollFd::new(children.descriptor(), PollFlags::IN));
        set.push(PollFd::from_borrowed_fd(channel.as_fd(), PollFlags::IN));
        set.extend(service.iter().map(|service| PollFd::from_borrowed_fd(service.as_fd(), PollFlags::IN)));
        match poll(&mut set, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let is_ready = |at: usize| set.get(at).is_some_and(|polled| !polled.revents().is_empty());
        let (others, asked) = (is_ready(0) || is_ready(1), is_ready(2));
        drop(set);
        if asked && service.as_ref().is_some_and(|service| !gate::serve(service).unwrap_or(false)) {
            // Nobody can ask any more.
            *service = None;
        }
        if others {
            return Ok(());
        }
    }
}

/// What the supervisor wants.
enum Orders {
    GoOn,
    End,
    SupervisorGone,
}

fn take_orders(channel: &Channel, command: Pid, tier: Tier) -> io::Result<Orders> {
    loop {
        match channel.receive()? {
            Received::Packet(packet, _) => match ToInit::decode(&packet) {
                Ok(ToInit::Signal(number)) => pass_on(number, command, tier),
                Ok(ToInit::End) => return Ok(Orders::End),
                Ok(ToInit::Proceed) => {}
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            },
            Received::Closed => return Ok(Orders::SupervisorGone),
            Received::Nothing => return Ok(Orders::GoOn),
        }
    }
}

/// Reaps whatever has ended; returns how the child did. A spawner that was stopped has ended: nobody would hear of commands
/// any more, and what has stopped it once can do it again.
fn reap(channel: &Channel, child: Child) -> io::Result<Option<Status>> {
    loop {
        let options = WaitOptions::NOHANG | WaitOptions::UNTRACED;
        let (pid, status) = match rustix::process::wait(options) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if pid != child.pid() {
            continue;
        }
        if let Some(signal) = status.stopping_signal() {
            if let Child::Spawner(_) = child {
                return Ok(Some(Status::Signaled(signal)));
            }
            channel.send(&FromStage::Stopped { signal }.encode(), &[])?;
        } else if let Some(status) = ended(status) {
            return Ok(Some(status));
        }
    }
}

fn ended(status: WaitStatus) -> Option<Status> {
    if let Some(code) = status.exit_status() {
        return Some(Status::Exited(u8::try_from(code & 0xff).unwrap_or(u8::MAX)));
    }
    status.terminating_signal().map(Status::Signaled)
}

fn pass_on(number: i32, command: Pid, tier: Tier) {
    let Some(signal) = Signal::from_named_raw(number) else { return };
    if matches!(signal, Signal::STOP | Signal::CONT) {
        // The supervisor stops as well, so that nothing may go on behind its back.
        return signal_everything(signal, tier);
    }
    // The command leads its own process group. It may have ended meanwhile; then there is nothing to signal.
    if rustix::process::kill_process_group(command, signal).is_err() {
        rustix::process::kill_process(command, signal).ok();
    }
}

/// Signals every process of the sandbox but this one.
fn signal_everything(signal: Signal, tier: Tier) {
    if tier == Tier::Namespaces {
        // Group 1 is passed as -1, which to process 1 of a namespace means every other process in it (kill(2)). None being left
        // is fine.
        rustix::process::kill_process_group(Pid::INIT, signal).ok();
    } else {
        descendants::signal(signal);
    }
}

/// Kills and reaps every process of the sandbox but this one.
fn end_everything(tier: Tier) {
    if tier == Tier::Landlock {
        // However long it takes: the supervisor, if it is there, ends this process and goes on.
        descendants::end(&[], None);
        return;
    }
    loop {
        signal_everything(Signal::KILL, tier);
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

fn report(plan: &Plan, channel: &Channel, status: Status) -> io::Result<()> {
    let told =
        discarded::list(plan).iter().try_for_each(|path| channel.send(&FromStage::discarded(path).encode(), &[]));
    // Not left to the supervisor, which may be killed before it comes to it.
    remove_private_directories(plan);
    told?;
    let usage = crate::sys::usage::of_children()?;
    let message = FromStage::Ended {
        status,
        user_us: usage.user_us,
        system_us: usage.system_us,
        peak_resident: usage.peak_resident,
    };
    channel.send(&message.encode(), &[])
}

/// Removes what tier `landlock` has on the host besides the workspace. The supervisor does it once more, if it can.
pub(super) fn remove_private_directories(plan: &Plan) {
    for step in &plan.steps {
        if let Operation::PrivateDirectory { path } = &step.operation {
            // What cannot be removed, the supervisor tells of.
            drop(crate::removal::remove(path));
        }
    }
}
