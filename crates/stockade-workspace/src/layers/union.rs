//! One directory of the union, and what a name in it stands for.
//!
//! The rules are those of `ovl_lookup` in `fs/overlayfs/namei.c`: from the top, the first entry that is there counts; a
//! whiteout, a file, or a directory that is opaque ends the search; directories above one another are merged, and a file
//! below a directory is hidden by it.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Statx};
use rustix::io::Result;

use super::descent::Group;
use super::{reach, xattrs};
use crate::directory;

/// A directory of the union.
#[derive(Clone, Copy, Debug)]
pub(super) struct Union<'d> {
    /// The layers' directories that are merged, top first, each with its layer's place in the stack.
    pub(super) layers: &'d [(usize, OwnedFd)],
    /// The directory that the host has at this path, hidden or not.
    pub(super) host: Option<BorrowedFd<'d>>,
    /// Whether the host's is merged with the layers', as nothing hides it.
    pub(super) shows_host: bool,
    /// Layers of the whole stack, which is the number of the host's tree.
    pub(super) depth: usize,
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
    pub(super) layers: Group,
    /// For a directory: whether the host's is merged with them.
    pub(super) shows_host: bool,
}

/// What the layers have at a name.
#[derive(Debug, Default)]
struct Search {
    top: Option<(usize, Statx)>,
    merged: Group,
    /// Whether nothing below the layers shows.
    ended: bool,
}

impl<'d> Union<'d> {
    /// A directory in a stack of so many layers, where the host's tree comes last.
    pub(super) fn of(group: &'d Group, depth: usize, shows_host: bool) -> Self {
        let count = group.iter().take_while(|(root, _)| *root < depth).count();
        Self { layers: &group[..count], host: group.get(count).map(|(_, dir)| dir.as_fd()), shows_host, depth }
    }

    /// Looks a name up.
    pub(super) fn find(&self, name: &CStr) -> Result<Found> {
        let old = match self.host {
            Some(host) => reach::absent(directory::status(host, name))?,
            None => None,
        };
        let Search { top: new, merged: layers, ended } = self.search(name)?;
        let shows_host = self.shows_host && !ended;
        let unchanged = shows_host && new.is_none();
        let shows_host = shows_host && old.as_ref().is_some_and(is_directory);
        Ok(Found { old, new, unchanged, layers, shows_host })
    }

    fn search(&self, name: &CStr) -> Result<Search> {
        let mut search = Search::default();
        for (place, (layer, dir)) in self.layers.iter().enumerate() {
            let Some(status) = reach::status(dir.as_fd(), name)? else { continue };
            let hides = is_whiteout(dir.as_fd(), name, &status)?;
            if hides || !is_directory(&status) {
                search.top = search.top.or((!hides).then_some((place, status)));
                search.ended = true;
                break;
            }
            let Some(child) = reach::open_directory(dir.as_fd(), name)? else { continue };
            search.top = search.top.or(Some((place, status)));
            search.ended = xattrs::is_opaque(child.as_fd())?;
            search.merged.push((*layer, child));
            if search.ended {
                break;
            }
        }
        Ok(search)
    }
}

/// Whether it is a directory.
pub(crate) fn is_directory(status: &Statx) -> bool {
    FileType::from_raw_mode(status.stx_mode.into()) == FileType::Directory
}

/// Whether an entry of a layer says that there is none, in either form: a character device 0/0, or an empty file that is
/// marked.
pub(crate) fn is_whiteout(dir: BorrowedFd<'_>, name: &CStr, status: &Statx) -> Result<bool> {
    match FileType::from_raw_mode(status.stx_mode.into()) {
        FileType::CharacterDevice => Ok((status.stx_rdev_major, status.stx_rdev_minor) == (0, 0)),
        FileType::RegularFile if status.stx_size == 0 => match reach::open_file(dir, name)? {
            Some(file) => xattrs::is_whiteout(file.as_fd()),
            None => Ok(false),
        },
        _ => Ok(false),
    }
}
