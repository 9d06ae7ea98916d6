//! Makes the old layer: what the host has before, in the form of an overlay layer, so that the sandbox's older checkpoints
//! still show it.
//!
//! Where the layer lies on the workspace's file system, what is there now comes to it by the steps themselves, and only
//! directories, whiteouts and placeholders are made here. Elsewhere it is copied before anything is changed.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{FileType, Mode, OFlags, XattrFlags};
use rustix::io::{Errno, Result};

use super::host::Place;
use super::judge::{self, Same};
use super::lists::{self, Lists};
use super::member::{create, make_fifo};
use super::plan::{Task, Unit};
use super::stage::{Stage, Trouble};
use super::staging::old_path;
use super::step::{Below, Parent};
use super::{attributes, copy};
use crate::directory;
use crate::fault;
use crate::layers::{Entry, Kind, xattrs};
use crate::walk::to_path;

impl Stage<'_, '_> {
    /// Prepares the old layer for a unit. Gives the placeholder of one that is to be removed.
    pub(super) fn preserve(&mut self, unit: &Unit, old: &[u8]) -> std::result::Result<Option<Entry>, Trouble> {
        let path = unit.members[0].path.as_os_str().as_bytes();
        let failed = |source| match source {
            // A directory above it is not there, or no directory, any more.
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP => Trouble::Raced,
            source => Trouble::of("keep the old version of", path, source),
        };
        self.parents_of(path).map_err(failed)?;
        fault::place();
        match unit.task {
            Task::Add => self.whiteout(old).map_err(failed)?,
            Task::Attributes(_) => self.parent(path).map_err(failed)?,
            Task::Replace(entry) => self.keep(path, &entry, &unit.below)?,
            Task::Remove(entry) => {
                self.keep(path, &entry, &unit.below)?;
                let place = self.staging.root.place(old).map_err(failed)?;
                return make_placeholder(&place, entry.kind).map(Some).map_err(failed);
            }
        }
        Ok(None)
    }

