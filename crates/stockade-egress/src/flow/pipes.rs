//! Pipes for `splice(2)`: a direction of a connection holds one only while data is in it.
//!
//! An idle connection holds two sockets and nothing else. Pipes that were emptied wait in a small pool, since making one takes
//! three system calls.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::pipe::{PipeFlags, pipe_with};

/// Empty pipes that are kept.
const KEPT: usize = 32;

/// What a pipe holds from the start (pipe(7)), in bytes.
pub(super) const USUAL: usize = 64 << 10;

/// What a pipe holds that a fast stream has filled, in bytes.
const LARGE: usize = 1 << 20;

/// Large pipes at once. The kernel lets all pipes of a user together have 64 MiB (pipe(7), `pipe-user-pages-soft`); other
/// programs need theirs.
const MOST_LARGE: usize = 16;

/// A pipe.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) output: OwnedFd,
    pub(super) input: OwnedFd,
    /// Counts as one of the large ones for as long as it lives.
    large: Option<Arc<AtomicUsize>>,
}

impl Drop for Pipe {
    fn drop(&mut self) {
        if let Some(count) = &self.large {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Empty pipes for reuse.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    kept: Mutex<Vec<Pipe>>,
    large: Arc<AtomicUsize>,
}

impl Pool {
    /// An empty pipe, kept or new. Fails when descriptors or the user's share of pipe memory (pipe(7)) are used up.
    pub(super) fn take(&self) -> io::Result<Pipe> {
        if let Some(pipe) = self.lock().pop() {
            return Ok(pipe);
        }
        let (output, input) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Pipe { output, input, large: None })
    }

    /// Has a pipe hold more, where that is still to be had: fewer calls and wake-ups for each byte. It works without, too.
    pub(super) fn enlarge(&self, pipe: &mut Pipe) {
        if pipe.large.is_some() || self.large.load(Ordering::Relaxed) >= MOST_LARGE {
            return;
        }
        if rustix::pipe::fcntl_setpipe_size(&pipe.input, LARGE).is_ok() {
            self.large.fetch_add(1, Ordering::Relaxed);
            pipe.large = Some(Arc::clone(&self.large));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_pipes_are_large_and_only_so_many_are_kept() {
        let pool = Pool::default();
        let mut pipes: Vec<_> = (0..40).map(|_| pool.take().unwrap()).collect();
        pipes.iter_mut().for_each(|pipe| pool.enlarge(pipe));
        assert!(pool.large.load(Ordering::Relaxed) <= MOST_LARGE);
        assert_eq!(pool.large.load(Ordering::Relaxed), pipes.iter().filter(|pipe| pipe.large.is_some()).count());
        pipes.into_iter().rev().for_each(|pipe| pool.give_back(pipe));
        let kept = std::mem::take(&mut *pool.lock());
        assert_eq!(kept.len(), KEPT);
        drop(kept);
        assert_eq!(pool.large.load(Ordering::Relaxed), 0);
    }
}
