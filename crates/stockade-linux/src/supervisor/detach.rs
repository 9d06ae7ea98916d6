//! Leaving the caller: a supervisor that goes on when whoever started it has ended.

use std::io;

use crate::sys::clone::{exit_now, fork, is_single_threaded};

/// Goes on in a copy of this process that has a session of its own, and whose parent has ended with status 0. No descriptor
/// is closed.
///
/// # Errors
/// When the process has several threads, or cannot be copied.
pub fn detach() -> io::Result<()> {
    if !is_single_threaded()? {
        return Err(io::Error::other("a process with several threads cannot be copied"));
    }
    if fork()?.is_some() {
        exit_now(0);
    }
    rustix::process::setsid()?;
    Ok(())
}
