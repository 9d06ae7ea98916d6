//! Finishes the old layer: takes out of it what was prepared for steps that are not done.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::{AtFlags, Mode, RenameFlags};
use rustix::io::{Errno, Result};

use super::attributes;
use super::carry_out::{Carrier, Outcome};
use super::finish::Finish;
use super::host::Place;
use super::preserve::mark_opaque;
use super::staging::old_path;
use super::step::{Step, Work};
use crate::directory;
use crate::fault;
use crate::layers::Kind;
use crate::walk::to_path;

/// How many names are tried for a version that is kept.
const MAX_NAMES: u32 = 10_000;

/// Longest name of a file.
const MAX_NAME: usize = 255;

impl Finish<'_> {
    /// Makes the old layer at the path of a step what it is to be. Gives where a version was kept, if one was.
    pub(super) fn settle(&self, carrier: &mut Carrier<'_>, step: &Step, outcome: &Outcome) -> Result<Option<PathBuf>> {
        let path = step.path.as_os_str().as_bytes();
        let old = old_path(path);
        match outcome {
            Outcome::Done => {
                mark(carrier, step, &old);
                Ok(None)
            }
            Outcome::Kept => {
                let kept = keep_beside(carrier, path, &old, self.folder.path.join(to_path(&old)))?;
                take_out(carrier, step, &old)?;
                Ok(kept)
            }
            Outcome::Raced | Outcome::Failed(_) => take_out(carrier, step, &old).map(|()| None),
        }
    }

    /// Gives the directories of the old layer the attributes that the host's had. One in which nothing is kept would only hide
    /// those that the host's have, and is removed.
    pub(super) fn finish_parents(&self, carrier: &mut Carrier<'_>) -> Result<()> {
        for parent in self.script.parents.iter().rev() {
            fault::place();
            let path = old_path(parent.path.as_os_str().as_bytes());
            let place = match carrier.staging.last().place(&path) {
                Err(Errno::NOENT) => continue,
                other => other?,
            };
            if path != b"old" && !self.has_attributes(&parent.path) {
                match rustix::fs::unlinkat(&place.dir, &place.name, AtFlags::REMOVEDIR) {
                    Ok(()) | Err(Errno::NOENT) => {
                        carrier.staging.last().forget();
                        continue;
                    }
                    Err(Errno::NOTEMPTY | Errno::EXIST) => {}
                    Err(error) => return Err(error),
                }
            }
            let dir = carrier.staging.last().directory(&path)?;
            attributes::set_modified(dir.as_fd(), parent.modified)?;
            rustix::fs::fchmod(&dir, Mode::from_raw_mode(parent.mode))?;
        }
        Ok(())
    }
}

/// Marks a directory that came to the old layer as one that is whole. Without the mark the layer shows the same for as long as
/// the host makes nothing at its path, so one that cannot be marked is left so.
fn mark(carrier: &mut Carrier<'_>, step: &Step, old: &[u8]) {
    let is_moved = matches!(step.work, Work::Replace { .. } | Work::Remove { .. }) && carrier.staging.kept.is_none();
    if is_moved && step.expected().is_some_and(|expected| expected.kind == Kind::Directory) {
        carrier.staging.root.forget();
        let marked = carrier.staging.root.directory(old).and_then(|dir| mark_opaque(dir.as_fd()));
        drop(marked.map_err(std::io::Error::from));
    }
}

/// Removes what was made for a step that is not done. What is the host's stays.
fn take_out(carrier: &mut Carrier<'_>, step: &Step, old: &[u8]) -> Result<()> {
    let own = match &step.work {
        Work::Add { .. } => return carrier.staging.last().remove(old),
        Work::Replace { staged, .. } => staged,
        Work::Remove { placeholder, .. } => placeholder,
        Work::Attributes { .. } => return Ok(()),
    };
    let found = match carrier.staging.root.place(old) {
        Ok(place) => place.look()?,
        Err(Errno::NOENT) => None,
        Err(error) => return Err(error),
    };
    if found.is_some_and(|found| found.is_same_file(own)) {
        carrier.staging.root.remove(old)?;
    }
    if carrier.staging.kept.is_some() { carrier.staging.last().remove(old) } else { Ok(()) }
}

/// Gives a version that was in the place of a file for a moment a name beside the file; at the top of the workspace, where that
/// cannot be; and where that cannot be either, it stays in the old layer, if that is where it is.
fn keep_beside(carrier: &mut Carrier<'_>, path: &[u8], old: &[u8], layer: PathBuf) -> Result<Option<PathBuf>> {
    let from = carrier.staging.root.place(old)?;
    let (parent, name) = directory::split(path);
    let mut result = Ok(None);
    for parent in [parent, b""] {
        result = carrier.host.directory(parent).and_then(|dir| name_beside(&from, &dir, name));
        if let Ok(kept) = &result {
            let whole = |kept: &Vec<u8>| carrier.host.path().join(to_path(&directory::join(parent, kept)));
            return Ok(kept.as_ref().map(whole));
        }
    }
    if carrier.staging.kept.is_none() { Ok(Some(layer)) } else { result.map(|_| None) }
}

/// Renames to the first of some names that is free. Gives nothing where there is nothing to be renamed: it was done already,
/// before a crash.
fn name_beside(from: &Place, dir: &OwnedFd, name: &[u8]) -> Result<Option<Vec<u8>>> {
    for number in 1..MAX_NAMES {
        let suffix = format!(".kept-{number}");
        let kept = [&name[..name.len().min(MAX_NAME - suffix.len())], suffix.as_bytes()].concat();
        let to = directory::c_name(&kept)?;
        match rustix::fs::renameat_with(&from.dir, &from.name, dir, &to, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(Some(kept)),
            Err(Errno::EXIST) => {}
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Err(Errno::EXIST)
}
