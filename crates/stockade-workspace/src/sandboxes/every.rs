//! Visits every entry of a tree of a sandbox's files, in the order of a listing.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::Statx;
use rustix::io::Result;

use crate::layers::descent::{Descent, Group, Root};
use crate::layers::names::Names;
use crate::layers::{LayerError, reach};
use crate::listing;

/// Most entries of a tree.
const MAX_ENTRIES: u64 = 50_000_000;

/// A walk through a tree.
#[derive(Debug)]
pub(super) struct Every<'t> {
    descent: Descent<'t, u32>,
    /// A directory that was visited and is entered next, with the depth of what is in it.
    next: Option<(OwnedFd, u32)>,
    entries: u64,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Visited {
    /// Directories above it in the tree, whose root is one.
    pub(super) depth: u32,
    pub(super) status: Statx,
}

impl<'t> Every<'t> {
    /// Begins below the root of a tree.
    pub(super) fn new(tree: BorrowedFd<'t>) -> std::result::Result<Self, LayerError> {
        let descent = Descent::new(vec![Root { dir: tree, is_layer: true }]);
        let mut root = descent.open_roots().map_err(|source| descent.failure("open", source))?;
        Ok(Self { descent, next: root.pop().map(|(_, root)| (root, 1)), entries: 0 })
    }

    /// The next entry. One that is gone by the time that it is looked at is none.
    pub(super) fn next(&mut self) -> std::result::Result<Option<Visited>, LayerError> {
        if let Some((dir, depth)) = self.next.take() {
            self.enter(dir, depth)?;
        }
        while let Some(found) = self.descent.next(|group, depth, name| Ok((look(group, name)?, *depth)))? {
            let (Some((status, child)), depth) = found else { continue };
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                return Err(LayerError::TooMuch { limit: MAX_ENTRIES, unit: "entries" });
            }
            self.next = child.map(|child| (child, depth.saturating_add(1)));
            return Ok(Some(Visited { depth, status }));
        }
        Ok(None)
    }

    /// Path of what was found last, below the root.
    pub(super) fn path(&self) -> &[u8] {
        self.descent.path()
    }

    /// How many were found.
    pub(super) const fn count(&self) -> u64 {
        self.entries
    }

    fn enter(&mut self, dir: OwnedFd, depth: u32) -> std::result::Result<(), LayerError> {
        let (mut names, room) = (Names::default(), self.descent.room());
        let read = listing::each(dir.as_fd(), |name, _| names.add(name, room));
        read.map_err(|source| self.descent.failure("read the directory", source))?;
        names.sort();
        self.descent.enter(vec![(0, dir)], depth, names);
        Ok(())
    }
}

/// What lies at a name, and the directory that it is.
fn look(group: &Group, name: &CStr) -> Result<Option<(Statx, Option<OwnedFd>)>> {
    let Some((_, dir)) = group.first() else { return Ok(None) };
    let Some(status) = reach::status(dir.as_fd(), name)? else { return Ok(None) };
    let is_directory = status.stx_mode & 0o170_000 == 0o040_000;
    let child = if is_directory { reach::open_directory(dir.as_fd(), name)? } else { None };
    Ok(Some((status, child)))
}
