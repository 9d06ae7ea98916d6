//! The leader of a terminal's session: between the spawner and a command that has a pseudo-terminal.
//!
//! The command must not lead the session itself: then no process of the session would be the parent of its group, and the
//! kernel drops every stop that a terminal asks of such an orphaned group (signal handling in POSIX, 2.4.3). In a run, init
//! is that leader; here, where there may be several terminals, each has one of its own.

use std::io;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal};

use super::message::FromSpawner;
use super::start::Task;
use super::{ended, exited};
use crate::stage::message::Status;
use crate::sys::clone::{Memory, exit_now, spawn};
use crate::sys::signals::Signals;
use crate::sys::wait::{self, Change};

/// Stands for SIGSTOP, which nothing but a process itself would get: the leader stops the command at it, and goes on.
pub(super) const STOP: i32 = libc::SIGPWR;

/// Signals that are passed on to the command.
const PASSED_ON: &[i32] = &[
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGCONT,
    libc::SIGTSTP,
    STOP,
];

/// Leads the session, starts the command in it, and tells of it. Exits with 0 when it has told how the command ended.
pub(super) fn run(task: &Task<'_>) -> ! {
    let told = lead(task);
    if let Err(error) = &told {
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        drop(task.channel.send(&FromSpawner::ExecFailed { id: task.id, errno }.encode(), &[]));
    }
    exit_now(if told.is_ok() { 0 } else { 126 })
}

fn lead(task: &Task<'_>) -> io::Result<()> {
    rustix::process::setsid()?;
    task.streams.give_terminal()?;
    let blocked: Vec<i32> = PASSED_ON.iter().copied().chain([libc::SIGCHLD]).collect();
    let signals = Signals::block(&blocked)?;
    let pid = spawn(task, Task::become_program, Memory::Shared)?;
    // The terminal hangs up when its last descriptor is closed, and this process goes on until the command has ended.
    loop {
        while let Some(signal) = signals.next()? {
            pass_on(signal, pid);
        }
        if let Some(message) = news(task.id, pid)? {
            task.channel.send(&message.encode(), &[])?;
            if matches!(message, FromSpawner::Ended { .. }) {
                return Ok(());
            }
        }
        let mut set = [PollFd::new(signals.descriptor(), PollFlags::IN)];
        match poll(&mut set, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn news(id: u32, command: Pid) -> io::Result<Option<FromSpawner>> {
    while let Some((pid, change, usage)) = wait::next()? {
        if pid != command {
            continue;
        }
        return Ok(Some(match change {
            Change::Stopped(signal) => FromSpawner::Stopped { id, signal },
            Change::Exited(status) => ended(id, exited(status), usage),
            Change::Signaled(signal) => ended(id, Status::Signaled(signal), usage),
        }));
    }
    Ok(None)
}

fn pass_on(signal: i32, command: Pid) {
    if signal == libc::SIGCHLD {
        return;
    }
    let signal = if signal == STOP { libc::SIGSTOP } else { signal };
    // It may have ended meanwhile; then there is nothing to signal.
    if let Some(signal) = Signal::from_named_raw(signal) {
        rustix::process::kill_process_group(command, signal).ok();
    }
}
