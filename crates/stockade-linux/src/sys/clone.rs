#![allow(unsafe_code, reason = "clone3(2), clone(2) and fork(2) have no safe wrapper")]
//! New processes by `clone3(2)`, with namespaces, a pidfd and a control group in one call; and by `clone(2)` where
//! another sandbox around this one hides the newer call.
//!
//! # Safety
//! A forked copy of a process with several threads holds locks that no thread will ever release. Callers of [`clone`]
//! therefore make sure that the process has one thread; see [`is_single_threaded`].

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::{io, ptr};

use rustix::fs::{Mode, OFlags, openat};
use rustix::process::{Pid, WaitId, WaitIdOptions};

use super::stack::Stack;

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

/// Copies the calling process with the given flags of `clone(2)` (new namespaces, `CLONE_PARENT`), and into a version 2 control
/// group if one is given.
///
/// Filters cannot look at the arguments of `clone3`, which lie in memory, so sandboxes and containers refuse that call with
/// `ENOSYS`, some older ones with `EPERM`. Then `clone(2)` is tried, after which the new process is put into its group
/// while it still waits for word from this one.
///
/// # Errors
/// `EPERM` or `ENOSPC` where namespaces are blocked, and those of `clone(2)` and of writing to `cgroup.procs`.
pub(crate) fn clone(flags: i32, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Cloned> {
    match clone3(flags, cgroup) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
            let cloned = clone_by_flags(flags)?;
            if let (Cloned::Parent { pid, pidfd }, Some(cgroup)) = (&cloned, cgroup) {
                put_into(cgroup, *pid).inspect_err(|_| end(pidfd.as_fd()))?;
            }
            Ok(cloned)
        }
        done => done,
    }
}

/// `clone3(2)`.
fn clone3(flags: i32, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Cloned> {
    let mut pidfd: libc::c_int = -1;
    // A sibling tells the common parent of its end as the calling process does, and must not say so itself.
    let exit_signal = if flags & libc::CLONE_PARENT == 0 { libc::SIGCHLD } else { 0 };
    #[expect(clippy::cast_sign_loss, reason = "flags and descriptors are not negative")]
    let mut arguments = CloneArgs {
        flags: (flags | libc::CLONE_PIDFD) as u64,
        pidfd: (&raw mut pidfd) as u64,
        exit_signal: exit_signal as u64,
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
    // SAFETY: the call was made with CLONE_PIDFD and the address of `pidfd`.
    unsafe { cloned(result, pidfd) }
}

/// `clone(2)`, whose flags a filter can look at.
fn clone_by_flags(flags: i32) -> io::Result<Cloned> {
    let mut pidfd: libc::c_int = -1;
    let flags = libc::c_long::from(flags | libc::CLONE_PIDFD | libc::SIGCHLD);
    let (no_stack, unused) = (ptr::null_mut::<libc::c_void>(), 0_usize);
    // SAFETY: as with clone3: no CLONE_VM, and a null stack means a copy of this one. The kernel writes one `c_int` through
    // the third argument, which is the place of the pidfd on every architecture; the two after it, whose order differs
    // between architectures, are looked at only with CLONE_SETTLS, CLONE_CHILD_SETTID and CLONE_CHILD_CLEARTID.
    let result = unsafe { libc::syscall(libc::SYS_clone, flags, no_stack, &raw mut pidfd, unused, unused) };
    // SAFETY: the call was made with CLONE_PIDFD and the address of `pidfd`.
    unsafe { cloned(result, pidfd) }
}

/// What such a call returned.
///
/// # Safety
/// Where `result` is above zero, `pidfd` must be what the kernel stored for CLONE_PIDFD.
unsafe fn cloned(result: libc::c_long, pidfd: libc::c_int) -> io::Result<Cloned> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Cloned::Child),
        pid => Ok(Cloned::Parent {
            pid: i32::try_from(pid)
                .ok()
                .and_then(Pid::from_raw)
                .ok_or_else(|| io::Error::from_raw_os_error(libc::EOVERFLOW))?,
            // SAFETY: the kernel stored a new descriptor there that nothing else owns.
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        }),
    }
}