    /// Makes the directories above a path, from the layer's own on.
    fn parents_of(&mut self, path: &[u8]) -> Result<()> {
        self.parent(b"")?;
        for at in path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at) {
            self.parent(&path[..at])?;
        }
        Ok(())
    }

    /// Makes a directory of the old layer, once, with the attributes of the host's. Mode and time come last of all.
    fn parent(&mut self, path: &[u8]) -> Result<()> {
        if self.parents.contains_key(path) {
            return Ok(());
        }
        let dir = self.host.directory(path)?;
        let entry = Entry::of(&directory::own_status(dir.as_fd())?);
        let old = old_path(path);
        self.staging.root.make(&old)?;
        let made = self.staging.last().make(&old)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&dir, c".", flags, Mode::empty()) {
            Ok(dir) => {
                let mode = entry.mode | 0o700;
                lists::clear(made.as_fd())?;
                attributes::extended(dir.as_fd(), made.as_fd(), mode)?;
                Lists::of(dir.as_fd())?.give(made.as_fd(), Kind::Directory, mode)?;
            }
            // Its attributes cannot be read; they are not the sandbox's to know either.
            Err(Errno::ACCESS) => {}
            Err(error) => return Err(error),
        }
        let path = path.to_vec();
        let parent = Parent { path: to_path(&path), mode: entry.mode, modified: entry.modified };
        self.parents.insert(path, parent);
        Ok(())
    }

    /// Makes a whiteout. Its directory says that it may hold one, in case that the host removes its own.
    fn whiteout(&mut self, old: &[u8]) -> Result<()> {
        let place = self.staging.last().place(old)?;
        // A device that stands for nothing being there.
        rustix::fs::mknodat(&place.dir, &place.name, FileType::CharacterDevice, Mode::empty(), 0)?;
        match xattrs::set_may_hold_whiteouts(place.dir.as_fd()) {
            Err(Errno::OPNOTSUPP) => Ok(()),
            other => other,
        }
    }

    /// Copies what the host has, where the old layer is on another file system.
    fn keep(&mut self, path: &[u8], entry: &Entry, below: &[Below]) -> std::result::Result<(), Trouble> {
        if self.staging.kept.is_none() {
            return Ok(());
        }
        self.keep_one(path, entry)?;
        for Below { path, entry } in below {
            self.keep_one(path.as_os_str().as_bytes(), entry)?;
        }
        let directories = below.iter().rev().map(|below| (below.path.as_os_str().as_bytes(), &below.entry));
        for (path, entry) in directories.chain([(path, entry)]) {
            if entry.kind == Kind::Directory {
                self.finish_directory(path, entry).map_err(|source| Trouble::of("keep", path, source))?;
            }
        }
        if entry.kind == Kind::Directory {
            let made = self.staging.last().directory(&old_path(path));
            let marked = made.and_then(|made| mark_opaque(made.as_fd()));
            marked.map_err(|source| Trouble::of("mark", path, source))?;
        }
        Ok(())
    }

    fn keep_one(&mut self, path: &[u8], entry: &Entry) -> std::result::Result<(), Trouble> {
        fault::place();
        let failed = |source| match source {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::STALE => Trouble::Raced,
            source => Trouble::of("keep the old version of", path, source),
        };
        let from = self.host.place(path).map_err(failed)?;
        let to = self.staging.last().place(&old_path(path)).map_err(failed)?;
        match entry.kind {
            Kind::Directory => rustix::fs::mkdirat(&to.dir, &to.name, Mode::RWXU).map_err(failed),
            Kind::File => self.keep_file(&from, &to, entry).map_err(failed),
            Kind::Symlink => keep_link(&from, &to, entry).map_err(failed),
            Kind::Fifo => make_fifo(&to, entry.mode)
                .and_then(|()| attributes::set_plain_modified(to.dir.as_fd(), &to.name, entry.modified))
                .map_err(failed),
            // What is of a program that runs, or of the machine, is nothing to be kept.
            Kind::Socket | Kind::Device => Ok(()),
        }
    }

    fn keep_file(&mut self, from: &Place, to: &Place, entry: &Entry) -> Result<()> {
        let file = judge::open_file(from.dir.as_fd(), &from.name)?;
        check(file.as_fd(), entry)?;
        let made = create(to)?;
        copy::content(file.as_fd(), made.as_fd(), entry.size, &mut self.meter)?;
        attributes::copy(file.as_fd(), made.as_fd(), entry.mode, entry.modified)?;
        Lists::of(file.as_fd())?.give(made.as_fd(), Kind::File, entry.mode)?;
        check(file.as_fd(), entry)
    }

    fn finish_directory(&mut self, path: &[u8], entry: &Entry) -> Result<()> {
        let from = self.host.place(path)?;
        let dir = directory::open_child(from.dir.as_fd(), &from.name)?;
        let made = self.staging.last().directory(&old_path(path))?;
        attributes::copy(dir.as_fd(), made.as_fd(), entry.mode, entry.modified)?;
        Lists::of(dir.as_fd())?.give(made.as_fd(), Kind::Directory, entry.mode).map(drop)
    }
}

/// Fails when an open file is not the one that was looked at, or has changed since.
fn check(file: BorrowedFd<'_>, entry: &Entry) -> Result<()> {
    let now = Entry::of(&directory::own_status(file)?);
    if Same::exactly(entry, &now) { Ok(()) } else { Err(Errno::STALE) }
}

fn keep_link(from: &Place, to: &Place, entry: &Entry) -> Result<()> {
    let text = rustix::fs::readlinkat(&from.dir, &from.name, Vec::new())?;
    rustix::fs::symlinkat(&text, &to.dir, &to.name)?;
    attributes::set_plain_modified(to.dir.as_fd(), &to.name, entry.modified)
}

/// Makes an empty file or directory, over which something of this kind can be renamed.
fn make_placeholder(place: &Place, kind: Kind) -> Result<Entry> {
    if kind == Kind::Directory {
        rustix::fs::mkdirat(&place.dir, &place.name, Mode::RWXU)?;
    } else {
        create(place)?;
    }
    place.look()?.ok_or(Errno::NOENT)
}

/// Marks a directory of the old layer as one that is whole: nothing of what the host has later at its path shows in it.
pub(super) fn mark_opaque(dir: BorrowedFd<'_>) -> Result<()> {
    let set = || rustix::fs::fsetxattr(dir, c"user.overlay.opaque", b"y", XattrFlags::empty());
    match directory::with_permission(dir, set) {
        // Where the file system has no such attributes, overlayfs has no directories that are whole either.
        Err(Errno::OPNOTSUPP) => Ok(()),
        other => other,
    }
}
