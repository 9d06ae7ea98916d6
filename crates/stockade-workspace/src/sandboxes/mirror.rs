//! Copies `upper` to a new layer while programs are frozen, and spares what the last such copy holds already.
//!
//! The overlay stays mounted over the same `upper`, so that open files and working directories stay what they are; hence a
//! copy and no rename. A file that is the same as at the last copy (inode, length, times of change) becomes a further name
//! of that copy, unless its times may not have told of a change (`unseen`).

mod content;
mod previous;
mod unseen;

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Statx};
use rustix::io::{Errno, Result};

pub(super) use self::previous::Previous;
pub use self::unseen::Unseen;
use self::unseen::Watchable;
use super::listing::Sources;
use crate::directory::{self, with_permission};
use crate::layers::descent::{Descent, Group, Root};
use crate::layers::names::Names;
use crate::layers::union::is_whiteout;
use crate::layers::{Entry, LayerError, copy, reach, xattrs};
use crate::listing;

/// The trees of the descent.
const UPPER: usize = 0;
const TREE: usize = 1;

/// Bytes of paths that are remembered for files of several names. Names of further ones become files of their own.
const MAX_LINKS: usize = 256 << 20;

/// A copy that is being made.
#[derive(Debug)]
pub(super) struct Mirror<'m> {
    upper: BorrowedFd<'m>,
    tree: BorrowedFd<'m>,
    previous: Option<Previous>,
    watchable: Watchable,
    sources: Sources,
    /// Where a file of several names was copied to first, by its inode.
    links: HashMap<u64, Vec<u8>>,
    /// About how many bytes those take.
    linked: usize,
    /// Where the first whiteout is.
    whiteout: Option<Vec<u8>>,
    /// Whether the file system may share content between files.
    clones: content::Clones,
}

impl<'m> Mirror<'m> {
    /// From `upper` to an empty directory on the same file system.
    pub(super) fn new(
        upper: BorrowedFd<'m>,
        tree: BorrowedFd<'m>,
        previous: Option<Previous>,
        unseen: &Unseen,
    ) -> Self {
        Self {
            upper,
            tree,
            previous,
            watchable: Watchable::of(unseen, upper),
            sources: Sources::new(),
            links: HashMap::new(),
            linked: 0,
            whiteout: None,
            clones: content::Clones::default(),
        }
    }

    /// Copies everything.
    pub(super) fn fill(mut self) -> std::result::Result<Sources, LayerError> {
        let mut descent = Descent::new([self.upper, self.tree].map(|dir| Root { dir, is_layer: true }).to_vec());
        let root = descent.open_roots().map_err(|source| descent.failure("open", source))?;
        self.fill_directory(&mut descent, root)?;
        while let Some(group) = descent.next(|group, (), name| enter(group, name))? {
            self.fill_directory(&mut descent, group)?;
        }
        Ok(self.sources)
    }

    /// Makes everything in one directory, subdirectories empty, so that its times stay as they are set at the end.
    fn fill_directory(&mut self, descent: &mut Descent<'_, ()>, group: Group) -> std::result::Result<(), LayerError> {
        let (mut names, room) = (Names::default(), descent.room());
        let path = descent.path().to_vec();
        let mut fill = || {
            let (from, into) = (member(&group, UPPER)?, member(&group, TREE)?);
            listing::each(from, |name, _| {
                if self.add(&Place { from, into, path: &path, name })? { names.add(name, room) } else { Ok(()) }
            })?;
            if xattrs::is_opaque(from)? {
                xattrs::set_opaque(into)?;
            }
            if xattrs::is_copied_up(from)? {
                xattrs::set_may_hold_whiteouts(into)?;
            }
            copy::attributes(from, into)
        };
        fill().map_err(|source| descent.failure("copy", source))?;
        names.sort();
        descent.enter(group, (), names);
        Ok(())
    }

    /// Makes one entry; gives whether it is a directory, which is entered later.
    fn add(&mut self, place: &Place<'_>) -> Result<bool> {
        let Some(status) = reach::status(place.from, place.name)? else { return Ok(false) };
        match FileType::from_raw_mode(status.stx_mode.into()) {
            FileType::Directory => rustix::fs::mkdirat(place.into, place.name, Mode::RWXU).map(|()| true),
            // A socket is nothing without the program that listens at it.
            FileType::Socket => Ok(false),
            _ if is_whiteout(place.from, place.name, &status)? => self.add_whiteout(place).map(|()| false),
            kind => self.add_file(place, &status, kind).map(|()| false),
        }
    }