/// Puts a process into a version 2 control group.
fn put_into(cgroup: BorrowedFd<'_>, pid: Pid) -> io::Result<()> {
    let members = openat(cgroup, c"cgroup.procs", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(members, pid.as_raw_nonzero().to_string().as_bytes())?;
    Ok(())
}

/// Ends and reaps a new process.
fn end(pidfd: BorrowedFd<'_>) {
    // One that has ended already cannot be signalled; waiting for it is right in both cases.
    rustix::process::pidfd_send_signal(pidfd, rustix::process::Signal::KILL).ok();
    wait_for(pidfd).ok();
}

/// Waits for the end of a child: its exit status; `None` where a signal ended it.
pub(crate) fn wait_for(pidfd: BorrowedFd<'_>) -> io::Result<Option<i32>> {
    let wait = || rustix::process::waitid(WaitId::PidFd(pidfd), WaitIdOptions::EXITED);
    Ok(rustix::io::retry_on_intr(wait)?.and_then(|status| status.exit_status()))
}

/// Makes a user namespace for a process that ends at once.
///
/// # Errors
/// Those of [`clone`]: why this process may not make one.
pub(crate) fn try_user_namespace() -> io::Result<()> {
    match clone(libc::CLONE_NEWUSER, None)? {
        // Nothing but this call: this may be a copy of a process with several threads.
        Cloned::Child => exit_now(0),
        Cloned::Parent { pidfd, .. } => wait_for(pidfd.as_fd()).map(|_status| ()),
    }
}

/// `fork(2)`: `None` in the child, the child's process id in the parent.
pub(crate) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: only called by the spawner, which has one thread (it descends from the stage, a forked copy of a process that was
    // checked to have one), and by `detach`, which checks; so the child may use everything that the parent could.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(Pid::from_raw(pid)),
    }
}

/// Who uses the memory of a process that [`spawn`] makes, until it executes a program or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// That process only: it has a copy, as after `fork(2)`.
    Own,
    /// This process as well, which waits meanwhile, as after `vfork(2)`: nothing but a fatal signal ends the wait. It saves a copy
    /// of the page tables, and of every page that either would write to before the other's end.
    Shared,
}

/// Makes a process that runs `run`, on a stack of its own.
///
/// # Errors
/// Those of `mmap(2)` and `clone(2)`.
pub(crate) fn spawn<T>(value: &T, run: fn(&T) -> !, memory: Memory) -> io::Result<Pid> {
    struct Argument<'a, T> {
        value: &'a T,
        run: fn(&T) -> !,
    }
    extern "C" fn enter<T>(argument: *mut libc::c_void) -> libc::c_int {
        // SAFETY: the other process made it; this one has a copy, or the other one waits.
        let Argument { value, run } = unsafe { &*argument.cast::<Argument<'_, T>>() };
        run(value)
    }
    let stack = Stack::new()?;
    let mut argument = Argument { value, run };
    let flags = match memory {
        Memory::Own => libc::SIGCHLD,
        Memory::Shared => libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
    };
    // SAFETY: both processes have memory of their own; or CLONE_VFORK has one of the two run at a time, so that they use memory as one thread does that calls `run`,
    // which never returns, and has its own stack until then. It has `value` by a shared reference, so it cannot put into it what
    // means nothing to this process (a descriptor). Stack and argument outlive the call, after which the process does not use
    // this memory any more.
    let pid = unsafe { libc::clone(enter::<T>, stack.end(), flags, (&raw mut argument).cast()) };
    Pid::from_raw(pid).filter(|_| pid != -1).ok_or_else(io::Error::last_os_error)
}

/// Ends the process at once: no destructors, no exit handlers, which belong to the process that was copied.
pub(crate) fn exit_now(status: i32) -> ! {
    // SAFETY: _exit(2) has no preconditions.
    unsafe { libc::_exit(status) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_call_makes_a_process_with_a_descriptor_too() {
        for namespaces in [0, libc::CLONE_NEWUSER] {
            match clone_by_flags(namespaces).expect("a process") {
                // Nothing but this call: the test program has other threads.
                Cloned::Child => exit_now(7),
                Cloned::Parent { pid, pidfd } => {
                    assert!(pid.as_raw_nonzero().get() > 0);
                    assert_eq!(wait_for(pidfd.as_fd()).expect("it can be waited for"), Some(7));
                }
            }
        }
    }

    #[test]
    fn a_process_that_cannot_join_its_group_does_not_stay() {
        let nowhere = tempfile::tempdir().expect("a directory");
        let directory = openat(rustix::fs::CWD, nowhere.path(), OFlags::PATH, Mode::empty()).expect("it opens");
        let Ok(Cloned::Parent { pid, pidfd }) = clone_by_flags(0) else { exit_now(0) };
        let error = put_into(directory.as_fd(), pid).expect_err("no such group");
        end(pidfd.as_fd());
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
        assert!(wait_for(pidfd.as_fd()).is_err(), "it was not reaped");
    }
}
