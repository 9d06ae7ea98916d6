//! The way through several trees at once: directories one in another, however deep, with few descriptors and bounded memory.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, Result};

use super::error::LayerError;
use super::names::Names;
use super::reach;
use super::stack::failure;
use crate::directory;

/// Most bytes of names that wait, over all directories that are open.
const MAX_WAITING: usize = 256 << 20;

/// Directories held open at once; the shell's usual limit is 1024 for everything.
const MAX_OPEN: usize = 256;

/// A tree of those that are walked together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Root<'r> {
    pub(crate) dir: BorrowedFd<'r>,
    /// Whether it is a layer, of which also what is closed to its owner is read.
    pub(crate) is_layer: bool,
}

/// Directories at one path of several trees, each with its tree's number.
pub(crate) type Group = Vec<(usize, OwnedFd)>;

/// A directory with names that wait, and what its visitor keeps with it.
#[derive(Debug)]
struct Frame<T> {
    /// `None` while it is closed to save descriptors.
    group: Option<Group>,
    /// The trees that have it.
    roots: Vec<usize>,
    kept: T,
    names: Names,
    path_length: usize,
}

/// A way through trees, depth first, in order.
#[derive(Debug)]
pub(crate) struct Descent<'r, T> {
    roots: Vec<Root<'r>>,
    frames: Vec<Frame<T>>,
    /// The first frames, which are closed.
    closed: usize,
    path: Vec<u8>,
    waiting: usize,
    open: usize,
}

impl<'r, T> Descent<'r, T> {
    /// At the roots, with nothing to visit yet.
    pub(crate) const fn new(roots: Vec<Root<'r>>) -> Self {
        Self { roots, frames: Vec::new(), closed: 0, path: Vec::new(), waiting: 0, open: 0 }
    }

    /// Directories of all roots.
    pub(crate) fn open_roots(&self) -> Result<Group> {
        let open = |root: &Root<'_>| match root.is_layer {
            true => reach::open_again(root.dir),
            false => directory::open_below(root.dir, b""),
        };
        self.roots.iter().enumerate().map(|(at, root)| Ok((at, open(root)?))).collect()
    }

    /// Path of what [`Self::next`] gave.
    pub(crate) fn path(&self) -> &[u8] {
        &self.path
    }

    /// Bytes of names that there is room for.
    pub(crate) const fn room(&self) -> usize {
        MAX_WAITING - self.waiting
    }

    /// An error at [`Self::path`].
    pub(crate) fn failure(&self, operation: &'static str, source: Errno) -> LayerError {
        match source {
            Errno::OVERFLOW => LayerError::TooMuch { limit: MAX_WAITING as u64, unit: "bytes of names at once" },
            source => failure(operation, &self.path, source),
        }
    }

    /// Goes on to the next name. Gives what `look` makes of it in its directories, which are open only meanwhile.
    pub(crate) fn next<R>(
        &mut self,
        look: impl FnOnce(&Group, &T, &CStr) -> Result<R>,
    ) -> std::result::Result<Option<R>, LayerError> {
        self.reopen()?;
        let Some(frame) = self.frames.last_mut() else { return Ok(None) };
        let (Some(group), Some(name)) = (&frame.group, frame.names.take()) else { return Ok(None) };
        self.path.truncate(frame.path_length);
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name.to_bytes());
        let result = look(group, &frame.kept, name);
        // A directory with nothing left waiting is let go before its last child, so that a deep chain costs nothing.
        if frame.names.is_done() {
            self.pop();
        }
        result.map(Some).map_err(|source| self.failure("look at", source))
    }

    /// Enters the directories at [`Self::path`], to visit these names in them.
    pub(crate) fn enter(&mut self, group: Group, kept: T, names: Names) {
        if names.is_done() {
            return;
        }
        self.waiting += names.cost();
        self.open += group.len();
        let roots = group.iter().map(|(root, _)| *root).collect();
        self.frames.push(Frame { group: Some(group), roots, kept, names, path_length: self.path.len() });
        while self.open > MAX_OPEN && self.closed + 1 < self.frames.len() {
            let group = self.frames[self.closed].group.take();
            self.open -= group.map_or(0, |group| group.len());
            self.closed += 1;
        }
    }

    fn pop(&mut self) {
        if let Some(frame) = self.frames.pop() {
            self.waiting -= frame.names.cost();
            self.open -= frame.group.map_or(0, |group| group.len());
            self.closed = self.closed.min(self.frames.len());
        }
    }

    /// Opens the deepest directories again when all that are left were closed: as many as may be open at once, so that the
    /// way down from the roots is gone once for all of them.
    fn reopen(&mut self) -> std::result::Result<(), LayerError> {
        if self.frames.is_empty() || self.closed < self.frames.len() {
            return Ok(());
        }
        self.closed = self.first_to_open();
        for at in self.closed..self.frames.len() {
            let (above, rest) = self.frames.split_at_mut(at);
            let Some(frame) = rest.first_mut() else { break };
            let path = &self.path[..frame.path_length];
            let group = match above.last().and_then(|frame| Some((frame.group.as_ref()?, frame.path_length))) {
                Some((group, done)) => {
                    let open = group.iter().map(|(root, dir)| (*root, dir.as_fd()));
                    frame.open_below(open, &self.roots, &path[done..])
                }
                None => {
                    let open = self.roots.iter().enumerate().map(|(at, root)| (at, root.dir));
                    frame.open_below(open, &self.roots, path)
                }
            };
            let group = group.map_err(|source| failure("open", path, source))?;
            self.open += group.len();
            frame.group = Some(group);
        }
        Ok(())
    }

    /// The first of the deepest frames that may all be open at once.
    fn first_to_open(&self) -> usize {
        let mut room = MAX_OPEN;
        let fits = |frame: &&Frame<T>| {
            let fits = room >= frame.roots.len();
            room = room.saturating_sub(frame.roots.len());
            fits
        };
        let count = self.frames.iter().rev().take_while(fits).count();
        self.frames.len() - count.max(1)
    }
}

impl<T> Frame<T> {
    /// Opens its directories again, by their path below some that are open. What is gone by now is not there.
    fn open_below<'a>(
        &self,
        above: impl Iterator<Item = (usize, BorrowedFd<'a>)>,
        roots: &[Root<'_>],
        path: &[u8],
    ) -> Result<Group> {
        let mut group = Group::new();
        for (root, dir) in above.filter(|(root, _)| self.roots.contains(root)) {
            let found = if roots[root].is_layer {
                reach::open_below(dir, path)?
            } else {
                reach::absent(directory::open_below(dir, path))?
            };
            group.extend(found.map(|found| (root, found)));
        }
        Ok(group)
    }
}
