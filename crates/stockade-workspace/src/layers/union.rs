//! One directory of the union, and what a name in it stands for.
//!
//! The rules are those of `ovl_lookup` in `fs/overlayfs/namei.c`: from the top, the first entry that is there counts; a
//! whiteout, a file, or a directory that is opaque ends the search; directories above one another are merged, and a file
//! below a directory is hidden by it.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Statx};
use rustix::io::Result;

use super::{reach, xattrs};
use crate::directory;

/// A directory of the union.
#[derive(Debug)]
pub(super) struct Union {
    /// The layers' directories that are merged, top first, each with its layer's place in the stack.
    pub(super) layers: Vec<(usize, OwnedFd)>,
    /// The directory that the host has at this path, hidden or not.
    pub(super) host: Option<OwnedFd>,
    /// Whether the host's is merged with the layers', as nothing hides it.
    pub(super) shows_host: bool,
}

/// What a name stands for.
#[derive(Debug)]
pub(super) struct Found {
    /// What the host has.
    pub(super) old: Option<Statx>,
    /// What a layer holds of it, if any is on top: the layer's place in [`Union::layers`], and the entry.
    pub(super) new: Option<(usize, Statx)>,
    /// Whether the sandbox has whatever the host has, as no layer says anything about it.
    pub(super) unchanged: bool,
    /// For a directory: those of the layers that are merged, top first.
    pub(super) layers: Vec<(usize, OwnedFd)>,
    /// For a directory: whether the host's is merged with them.
    pub(super) shows_host: bool,
}

impl Union {
    /// Looks a name up.
    pub(super) fn find(&self, name: &CStr) -> Result<Found> {
        let old = match &self.host {
            Some(host) => reach::absent(directory::status(host.as_fd(), name))?,
            None => None,
        };
        let (new, layers, ended) = self.search(name)?;
        let shows_host = self.shows_host && !ended;
        let unchanged = shows_host && new.is_none();
        let shows_host = shows_host && old.as_ref().is_some_and(is_directory);
        Ok(Found { old, new, unchanged, layers, shows_host })
    }

    /// Looks a name up in the layers: what is on top, the directories that are merged, and whether the search ended in them.
    #[expect(clippy::type_complexity, reason = "three results that are taken apart at once")]
    fn search(&self, name: &CStr) -> Result<(Option<(usize, Statx)>, Vec<(usize, OwnedFd)>, bool)> {
        let (mut top, mut merged) = (None, Vec::new());
        for (place, (layer, dir)) in self.layers.iter().enumerate() {
            let Some(status) = reach::status(dir.as_fd(), name)? else { continue };
            if is_whiteout(dir.as_fd(), name, &status)? {
                return Ok((top, merged, true));
            }
            if !is_directory(&status) {
                return Ok((top.or(Some((place, status))), merged, true));
            }
            let Some(child) = reach::open_directory(dir.as_fd(), name)? else { continue };
            top = top.or(Some((place, status)));
            let opaque = xattrs::is_opaque(child.as_fd())?;
            merged.push((*layer, child));
            if opaque {
                return Ok((top, merged, true));
            }
        }
        Ok((top, merged, false))
    }

    /// Descriptors that it holds.
    pub(super) fn descriptors(&self) -> usize {
        self.layers.len() + usize::from(self.host.is_some())
    }
}

/// Whether it is a directory.
pub(super) fn is_directory(status: &Statx) -> bool {
    FileType::from_raw_mode(status.stx_mode.into()) == FileType::Directory
}

/// Whether an entry of a layer says that there is none, in either form: a character device 0/0, or an empty file that is
/// marked.
pub(super) fn is_whiteout(dir: BorrowedFd<'_>, name: &CStr, status: &Statx) -> Result<bool> {
    match FileType::from_raw_mode(status.stx_mode.into()) {
        FileType::CharacterDevice => Ok((status.stx_rdev_major, status.stx_rdev_minor) == (0, 0)),
        FileType::RegularFile if status.stx_size == 0 => match reach::open_file(dir, name)? {
            Some(file) => xattrs::is_whiteout(file.as_fd()),
            None => Ok(false),
        },
        _ => Ok(false),
    }
}
