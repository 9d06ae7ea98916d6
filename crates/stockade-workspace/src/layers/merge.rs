//! Two adjacent layers as one, so that a chain of layers stays short.
//!
//! Over anything below, the new layer shows what the two showed. A whiteout stays, since what it hides may lie further down,
//! but not in a directory below which nothing shows: there overlayfs would list it as a name without a file. A directory below
//! which something was hidden by the older layer is opaque afterwards. Files are not copied: the new layer has further
//! names of them, and where a file has as many as it may have, a copy.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Mode, Statx};
use rustix::io::{Errno, Result};

use super::descent::{Descent, Group, Root};
use super::error::LayerError;
use super::names::Names;
use super::union::{is_directory, is_whiteout};
use super::{copy, reach, xattrs};
use crate::directory::with_permission;
use crate::listing;

/// The trees of the descent, and their order in a group.
const NEWER: usize = 0;
const OLDER: usize = 1;
const INTO: usize = 2;

/// Directories at one path, and whether nothing below the two layers shows there.
struct Level {
    group: Group,
    covered: bool,
}

/// Merges two layers into a third, which is an empty directory on their file system. They are not changed. When it fails,
/// what was made so far stays.
///
/// # Errors
/// When something cannot be read or made.
pub fn merge(
    older: BorrowedFd<'_>,
    newer: BorrowedFd<'_>,
    into: BorrowedFd<'_>,
) -> std::result::Result<(), LayerError> {
    let mut descent = Descent::new([newer, older, into].map(|dir| Root { dir, is_layer: true }).to_vec());
    let root = descent.open_roots().map_err(|source| descent.failure("open", source))?;
    fill(&mut descent, Level { group: root, covered: false })?;
    while let Some(level) = descent.next(|group, covered, name| enter(group, *covered, name))? {
        fill(&mut descent, level)?;
    }
    Ok(())
}

/// Makes everything that belongs in one directory. Subdirectories are left empty, and entered next.
fn fill(descent: &mut Descent<'_, bool>, Level { group, covered }: Level) -> std::result::Result<(), LayerError> {
    let (mut names, room) = (Names::default(), descent.room());
    let filled = fill_directory(&group, covered, |name| names.add(name, room));
    filled.map_err(|source| descent.failure("merge", source))?;
    names.sort();
    descent.enter(group, covered, names);
    Ok(())
}

fn fill_directory(group: &Group, covered: bool, mut subdirectory: impl FnMut(&CStr) -> Result<()>) -> Result<()> {
    let (newer, older, into) = (member(group, NEWER), member(group, OLDER), member(group, INTO).ok_or(Errno::NOENT)?);
    let mut has_whiteouts = false;
    let mut add = |from, name: &CStr| {
        let Some(status) = reach::status(from, name)? else { return Ok(()) };
        if is_directory(&status) {
            rustix::fs::mkdirat(into, name, Mode::RWXU)?;
            subdirectory(name)
        } else if is_whiteout(from, name, &status)? {
            has_whiteouts |= !covered;
            if covered { Ok(()) } else { whiteout(into, name) }
        } else {
            link(from, name, &status, into)
        }
    };
    if let Some(newer) = newer {
        listing::each(newer, |name, _| add(newer, name))?;
    }
    if let Some(older) = older {
        listing::each(older, |name, _| {
            let hidden = newer.map_or(Ok(None), |newer| reach::status(newer, name))?.is_some();
            if hidden { Ok(()) } else { add(older, name) }
        })?;
    }
    if has_whiteouts {
        xattrs::set_may_hold_whiteouts(into)?;
    }
    // Everything in it has been made, so that its times stay what they are set to.
    newer.or(older).map_or(Ok(()), |source| copy::attributes(source, into))
}

/// Opens the directories that a name stands for in each layer, and the one that was made for them.
fn enter(group: &Group, covered: bool, name: &CStr) -> Result<Level> {
    let into = member(group, INTO).ok_or(Errno::NOENT)?;
    let into = reach::open_directory(into, name)?.ok_or(Errno::NOENT)?;
    let mut level = Level { group: Group::new(), covered };
    let mut opaque = false;
    for root in [NEWER, OLDER] {
        let Some(dir) = member(group, root).filter(|_| !opaque) else { continue };
        let Some(status) = reach::status(dir, name)? else { continue };
        // A whiteout or a file of the older layer, below a directory of the newer one.
        opaque = true;
        if is_directory(&status) {
            let child = reach::open_directory(dir, name)?.ok_or(Errno::NOENT)?;
            opaque = xattrs::is_opaque(child.as_fd())?;
            level.group.push((root, child));
        }
    }
    if opaque && !covered {
        xattrs::set_opaque(into.as_fd())?;
    }
    level.covered |= opaque;
    level.group.push((INTO, into));
    Ok(level)
}

fn member(group: &Group, root: usize) -> Option<BorrowedFd<'_>> {
    group.iter().find(|(number, _)| *number == root).map(|(_, dir)| dir.as_fd())
}

fn whiteout(into: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    rustix::fs::mknodat(into, name, FileType::CharacterDevice, Mode::empty(), 0)
}

/// Gives a file another name; where the file can have no more, copies it.
fn link(from: BorrowedFd<'_>, name: &CStr, status: &Statx, into: BorrowedFd<'_>) -> Result<()> {
    match with_permission(from, || rustix::fs::linkat(from, name, into, name, AtFlags::empty())) {
        Err(Errno::MLINK | Errno::PERM) => copy::copy(from, name, status, into),
        other => other,
    }
}
