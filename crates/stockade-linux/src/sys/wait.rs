#![allow(unsafe_code, reason = "wait4(2) has no safe wrapper")]
//! Waiting for children together with what each of them used (`wait4(2)`).

use std::io;
use std::mem::MaybeUninit;

use rustix::process::Pid;

use super::usage::ChildUsage;

/// What became of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It was stopped by a signal.
    Stopped(i32),
    /// It has exited.
    Exited(i32),
    /// A signal has ended it.
    Signaled(i32),
}

/// A child of which there is something to tell, what, and what it and its own reaped children used; `None` when no child
/// has anything to tell.
///
/// # Errors
/// `ECHILD` when there are no children.
pub(crate) fn next() -> io::Result<Option<(Pid, Change, ChildUsage)>> {
    let (mut status, mut usage) = (0, MaybeUninit::<libc::rusage>::uninit());
    let options = libc::WUNTRACED | libc::WNOHANG;
    // SAFETY: both buffers have the types that the call fills and live through it.
    let pid = unsafe { libc::wait4(-1, &raw mut status, options, usage.as_mut_ptr()) };
    let Some(pid) = Pid::from_raw(pid.max(0)) else {
        return if pid == 0 { Ok(None) } else { Err(io::Error::last_os_error()) };
    };
    // SAFETY: the call returned a child, so it filled the buffer.
    let usage = ChildUsage::of(unsafe { usage.assume_init_ref() });
    let change = if libc::WIFSTOPPED(status) {
        Change::Stopped(libc::WSTOPSIG(status))
    } else if libc::WIFSIGNALED(status) {
        Change::Signaled(libc::WTERMSIG(status))
    } else {
        Change::Exited(libc::WEXITSTATUS(status))
    };
    Ok(Some((pid, change, usage)))
}
