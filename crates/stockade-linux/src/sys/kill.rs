#![allow(unsafe_code, reason = "rustix has no real-time signals and no way to send none")]
//! Signals by raw number: any that `kill(2)` takes, real-time ones and 0 ("is it there?") too.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Sends a signal to the process of a handle (`pidfd_send_signal(2)`).
pub(crate) fn send(process: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open, and the kernel accepts a null information pointer; nothing else is memory.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal, no_info, 0) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Sends a signal to every process of a group; `group` is greater than 1.
pub(crate) fn send_to_group(group: u32, signal: i32) -> io::Result<()> {
    let group = libc::pid_t::try_from(group).ok().filter(|&group| group > 1);
    let group = group.ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
    // SAFETY: `kill` touches no memory of this process.
    if unsafe { libc::kill(-group, signal) } == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::process::Command;

    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    use super::*;

    #[test]
    fn signals_reach_the_process() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let handle = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        send(handle.as_fd(), 0).unwrap();
        assert_eq!(send(handle.as_fd(), 9999).unwrap_err().raw_os_error(), Some(libc::EINVAL));
        send(handle.as_fd(), libc::SIGRTMIN()).unwrap();
        child.wait().unwrap();
        assert_eq!(send(handle.as_fd(), 0).unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }

    #[test]
    fn no_group_stands_for_everyone() {
        for group in [0, 1, u32::MAX] {
            assert_eq!(send_to_group(group, 0).unwrap_err().raw_os_error(), Some(libc::ESRCH));
        }
    }
}
