//! The last mirror of the same `upper`, of which files that have not changed are used again.

use std::cell::RefCell;
use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Statx};
use rustix::io::{Errno, Result};

use super::{Near, Place, link_in};
use crate::layers::{Entry, reach};
use crate::sandboxes::error::SandboxError;
use crate::sandboxes::home::{Home, TREE};
use crate::sandboxes::id::Id;
use crate::sandboxes::listing::{self, Line, Lines};
use crate::sandboxes::{filesystem, upper};

/// Most bytes of memory that are set aside to know it by. What does not fit is copied.
const MAX_BYTES: usize = 256 << 20;

/// What an entry takes besides its path.
const PLACE: usize = 128;

/// The last mirror.
#[derive(Debug)]
pub(in crate::sandboxes) struct Previous {
    tree: OwnedFd,
    /// By the inode of the file in `upper`.
    files: HashMap<u64, File>,
    near: RefCell<Near>,
}

/// A file of it.
#[derive(Debug)]
struct File {
    path: Vec<u8>,
    inode: u64,
    mode: u32,
    size: u64,
    modified: i64,
    /// When the file in `upper` was changed last.
    changed: i64,
}

impl Previous {
    /// Opens it; `None` where it is of no use: its listing cannot be read, or the file system of `upper` does not tell of
    /// every change.
    pub(in crate::sandboxes) fn open(
        home: &Home,
        id: Id,
        upper: BorrowedFd<'_>,
    ) -> std::result::Result<Option<Self>, SandboxError> {
        if !filesystem::tells_of_mapped_writes(upper) {
            return Ok(None);
        }
        let layer = home.layer(id)?;
        let Ok(mut lines) = Lines::open(&layer) else { return Ok(None) };
        let Ok(files) = read(&mut lines) else { return Ok(None) };
        listing::set_linked(&layer)?;
        let tree = upper::open(&layer, TREE)?;
        Ok(Some(Self { tree, files, near: RefCell::default() }))
    }

    /// Gives the copy of a file that is as it was one more name; `None` when there is no such copy. Gives its inode.
    pub(super) fn link(&self, status: &Statx, place: &Place<'_>) -> Result<Option<u64>> {
        let now = Entry::of(status);
        let is_same = |file: &&File| {
            (file.size, file.modified, file.changed, file.mode) == (now.size, now.modified, now.changed, now.mode)
        };
        let Some(file) = self.files.get(&now.inode).filter(is_same) else { return Ok(None) };
        let mut near = self.near.borrow_mut();
        let (dir, name) = match near.open(self.tree.as_fd(), &file.path) {
            Ok(found) => found,
            // Gone from the layer, which somebody must have changed from outside.
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error),
        };
        if !link_in(dir, &name, place)? {
            return Ok(None);
        }
        let linked = Entry::of(&reach::status(place.into, place.name)?.ok_or(Errno::NOENT)?);
        let is_copy = (linked.inode, linked.size, linked.modified, linked.mode)
            == (file.inode, file.size, file.modified, file.mode);
        if is_copy {
            return Ok(Some(file.inode));
        }
        // The layer was changed from outside; that goes no further.
        rustix::fs::unlinkat(place.into, place.name, AtFlags::empty())?;
        Ok(None)
    }
}

fn read(lines: &mut Lines) -> std::io::Result<HashMap<u64, File>> {
    let (mut files, mut taken) = (HashMap::new(), 0);
    while let Some(line) = lines.next()? {
        let Line { mode, size, inode, modified, source, .. } = line;
        let Some((original, changed)) = source else { continue };
        let path = lines.path().to_vec();
        taken += path.len() + PLACE;
        if taken > MAX_BYTES {
            break;
        }
        files.insert(original, File { path, inode, mode, size, modified, changed });
    }
    Ok(files)
}
