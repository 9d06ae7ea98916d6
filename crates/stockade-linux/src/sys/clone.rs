#![allow(unsafe_code, reason = "clone3(2) and fork(2) have no safe wrapper")]
//! New processes by `clone3(2)`, with namespaces, a pidfd and a control group in one call.
//!
//! # Safety
//! A forked copy of a process with several threads holds locks that no thread will ever release. [`clone3`] therefore
//! refuses to run in a threaded process; see [`is_single_threaded`].

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::process::Pid;

/// Which of the two processes this is.
#[derive(Debug)]
pub(crate) enum Cloned {
    /// The new process.
    Child,
    /// The calling process.
    Parent {
        /// The new process, as the caller sees it.
        pid: Pid,
        /// A descriptor of it (`pidfd_open(2)`).
        pidfd: OwnedFd,
    },
}

/// The argument block of `clone3(2)` (`include/uapi/linux/sched.h`, version 2).
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// The namespaces of tier `namespaces`.
pub(crate) const ALL_NAMESPACES: i32 = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

/// Whether this process has one thread only. `/proc/self/task` has one directory for each thread, so its link count is
/// the number of threads and two (`proc(5)`).
pub(crate) fn is_single_threaded() -> io::Result<bool> {
    Ok(rustix::fs::stat("/proc/self/task")?.st_nlink == 3)
}

/// Copies the calling process into the given new namespaces, and into a version 2 control group if one is given.
///
/// # Errors
/// `EPERM` or `ENOSPC` where namespaces are blocked, `ENOSYS` where a filter hides the call, and those of `clone3(2)`.
pub(crate) fn clone3(namespaces: i32, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Cloned> {
    let mut pidfd: libc::c_int = -1;
    #[expect(clippy::cast_sign_loss, reason = "flags and descriptors are not negative")]
    let mut arguments = CloneArgs {
        flags: (namespaces | libc::CLONE_PIDFD) as u64,
        pidfd: (&raw mut pidfd) as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    if let Some(cgroup) = cgroup {
        // CLONE_INTO_CGROUP (include/uapi/linux/sched.h).
        arguments.flags |= 0x2_0000_0000;
        #[expect(clippy::cast_sign_loss, reason = "an open descriptor is not negative")]
        {
            arguments.cgroup = cgroup.as_raw_fd() as u64;
        }
    }
    // SAFETY: without CLONE_VM the child gets a copy of the address space and returns on a copy of this stack, as with
    // fork(2). `arguments` and `pidfd` outlive the call, and the size given is the size of the struct.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<CloneArgs>()) };
    match result {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Cloned::Child),
        pid => Ok(Cloned::Parent {
            pid: i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(|| io::Error::from_raw_os_error(libc::EOVERFLOW))?,
            // SAFETY: the kernel stored a new descriptor there that nothing else owns.
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        }),
    }
}

/// `fork(2)`: `None` in the child, the child's process id in the parent.
pub(crate) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: only called by the stage, which has one thread (it is itself a forked copy of a process that was checked
    // to have one), so the child may use everything that the parent could.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(Pid::from_raw(pid)),
    }
}

/// Ends the process at once: no destructors, no exit handlers, which belong to the process that was copied.
pub(crate) fn exit_now(status: i32) -> ! {
    // SAFETY: _exit(2) has no preconditions.
    unsafe { libc::_exit(status) }
}
