//! Where an apply makes its files ready.
//!
//! The folder of an apply holds its journal and, in the end, the old layer. Files come to the workspace by rename, so they
//! have to be made ready on its file system: in the folder, where that is the same, else in a directory at the top of the
//! workspace that is there for as long as the apply takes. There, `new` holds what is added, by number, and `old` what
//! replaces something, at its path: once the two are exchanged, the old layer is what lies there.

use std::ffi::CStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::{Errno, Result};

use super::error::ApplyError;
use super::host::{Host, Mount, Place};
use super::lists;
use super::remove;
use crate::directory;
use crate::layers::{Entry, Kind};
use crate::trail::Trail;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What the name of a staging directory in the workspace begins with.
const PREFIX: &str = ".stockade-apply-";

/// The folder of an apply, opened.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) fd: OwnedFd,
    pub(super) path: PathBuf,
}

impl Folder {
    /// Opens the folder, if it is there.
    pub(super) fn open(path: &Path) -> std::result::Result<Option<Self>, ApplyError> {
        let fd = match rustix::fs::open(path, DIRECTORY, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(ApplyError::folder("open the folder", path, error)),
        };
        let status = directory::own_status(fd.as_fd()).map_err(|error| ApplyError::folder("look at", path, error))?;
        if status.stx_uid != rustix::process::geteuid().as_raw() {
            return Err(ApplyError::NotOwned(path.to_owned()));
        }
        Ok(Some(Self { fd, path: path.to_owned() }))
    }

    /// Opens the folder, and makes it first where there is none.
    pub(super) fn make(path: &Path) -> std::result::Result<Self, ApplyError> {
        if let Some(folder) = Self::open(path)? {
            return Ok(folder);
        }
        let made = rustix::fs::mkdir(path, Mode::RWXU);
        made.map_err(|error| ApplyError::folder("make the folder", path, error))?;
        Self::open(path)?.ok_or_else(|| ApplyError::folder("open the folder", path, Errno::NOENT))
    }
}

/// The places of an apply.
#[derive(Debug)]
pub(super) struct Staging {
    /// Holds `new` and `old`.
    pub(super) root: Tree,
    /// Holds the old layer in the end, where that is not the same.
    pub(super) kept: Option<Tree>,
    /// The name of the staging directory, where it lies in the workspace.
    inside: Option<String>,
}

/// Decides where files are made ready: `None` for the folder, else the name of a directory in the workspace.
pub(super) fn choose(folder: &Folder, host: &Host) -> Result<Option<String>> {
    if Mount::of(folder.fd.as_fd())? == host.mount() { Ok(None) } else { Ok(Some(format!("{PREFIX}{}", random()?))) }
}

