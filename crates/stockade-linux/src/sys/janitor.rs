#![allow(unsafe_code, reason = "clone(2) without an exit signal, signal masks and close_range(2) have no safe wrapper")]
//! What the janitor needs of the system: a copy of the process that nobody notices.
//!
//! # Safety
//! The copy shares nothing that is written with the calling process. Callers make it while the process has one thread,
//! and the copy makes system calls only.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::process::Pid;

/// Which of the two processes this is.
#[derive(Debug)]
pub(crate) enum Copied {
    /// The copy.
    Copy,
    /// The calling process.
    Original {
        /// The copy's process id.
        pid: Pid,
        /// A descriptor of the copy.
        pidfd: OwnedFd,
    },
}

/// Copies the calling process. The copy's end sends no signal, and `wait(2)` for any child does not see it: it belongs
/// to [`reap`] alone.
pub(crate) fn copy() -> io::Result<Copied> {
    let mut pidfd: RawFd = -1;
    let flags = libc::c_ulong::try_from(libc::CLONE_PIDFD).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: without CLONE_VM the copy has its own address space and returns on its own copy of this stack, as after
    // fork(2). The kernel stores the descriptor in `pidfd`, which outlives the call. The last two arguments, which
    // architectures order differently, are both 0 and unused without CLONE_SETTLS and CLONE_CHILD_*TID.
    let result = unsafe { libc::syscall(libc::SYS_clone, flags, 0_usize, &raw mut pidfd, 0_usize, 0_usize) };
    match result {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Copied::Copy),
        pid => {
            // SAFETY: the call succeeded, so the kernel stored a new descriptor there that nothing else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
            Ok(Copied::Original { pid, pidfd })
        }
    }
}

/// In the copy: blocks all signals but the two that cannot be, and closes every descriptor but `keep`, which becomes 0.
pub(crate) fn seclude(keep: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the set is initialised by sigfillset before it is read; the old mask is not asked for. Descriptors that
    // objects of the original still name are closed here, but the copy never uses nor drops those: it ends by
    // exit_group(2).
    let result = unsafe {
        let mut all = std::mem::MaybeUninit::uninit();
        libc::sigfillset(all.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut());
        if keep.as_raw_fd() != 0 && libc::dup2(keep.as_raw_fd(), 0) == -1 {
            return Err(io::Error::last_os_error());
        }
        libc::syscall(libc::SYS_close_range, 1, libc::c_uint::MAX, 0)
    };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Waits for the end of a copy made by [`copy`].
pub(crate) fn reap(copy: BorrowedFd<'_>) -> io::Result<()> {
    let id = libc::id_t::try_from(copy.as_raw_fd()).map_err(|_| io::ErrorKind::InvalidInput)?;
    loop {
        // SAFETY: without a place for the result, waitid(2) writes nothing; a wrong descriptor is an error.
        let result = unsafe { libc::waitid(libc::P_PIDFD, id, std::ptr::null_mut(), libc::WEXITED | libc::__WALL) };
        match result {
            0 => return Ok(()),
            _ => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
        }
    }
}
