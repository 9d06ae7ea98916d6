//! Opening a FIFO waits for the other side (`fifo(7)`), and the other side may be the next to ask.
//!
//! So each such opening waits in a thread of its own, which answers when it is through. A process that is killed while it
//! waits leaves the thread behind; it is released by opening both sides here.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use super::capabilities::OwnCapabilities;
use super::walk::link_of;
use crate::sys::notify::{AddDescriptor, Listener};

/// Openings that wait at a time; more fail with `EAGAIN`.
const MAX_WAITING: usize = 16;
/// A thread that only opens and answers needs little.
const STACK: usize = 64 * 1024;

/// Openings that wait.
#[derive(Debug, Default)]
pub(super) struct Waiting(Vec<Opening>);

#[derive(Debug)]
struct Opening {
    id: u64,
    fifo: Arc<OwnedFd>,
    thread: JoinHandle<()>,
}

impl Waiting {
    /// Opens a FIFO, given as a place, for the call `id`, and answers it when that is done.
    pub(super) fn open(
        &mut self,
        (listener, own): (&Arc<Listener>, OwnCapabilities),
        id: u64,
        fifo: OwnedFd,
        flags: OFlags,
        close_on_exec: bool,
    ) -> Result<(), Errno> {
        self.release(|opening| !listener.is_valid(opening.id).unwrap_or(false));
        if self.0.len() >= MAX_WAITING {
            return Err(Errno::AGAIN);
        }
        let fifo = Arc::new(fifo);
        let (listener, place) = (Arc::clone(listener), Arc::clone(&fifo));
        let wait = move || {
            let opened = own.aside(|| openat(CWD, link_of(place.as_fd()), flags, Mode::empty()));
            let answer = match opened.flatten() {
                Ok(file) => give(&listener, id, &file, close_on_exec),
                Err(error) => listener.respond_errno(id, error.raw_os_error()).map(|_delivered| ()),
            };
            // The observer's own next answer meets the same error, and reports it.
            drop(answer);
        };
        let thread = Builder::new().name("stockade-fifo".into()).stack_size(STACK).spawn(wait);
        let thread = thread.map_err(|_| Errno::AGAIN)?;
        self.0.push(Opening { id, fifo, thread });
        Ok(())
    }

    /// Ends the openings that are done, and those that `gone` says nobody waits for.
    fn release(&mut self, gone: impl Fn(&Opening) -> bool) {
        for opening in std::mem::take(&mut self.0) {
            if opening.thread.is_finished() || gone(&opening) {
                opening.end();
            } else {
                self.0.push(opening);
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.release(|_| true);
    }
}

impl Opening {
    /// Opens both sides, which lets the thread through, and waits for it. A thread that cannot be let through, because
    /// the file's permissions have been taken away, is left to end with the supervisor.
    fn end(self) {
        let both =
            openat(CWD, link_of(self.fifo.as_fd()), OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty());
        if both.is_ok() || self.thread.is_finished() {
            // It cannot panic, and would have nothing to say.
            drop(self.thread.join());
        }
    }
}

/// Puts a file into the process that asks, as the result of its call.
pub(super) fn give(listener: &Listener, id: u64, file: &OwnedFd, close_on_exec: bool) -> io::Result<()> {
    match listener.add_descriptor(id, file.as_fd(), AddDescriptor { number: None, close_on_exec, answer: true }) {
        Ok(_number) => Ok(()),
        // The process may have as many descriptors open as it may have (`EMFILE`): that is its call's result.
        Err(error) => listener.respond_errno(id, super::asker::errno(&error).raw_os_error()).map(|_delivered| ()),
    }
}