    /// Whiteouts have nothing of their own, so that all of them can be one file, as they are for overlayfs.
    fn add_whiteout(&mut self, place: &Place<'_>) -> Result<()> {
        if let Some(first) = &self.whiteout
            && link(self.tree, first, place)?
        {
            return Ok(());
        }
        rustix::fs::mknodat(place.into, place.name, FileType::CharacterDevice, Mode::empty(), 0)?;
        self.whiteout = Some(place.whole());
        Ok(())
    }

    fn add_file(&mut self, place: &Place<'_>, status: &Statx, kind: FileType) -> Result<()> {
        if status.stx_nlink > 1
            && let Some(first) = self.links.get(&status.stx_ino)
            && link(self.tree, first, place)?
        {
            return Ok(());
        }
        let from_previous = match &self.previous {
            Some(previous) => previous.link(status, place)?,
            None => None,
        };
        let inode = match from_previous {
            Some(inode) => inode,
            None => self.copy(place, status, kind)?,
        };
        let entry = Entry::of(status);
        if self.watchable.is_told_of_changes(&entry) {
            self.sources.insert(inode, (entry.inode, entry.changed));
        }
        if status.stx_nlink > 1 {
            let whole = place.whole();
            self.linked += whole.len() + size_of::<(u64, Vec<u8>)>();
            if self.linked <= MAX_LINKS {
                self.links.insert(status.stx_ino, whole);
            }
        }
        Ok(())
    }

    /// Copies a file; gives the inode of the copy.
    fn copy(&mut self, place: &Place<'_>, status: &Statx, kind: FileType) -> Result<u64> {
        if kind != FileType::RegularFile {
            copy::copy(place.from, place.name, status, place.into)?;
            return Ok(directory::status(place.into, place.name)?.stx_ino);
        }
        let source = reach::open_file(place.from, place.name)?.ok_or(Errno::NOENT)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let target = rustix::fs::openat(place.into, place.name, flags, Mode::RUSR | Mode::WUSR)?;
        self.clones.copy(source.as_fd(), target.as_fd(), status.stx_size)?;
        copy::attributes(source.as_fd(), target.as_fd())?;
        Ok(directory::own_status(target.as_fd())?.stx_ino)
    }
}

/// An entry that is copied.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    from: BorrowedFd<'a>,
    into: BorrowedFd<'a>,
    /// Path of both directories.
    path: &'a [u8],
    name: &'a CStr,
}

impl Place<'_> {
    /// Path of the entry.
    fn whole(&self) -> Vec<u8> {
        directory::join(self.path, self.name.to_bytes())
    }
}

/// Gives a file of a tree one more name; `false` where it cannot have more.
fn link(tree: BorrowedFd<'_>, path: &[u8], place: &Place<'_>) -> Result<bool> {
    let (parent, name) = directory::split(path);
    let dir = reach::open_below(tree, parent)?.ok_or(Errno::NOENT)?;
    link_in(dir.as_fd(), &directory::c_name(name)?, place)
}

fn link_in(dir: BorrowedFd<'_>, name: &CStr, place: &Place<'_>) -> Result<bool> {
    let link = || rustix::fs::linkat(dir, name, place.into, place.name, AtFlags::empty());
    match with_permission(dir, link) {
        Ok(()) => Ok(true),
        Err(Errno::MLINK | Errno::PERM | Errno::NOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Opens a directory and the one that was made for it.
fn enter(group: &Group, name: &CStr) -> Result<Group> {
    let open = |(root, dir): &(usize, OwnedFd)| {
        let child = reach::open_directory(dir.as_fd(), name)?.ok_or(Errno::NOENT)?;
        Ok((*root, child))
    };
    group.iter().map(open).collect()
}

fn member(group: &Group, root: usize) -> Result<BorrowedFd<'_>> {
    let found = group.iter().find(|(number, _)| *number == root);
    found.map(|(_, dir)| dir.as_fd()).ok_or(Errno::NOENT)
}

/// A directory by its path, kept open for the next file in it.
#[derive(Debug, Default)]
struct Near(Option<(Vec<u8>, OwnedFd)>);

impl Near {
    /// Opens the directory of a path, and gives the last name.
    fn open(&mut self, root: BorrowedFd<'_>, path: &[u8]) -> Result<(BorrowedFd<'_>, CString)> {
        let (parent, name) = directory::split(path);
        if self.0.as_ref().is_none_or(|(near, _)| near != parent) {
            let dir = reach::open_below(root, parent)?.ok_or(Errno::NOENT)?;
            self.0 = Some((parent.to_vec(), dir));
        }
        let (_, dir) = self.0.as_ref().ok_or(Errno::NOENT)?;
        Ok((dir.as_fd(), directory::c_name(name)?))
    }
}
