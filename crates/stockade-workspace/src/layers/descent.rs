//! The way through the union: directories one in another, however deep, with few descriptors and bounded memory.
//!
//! Only what layers mention is entered, and what the host has where a layer hides it; the rest of the workspace costs nothing.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::{Errno, Result};

use super::error::LayerError;
use super::reach;
use super::stack::{Stack, failure};
use super::union::Union;
use crate::{directory, listing};

/// Most bytes of names that wait, over all directories that are open.
const MAX_WAITING: usize = 256 << 20;

/// Directories held open at once; the shell's usual limit is 1024 for everything.
const MAX_OPEN: usize = 256;

/// What an entry costs besides its name.
const PLACE: usize = size_of::<u32>();

/// Names of one directory, in the order of bytes.
#[derive(Debug, Default)]
struct Names {
    bytes: Vec<u8>,
    starts: Vec<u32>,
    next: usize,
}

/// A directory with names that wait.
#[derive(Debug)]
struct Frame {
    /// `None` while it is closed to save descriptors.
    union: Option<Union>,
    /// What to open it from again: layers, whether the host has it, whether that shows.
    layers: Vec<usize>,
    host: bool,
    shows_host: bool,
    names: Names,
    path_length: usize,
}

/// A way through the union, depth first, in order.
#[derive(Debug)]
pub(super) struct Descent<'s> {
    stack: &'s Stack,
    frames: Vec<Frame>,
    /// The first frames, which are closed.
    closed: usize,
    path: Vec<u8>,
    waiting: usize,
    open: usize,
}

impl<'s> Descent<'s> {
    /// Begins at the root.
    pub(super) fn new(stack: &'s Stack) -> std::result::Result<Self, LayerError> {
        let mut descent = Self { stack, frames: Vec::new(), closed: 0, path: Vec::new(), waiting: 0, open: 0 };
        descent.enter(root(stack).map_err(|source| failure("open", b"", source))?)?;
        Ok(descent)
    }

    /// Path of what [`Self::next`] gave.
    pub(super) fn path(&self) -> &[u8] {
        &self.path
    }

    /// Goes on to the next name. Gives what `look` makes of it in its directory, which is open only meanwhile.
    pub(super) fn next<T>(
        &mut self,
        look: impl FnOnce(&Union, &CStr) -> Result<T>,
    ) -> std::result::Result<Option<T>, LayerError> {
        if !self.frames.is_empty() {
            self.reopen()?;
        }
        let Some(frame) = self.frames.last_mut() else { return Ok(None) };
        self.path.truncate(frame.path_length);
        let name = frame.names.take();
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name.to_bytes());
        let Some(union) = &frame.union else { return Ok(None) };
        let result = look(union, name).map_err(|source| failure("look at", &self.path, source))?;
        // A directory with nothing left waiting is let go before its last child, so that a deep chain costs nothing.
        if frame.names.is_done() {
            self.pop();
        }
        Ok(Some(result))
    }

    /// Enters the directory at [`Self::path`].
    pub(super) fn enter(&mut self, union: Union) -> std::result::Result<(), LayerError> {
        let names = Names::of(&union, MAX_WAITING - self.waiting).map_err(|source| match source {
            Errno::OVERFLOW => LayerError::TooMuch { limit: MAX_WAITING as u64, unit: "bytes of names at once" },
            source => failure("read the directory", &self.path, source),
        })?;
        if names.is_done() {
            return Ok(());
        }
        self.waiting += names.cost();
        self.open += union.descriptors();
        self.frames.push(Frame {
            layers: union.layers.iter().map(|(layer, _)| *layer).collect(),
            host: union.host.is_some(),
            shows_host: union.shows_host,
            union: Some(union),
            names,
            path_length: self.path.len(),
        });
        while self.open > MAX_OPEN && self.closed + 1 < self.frames.len() {
            let union = self.frames[self.closed].union.take();
            self.open -= union.map_or(0, |union| union.descriptors());
            self.closed += 1;
        }
        Ok(())
    }

    fn pop(&mut self) {
        if let Some(frame) = self.frames.pop() {
            self.waiting -= frame.names.cost();
            self.open -= frame.union.map_or(0, |union| union.descriptors());
            self.closed = self.closed.min(self.frames.len());
        }
    }

    /// Opens the deepest directories again when all that are left were closed: as many as may be open at once, so that the
    /// way down from the root is gone once for all of them.
    fn reopen(&mut self) -> std::result::Result<(), LayerError> {
        if self.closed < self.frames.len() {
            return Ok(());
        }
        self.closed = self.first_to_open();
        for at in self.closed..self.frames.len() {
            let (above, rest) = self.frames.split_at_mut(at);
            let Some(frame) = rest.first_mut() else { break };
            let path = &self.path[..frame.path_length];
            let union = match above.last().and_then(|frame| Some((frame.union.as_ref()?, frame.path_length))) {
                Some((union, done)) => frame.open_below(union, &path[done..]),
                None => root(self.stack).and_then(|root| frame.open_below(&root, path)),
            };
            let union = union.map_err(|source| failure("open", path, source))?;
            self.open += union.descriptors();
            frame.union = Some(union);
        }
        Ok(())
    }

    /// The first of the deepest frames that may all be open at once.
    fn first_to_open(&self) -> usize {
        let mut room = MAX_OPEN;
        let fits = |frame: &&Frame| {
            let needed = frame.layers.len() + usize::from(frame.host);
            let fits = room >= needed;
            room = room.saturating_sub(needed);
            fits
        };
        let count = self.frames.iter().rev().take_while(fits).count();
        self.frames.len() - count.max(1)
    }
}