fn random() -> Result<String> {
    let mut bytes = [0; 8];
    let mut file = File::from(rustix::fs::open("/dev/urandom", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?);
    file.read_exact(&mut bytes).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}

impl Staging {
    /// Makes the directories, empty.
    pub(super) fn create(folder: &Folder, host: &Host, inside: Option<String>) -> Result<Self> {
        if let Some(name) = &inside {
            rustix::fs::mkdirat(host.root(), name.as_str(), Mode::RWXU)?;
        }
        let mut staging = Self::open(folder, host, inside)?.ok_or(Errno::NOENT)?;
        lists::disinherit(staging.root.root.as_fd())?;
        for name in ["new", "old"] {
            rustix::fs::mkdirat(&staging.root.root, name, Mode::RWXU)?;
            lists::disinherit(staging.root.directory(name.as_bytes())?.as_fd())?;
        }
        if let Some(kept) = &staging.kept {
            rustix::fs::mkdirat(&kept.root, "old", Mode::RWXU)?;
        }
        Ok(staging)
    }

    /// Opens the directories again; `None` where the one in the workspace is gone.
    pub(super) fn open(folder: &Folder, host: &Host, inside: Option<String>) -> Result<Option<Self>> {
        let own = directory::open_below(folder.fd.as_fd(), b"")?;
        let Some(name) = &inside else { return Ok(Some(Self { root: Tree::new(own), kept: None, inside })) };
        let staged = match rustix::fs::openat(host.root(), name.as_str(), DIRECTORY, Mode::empty()) {
            Ok(staged) => staged,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(Self { root: Tree::new(staged), kept: Some(Tree::new(own)), inside }))
    }

    /// Where the old layer is in the end.
    pub(super) fn last(&mut self) -> &mut Tree {
        self.kept.as_mut().unwrap_or(&mut self.root)
    }

    /// Whether the file system can exchange two files.
    pub(super) fn can_exchange(&mut self) -> Result<bool> {
        let dir = self.root.directory(b"new")?;
        let names = [c"one", c"other"];
        for name in names {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
            rustix::fs::openat(&dir, name, flags, Mode::RUSR | Mode::WUSR)?;
        }
        let result = rustix::fs::renameat_with(&dir, names[0], &dir, names[1], RenameFlags::EXCHANGE);
        for name in names {
            rustix::fs::unlinkat(&dir, name, AtFlags::empty())?;
        }
        match result {
            Ok(()) => Ok(true),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes what was made ready; the old layer as well where nothing was applied.
    pub(super) fn clear(&mut self, host: &Host, has_old: bool) -> Result<()> {
        let names: &[&CStr] = if has_old && self.inside.is_none() { &[c"new"] } else { &[c"new", c"old"] };
        let room = self.root.root.as_fd();
        names.iter().try_for_each(|name| remove::remove(room, name, room))?;
        if let Some(name) = &self.inside {
            remove::empty(room)?;
            remove_directory(host.root(), name)?;
        }
        match &self.kept {
            Some(kept) if !has_old => remove::remove(kept.root.as_fd(), c"old", kept.root.as_fd()),
            _ => Ok(()),
        }
    }

    /// Forces to disk what was written so far.
    pub(super) fn sync(&self) -> Result<()> {
        rustix::fs::syncfs(&self.root.root)?;
        self.kept.as_ref().map_or(Ok(()), |kept| rustix::fs::syncfs(&kept.root))
    }
}

fn remove_directory(dir: BorrowedFd<'_>, name: &str) -> Result<()> {
    match rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// A tree of the apply's own.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: OwnedFd,
    trail: Trail,
}

impl Tree {
    fn new(root: OwnedFd) -> Self {
        Self { root, trail: Trail::default() }
    }

    /// Opens the directory at a path.
    pub(super) fn directory(&mut self, path: &[u8]) -> Result<OwnedFd> {
        self.trail.open(self.root.as_fd(), path, open)
    }

    /// Opens the directory at a path, and makes those that are missing on the way.
    pub(super) fn make(&mut self, path: &[u8]) -> Result<OwnedFd> {
        self.trail.open(self.root.as_fd(), path, |dir, name| {
            match rustix::fs::mkdirat(dir, name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
            open(dir, name)
        })
    }

    /// The directory that holds a path, and the name in it.
    pub(super) fn place(&mut self, path: &[u8]) -> Result<Place> {
        let (parent, name) = directory::split(path);
        Ok(Place { dir: self.directory(parent)?, name: directory::c_name(name)? })
    }

    /// Opens nothing by what was opened before: a directory was removed.
    pub(super) fn forget(&mut self) {
        self.trail.forget();
    }

    /// Removes what lies at a path, if anything does.
    pub(super) fn remove(&mut self, path: &[u8]) -> Result<()> {
        match self.place(path) {
            Ok(place) => {
                self.forget();
                remove::remove(place.dir.as_fd(), &place.name, self.root.as_fd())
            }
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Where the old layer has a path, in the staging directory or the folder.
pub(super) fn old_path(path: &[u8]) -> Vec<u8> {
    if path.is_empty() { b"old".to_vec() } else { directory::join(b"old", path) }
}

/// Opens a directory of the apply's own, which may have got its mode already, against that mode.
fn open(dir: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    let result = directory::open_child(dir, name);
    if !matches!(result, Err(Errno::ACCESS)) {
        return result;
    }
    let found = directory::open_path(dir, name)?;
    let entry = Entry::of(&directory::own_status(found.as_fd())?);
    if entry.kind != Kind::Directory || entry.mode & 0o700 == 0o700 {
        return Err(Errno::ACCESS);
    }
    directory::set_mode(found.as_fd(), Mode::from_raw_mode(entry.mode) | Mode::RWXU)?;
    directory::open_child(dir, name)
}
