//! Opens directories of one tree one after the other, name by name, and remembers the way.
//!
//! Most paths are close to the one before. Of the way to that one the last directory stays open, and one in every few above
//! it, so that a walk over a tree costs little for each directory however deep it is, down the tree or up again.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Result;

use crate::directory;

/// Of so many directories one in another, one stays open.
const STRIDE: usize = 64;

/// The way to the directory that was opened last.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    path: Vec<u8>,
    last: Option<OwnedFd>,
    /// Directories on the way that stay open, from the top, each with the length of its path.
    kept: Vec<(usize, OwnedFd)>,
}

impl Trail {
    /// Opens nothing by what was opened before: something was renamed or removed.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Opens the directory at a path below `root`. `step` opens one in another.
    pub(crate) fn open(
        &mut self,
        root: BorrowedFd<'_>,
        path: &[u8],
        mut step: impl FnMut(BorrowedFd<'_>, &CStr) -> Result<OwnedFd>,
    ) -> Result<OwnedFd> {
        let (mut done, mut current) = self.nearest(root, path)?;
        let above = names(&path[..done]).count();
        for (depth, name) in (above..).zip(names(&path[done..])) {
            let next = step(current.as_fd(), &directory::c_name(name)?)?;
            if depth > 0 && depth.is_multiple_of(STRIDE) && self.kept.last().is_none_or(|(length, _)| *length < done) {
                self.kept.push((done, current));
            }
            current = next;
            done += name.len() + usize::from(done > 0);
        }
        self.path = path.to_vec();
        self.last = Some(dup(&current)?);
        Ok(current)
    }

    /// The nearest directory above a path that is open, with the length of its path; those that are not above it are closed.
    fn nearest(&mut self, root: BorrowedFd<'_>, path: &[u8]) -> Result<(usize, OwnedFd)> {
        let last = std::mem::take(&mut self.path);
        while self.kept.last().is_some_and(|(length, _)| !is_at_or_below(path, &last[..*length])) {
            self.kept.pop();
        }
        match (self.last.take(), self.kept.last()) {
            (Some(dir), _) if is_at_or_below(path, &last) => Ok((last.len(), dir)),
            (_, Some((length, dir))) => Ok((*length, dup(dir)?)),
            (_, None) => Ok((0, directory::open_below(root, b"")?)),
        }
    }
}

fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| !name.is_empty())
}

fn dup(dir: &OwnedFd) -> Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(dir, 0)
}

/// Whether a path is this one or below it.
fn is_at_or_below(path: &[u8], above: &[u8]) -> bool {
    let rest = path.strip_prefix(above);
    rest.is_some_and(|rest| above.is_empty() || matches!(rest.first(), None | Some(b'/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_is_right_down_the_tree_and_up_again() {
        let base = tempfile::tempdir().expect("a directory");
        let root = rustix::fs::open(base.path(), rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty());
        let root = root.expect("opened");
        let make = |dir: BorrowedFd<'_>, name: &CStr| {
            rustix::fs::mkdirat(dir, name, rustix::fs::Mode::RWXU)?;
            directory::open_child(dir, name)
        };
        let mut path = Vec::new();
        let mut trail = Trail::default();
        let mut inodes = Vec::new();
        for level in 0..300 {
            path = directory::join(&path, [&b"ab"[..], b"c"][level % 2]);
            let dir = trail.open(root.as_fd(), &path, make).expect("made");
            inodes.push((path.clone(), directory::own_status(dir.as_fd()).expect("it").stx_ino));
        }
        let mut opened = 0;
        for (path, inode) in inodes.iter().rev().chain(&inodes) {
            let dir = trail.open(root.as_fd(), path, |dir, name| {
                opened += 1;
                directory::open_child(dir, name)
            });
            assert_eq!(directory::own_status(dir.expect("opened").as_fd()).expect("it").stx_ino, *inode);
        }
        assert!(opened < 300 * STRIDE && trail.kept.len() <= 300 / STRIDE, "{opened}");
        trail.forget();
        assert!(trail.open(root.as_fd(), b"ab/ab", directory::open_child).is_err());
        assert!(trail.open(root.as_fd(), b"", directory::open_child).is_ok());
    }
}