impl Frame {
    /// Opens its directory again, by its path below one that is open. What is gone by now is not there.
    fn open_below(&self, above: &Union, path: &[u8]) -> Result<Union> {
        let mut union = Union { layers: Vec::new(), host: None, shows_host: self.shows_host };
        for (layer, dir) in above.layers.iter().filter(|(layer, _)| self.layers.contains(layer)) {
            if let Some(dir) = reach::open_below(dir.as_fd(), path)? {
                union.layers.push((*layer, dir));
            }
        }
        if let Some(host) = above.host.as_ref().filter(|_| self.host) {
            union.host = reach::absent(directory::open_below(host.as_fd(), path))?;
        }
        Ok(union)
    }
}

/// The root, where all layers and the host's workspace are merged: overlayfs heeds no mark there.
fn root(stack: &Stack) -> Result<Union> {
    let open = |dir: BorrowedFd<'_>| directory::open_below(dir, b"");
    let layers = stack.layers().iter().enumerate().map(|(at, layer)| Ok((at, open(layer.as_fd())?)));
    Ok(Union { layers: layers.collect::<Result<_>>()?, host: Some(open(stack.workspace())?), shows_host: true })
}

impl Names {
    /// The names about which there may be something to say: all of the layers', and the host's where it is hidden.
    fn of(union: &Union, limit: usize) -> Result<Self> {
        let mut names = Self::default();
        let layers = union.layers.iter().map(|(_, dir)| dir);
        for dir in layers.chain(union.host.as_ref().filter(|_| !union.shows_host)) {
            names.read(dir.as_fd(), limit)?;
        }
        let Self { bytes, starts, .. } = &mut names;
        starts.sort_unstable_by(|one, other| name_at(bytes, *one).cmp(name_at(bytes, *other)));
        starts.dedup_by(|one, other| name_at(bytes, *one) == name_at(bytes, *other));
        Ok(names)
    }

    fn read(&mut self, dir: BorrowedFd<'_>, limit: usize) -> Result<()> {
        listing::each(dir, |name, _| {
            let start = u32::try_from(self.bytes.len()).map_err(|_| Errno::OVERFLOW)?;
            self.starts.push(start);
            self.bytes.extend_from_slice(name.to_bytes_with_nul());
            if self.cost() > limit { Err(Errno::OVERFLOW) } else { Ok(()) }
        })
    }

    fn cost(&self) -> usize {
        self.bytes.len() + self.starts.len() * PLACE
    }

    fn is_done(&self) -> bool {
        self.next >= self.starts.len()
    }

    fn take(&mut self) -> &CStr {
        let start = self.starts[self.next];
        self.next += 1;
        name_at(&self.bytes, start)
    }
}

/// The name that begins there.
fn name_at(bytes: &[u8], start: u32) -> &CStr {
    CStr::from_bytes_until_nul(&bytes[start as usize..]).unwrap_or_default()
}
