//! Pipes for `splice(2)`: a direction of a connection holds one only while data is in it.
//!
//! An idle connection holds two sockets and nothing else. Pipes that were emptied wait in a small pool, since making one takes
//! three system calls.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use rustix::pipe::{PipeFlags, pipe_with};

/// Empty pipes that are kept.
const KEPT: usize = 32;

/// A pipe.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) output: OwnedFd,
    pub(super) input: OwnedFd,
}

/// Empty pipes for reuse.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    kept: Mutex<Vec<Pipe>>,
}

impl Pool {
    /// An empty pipe, kept or new. Fails when descriptors or the user's share of pipe memory (pipe(7)) are used up.
    pub(super) fn take(&self) -> io::Result<Pipe> {
        if let Some(pipe) = self.lock().pop() {
            return Ok(pipe);
        }
        let (output, input) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Pipe { output, input })
    }

    /// Takes back a pipe that is empty. Those that are not must be dropped instead: what is in them belongs to a connection.
    pub(super) fn give_back(&self, empty: Pipe) {
        let mut kept = self.lock();
        if kept.len() < KEPT {
            kept.push(empty);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Pipe>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
