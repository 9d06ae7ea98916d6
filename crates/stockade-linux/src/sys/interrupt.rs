#![allow(unsafe_code, reason = "handlers and signals to one thread have no safe wrapper")]
//! Ends a system call in which a thread of this process waits: a signal to that thread, which does nothing but interrupt
//! (`EINTR`, `signal(7)`).
//!
//! The signal is SIGURG, which does nothing where nobody wants it, so that one too many harms nobody.

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::thread::JoinHandleExt;
use std::thread::JoinHandle;

extern "C" fn nothing(_signal: i32) {}

/// Lets the signal interrupt calls instead of being ignored or making the kernel begin them again.
pub(crate) fn arrange() -> io::Result<()> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a zeroed `sigaction` is a valid one, and sigemptyset writes to its mask only. The handler touches nothing, so
    // that it can interrupt anything; without SA_RESTART calls end.
    let result = unsafe {
        let action = action.assume_init_mut();
        action.sa_sigaction = nothing as extern "C" fn(i32) as libc::sighandler_t;
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(libc::SIGURG, action, std::ptr::null_mut())
    };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Lets the calling thread be interrupted, whatever its mask is.
pub(crate) fn permit() -> io::Result<()> {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set, which lives through the calls.
    let error = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGURG);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), std::ptr::null_mut())
    };
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

/// Interrupts what the thread waits in. One that is about to wait is not kept from it: see that it has ended, and interrupt
/// it again.
#[allow(
    clippy::unnecessary_cast,
    clippy::as_conversions,
    reason = "the C library's type is a number or, with musl, a pointer"
)]
pub(crate) fn interrupt<T>(thread: &JoinHandle<T>) {
    let thread = thread.as_pthread_t() as libc::pthread_t;
    // SAFETY: the thread has not been joined or detached, since its handle is there. A thread that has ended meanwhile is
    // sent nothing.
    unsafe { libc::pthread_kill(thread, libc::SIGURG) };
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_call_that_waits_ends() {
        arrange().unwrap();
        let (reader, _writer) = rustix::pipe::pipe().unwrap();
        let thread = std::thread::spawn(move || {
            permit().unwrap();
            rustix::io::read(&reader, &mut [0; 1])
        });
        let started = Instant::now();
        while !thread.is_finished() {
            assert!(started.elapsed() < Duration::from_secs(20));
            interrupt(&thread);
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(thread.join().unwrap(), Err(rustix::io::Errno::INTR));
    }
}
