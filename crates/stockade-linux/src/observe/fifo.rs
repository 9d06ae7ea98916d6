//! Opening a FIFO waits for the other side (`fifo(7)`), and the other side may be the next to ask.
//!
//! So each such opening waits in a thread of its own, which answers when it is through. A process that is killed while it
//! waits leaves the thread behind. That is interrupted by a signal, since opening the other side here would need permissions
//! that whoever waits need not have, and that can be taken away meanwhile. A thread counts until it has ended, however long
//! that takes, so that there are never more than may wait.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use super::capabilities::OwnCapabilities;
use super::walk::link_of;
use crate::sys::interrupt;
use crate::sys::notify::{AddDescriptor, Listener};

/// Openings that wait at a time; more fail with `EAGAIN`.
pub(super) const MAX_WAITING: usize = 16;
/// A thread that only opens and answers needs little.
const STACK: usize = 64 * 1024;
/// The longest that a thread is waited for which has been interrupted. It takes microseconds, unless its file system does not
/// answer.
const END: Duration = Duration::from_millis(100);
/// After how long it is looked at, and interrupted, again.
const LOOK: Duration = Duration::from_micros(50);

/// Openings that wait.
#[derive(Debug, Default)]
pub(super) struct Waiting(Vec<Opening>);

#[derive(Debug)]
struct Opening {
    id: u64,
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
        interrupt::arrange().map_err(|_| Errno::AGAIN)?;
        let listener = Arc::clone(listener);
        let wait = move || {
            let answer = match open(&fifo, own, flags) {
                Ok(file) => give(&listener, id, &file, close_on_exec),
                Err(error) => listener.respond_errno(id, error.raw_os_error()).map(|_delivered| ()),
            };
            // The observer's own next answer meets the same error, and reports it.
            drop(answer);
        };
        let thread = Builder::new().name("stockade-fifo".into()).stack_size(STACK).spawn(wait);
        let thread = thread.map_err(|_| Errno::AGAIN)?;
        self.0.push(Opening { id, thread });
        Ok(())
    }

    /// Lets go of the openings that are done, and ends those that `gone` says nobody waits for.
    fn release(&mut self, gone: impl Fn(&Opening) -> bool) {
        for opening in std::mem::take(&mut self.0) {
            if opening.thread.is_finished() || (gone(&opening) && opening.is_ended()) {
                // It cannot panic, and would have nothing to say.
                drop(opening.thread.join());
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
    /// Interrupts the thread until it ends. Whether it has.
    fn is_ended(&self) -> bool {
        let started = Instant::now();
        while !self.thread.is_finished() && started.elapsed() < END {
            interrupt::interrupt(&self.thread);
            std::thread::sleep(LOOK);
        }
        self.thread.is_finished()
    }
}

/// Opens a FIFO, given as a place, and waits for its other side.
fn open(fifo: &OwnedFd, own: OwnCapabilities, flags: OFlags) -> Result<OwnedFd, Errno> {
    // A thread that could not be interrupted might wait for good.
    interrupt::permit().map_err(|_| Errno::AGAIN)?;
    own.aside(|| openat(CWD, link_of(fifo.as_fd()), flags, Mode::empty())).flatten()
}

/// Puts a file into the process that asks, as the result of its call.
pub(super) fn give(listener: &Listener, id: u64, file: &OwnedFd, close_on_exec: bool) -> io::Result<()> {
    match listener.add_descriptor(id, file.as_fd(), AddDescriptor { number: None, close_on_exec, answer: true }) {
        Ok(_number) => Ok(()),
        // The process may have as many descriptors open as it may have (`EMFILE`): that is its call's result.
        Err(error) => listener.respond_errno(id, super::asker::errno(&error).raw_os_error()).map(|_delivered| ()),
    }
}
