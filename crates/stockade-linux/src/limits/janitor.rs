//! Removing control groups after the supervisor was killed.
//!
//! Directories of control groups stay until someone removes them, and nobody is told when a supervisor is ended by
//! SIGKILL. The janitor is a copy of the supervisor, made before the first directory is, that does one thing: wait for
//! the supervisor's end on its pidfd, then end what is left in the groups and remove them. It is in a process group of
//! its own, holds no descriptor but that pidfd, and blocks all signals, so nothing that ends the supervisor by
//! terminal, process group or closed pipe ends it too. It writes to no memory but its stack.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};

use super::error::LimitError;
use super::members;
use crate::sys::clone::{exit_now, is_single_threaded};
use crate::sys::janitor::{Copied, copy, reap, seclude};

/// The process that removes the groups of a supervisor that was killed. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Janitor {
    pid: Pid,
    process: OwnedFd,
}

impl Janitor {
    /// Starts the janitor for the groups at `paths`, which need not exist yet, and must not belong to anyone else.
    ///
    /// # Errors
    /// [`LimitError::Threaded`] in a process with several threads; [`LimitError::Call`].
    pub(crate) fn start(paths: &[CString]) -> Result<Self, LimitError> {
        if !is_single_threaded().map_err(|error| LimitError::call("count the threads of this process", error))? {
            return Err(LimitError::Threaded);
        }
        let supervisor = pidfd_open(getpid(), PidfdFlags::empty())
            .map_err(|error| LimitError::call("open a descriptor of this process", error))?;
        match copy().map_err(|error| LimitError::call("start the process that cleans up", error))? {
            Copied::Original { pid, pidfd } => {
                let janitor = Self { pid, process: pidfd };
                // Done here and not by the janitor, which may not have run yet when the first directory is made.
                rustix::process::setpgid(Some(pid), Some(pid))
                    .map_err(|error| LimitError::call("give the process that cleans up its own group", error))?;
                Ok(janitor)
            }
            Copied::Copy => exit_now(live(supervisor.as_fd(), paths)),
        }
    }

    /// Its process id.
    pub(crate) const fn pid(&self) -> Pid {
        self.pid
    }

    /// Lets it wait for the end of this process, to try again what failed here.
    pub(crate) fn leave(self) {
        // The descriptor is closed without the signal that dropping would send.
        std::mem::forget(self);
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        // If it cannot be signalled it has ended; if it cannot be waited for, it is not our child any more. Both are
        // fine.
        drop(pidfd_send_signal(&self.process, Signal::KILL).map_err(std::io::Error::from));
        drop(reap(self.process.as_fd()));
    }
}

/// The janitor's life; its exit status.
fn live(supervisor: BorrowedFd<'_>, paths: &[CString]) -> i32 {
    // Each of these only makes it harder to disturb; the work is done without them too.
    drop(rustix::process::chdir(c"/").map_err(std::io::Error::from));
    drop(rustix::thread::set_name(NAME).map_err(std::io::Error::from));
    if seclude(supervisor).is_err() {
        return 1;
    }
    await_end(rustix::stdio::stdin());
    // Init, which notices the supervisor's end as well, has something to tidy up itself, and must not be killed over it.
    for path in paths {
        members::give_time(path);
    }
    // All are tried, whatever becomes of one.
    paths.iter().fold(0, |status, path| if members::end(path).is_ok() { status } else { 1 })
}

/// The name that `ps` and `top` show; 15 bytes at most.
const NAME: &CStr = c"stockade-clean";

/// Waits until the process of the descriptor has ended: then it is readable.
fn await_end(process: BorrowedFd<'_>) {
    loop {
        let mut set = [PollFd::new(&process, PollFlags::IN)];
        if matches!(poll(&mut set, None), Ok(1..)) {
            return;
        }
    }
}
