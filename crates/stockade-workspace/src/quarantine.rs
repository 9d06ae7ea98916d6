//! Keeps what was found, out of reach of the tools that would execute it, and gives it back on demand.
//!
//! A quarantine is a directory `quarantine/ID` of the state directory. In it, `manifest.jsonl` has one line for the
//! workspace and one for each file, written before the file is moved; `N/PATH` holds the file, N counting up when a path is
//! caught again. Where the state directory is on another file system the file is copied, within bounds; what cannot be
//! moved so is renamed where it lies, to a name that no tool looks for. Nothing is deleted.

mod copy;
mod record;
mod restore;

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{FileType, Mode, RenameFlags};
use rustix::io::Errno;

pub use record::{Item, Kept, Reason};
pub use restore::{Restored, list, restore};

use crate::before::Before;
use crate::directory;
use crate::error::QuarantineError;
use crate::identity::Identity;
use crate::state::StateDirectory;
use crate::walk::to_path;
use record::Record;

/// How often one path may be caught in one run.
const MAX_ROUNDS: u32 = 64;

/// How many items one quarantine holds, and how long their paths may be. Beyond either, files are renamed where they lie.
const MAX_ITEMS: u32 = 10_000;
const MAX_PATH: usize = 16 << 10;

/// Where files found in one run go. Nothing is made on disk before the first file.
#[derive(Debug)]
pub struct Quarantine {
    state: StateDirectory,
    workspace: PathBuf,
    id: String,
    record: Option<Record>,
    items: u32,
    /// Why the last file that was put away is not in the manifest.
    unrecorded: Option<QuarantineError>,
}

/// What is to be put away.
pub(crate) struct Catch<'a> {
    /// The directory in which it lies.
    pub(crate) dir: BorrowedFd<'a>,
    /// Its path relative to the workspace.
    pub(crate) path: &'a [u8],
    pub(crate) identity: Identity,
    pub(crate) rule: &'a str,
    pub(crate) reason: Reason,
}

/// What came of moving a file to the quarantine.
enum Moved {
    To(Kept),
    Gone,
    No,
}

impl Quarantine {
    /// Names the quarantine of the run that [`Before`] was taken for.
    #[must_use]
    pub fn new(state: &StateDirectory, before: &Before) -> Self {
        let id = format!("{:x}-{}", before.started, std::process::id());
        Self::with_id(state, before, id)
    }

    pub(crate) fn with_id(state: &StateDirectory, before: &Before, id: String) -> Self {
        Self { state: state.clone(), workspace: before.workspace.clone(), id, record: None, items: 0, unrecorded: None }
    }

    /// Its name, for [`restore`].
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Why the file that [`Self::take`] has just put away could not be written down, where it could not.
    pub(crate) fn take_unrecorded(&mut self) -> Option<QuarantineError> {
        self.unrecorded.take()
    }

    /// Puts one file away; `None` when it is gone by now. A state directory that cannot be used does not keep it from being
    /// renamed where it lies.
    pub(crate) fn take(&mut self, catch: &Catch<'_>) -> Result<Option<Kept>, QuarantineError> {
        let (_, name) = directory::split(catch.path);
        let failed = |source| QuarantineError::Move { operation: "rename", path: to_path(catch.path), source };
        let name = directory::c_name(name).map_err(failed)?;
        self.items += 1;
        let has_room = self.items <= MAX_ITEMS && catch.path.len() <= MAX_PATH;
        let moved = if has_room { self.move_in(catch, &name) } else { Ok(Moved::No) };
        match moved {
            Ok(Moved::To(kept)) => return Ok(Some(kept)),
            Ok(Moved::Gone) => return Ok(None),
            Ok(Moved::No) => {}
            Err(error) => self.unrecorded = Some(error),
        }
        let kept = set_aside(catch, &name, &self.id).map_err(failed)?;
        if let Some(kept) = kept.as_ref().filter(|_| has_room && self.unrecorded.is_none()) {
            let number = self.items;
            self.unrecorded = self.record().and_then(|record| record.write(number, catch, kept)).err();
        }
        Ok(kept)
    }

    /// Moves a file into the quarantine, having written it down.
    fn move_in(&mut self, catch: &Catch<'_>, name: &CString) -> Result<Moved, QuarantineError> {
        let number = self.items;
        let record = self.record()?;
        for round in 0..MAX_ROUNDS {
            let target = record.make_directory(round, directory::split(catch.path).0)?;
            if !matches!(directory::status(target.as_fd(), name), Err(Errno::NOENT)) {
                continue;
            }
            let kept = Kept::Quarantine(record.path().join(round.to_string()).join(to_path(catch.path)));
            record.write(number, catch, &kept)?;
            return Ok(match move_away(catch, name, target.as_fd()) {
                Ok(()) => Moved::To(kept),
                Err(Errno::NOENT) => Moved::Gone,
                // Too large to copy, of a kind that cannot be copied, or no room: it can still be renamed.
                Err(_) => Moved::No,
            });
        }
        Ok(Moved::No)
    }

    fn record(&mut self) -> Result<&mut Record, QuarantineError> {
        match self.record {
            Some(ref mut record) => Ok(record),
            None => Ok(self.record.insert(Record::create(&self.state, &mut self.id, &self.workspace)?)),
        }
    }
}

/// Moves a file to a directory of the quarantine, by copying it where it is on another file system.
fn move_away(catch: &Catch<'_>, name: &CString, target: BorrowedFd<'_>) -> Result<(), Errno> {
    match rename(catch, name, target, name) {
        Err(Errno::XDEV) => {
            copy::copy(catch.dir, name, target)?;
            copy::remove(catch.dir, name)
        }
        other => other,
    }
}

/// Renames a file where it lies.
fn set_aside(catch: &Catch<'_>, name: &CString, id: &str) -> Result<Option<Kept>, Errno> {
    for attempt in 0..MAX_ROUNDS {
        let suffix = format!(".quarantined-{id}-{attempt}");
        let stem = &name.as_bytes()[..name.as_bytes().len().min(255 - suffix.len())];
        let aside = directory::c_name(&[stem, suffix.as_bytes()].concat())?;
        match rename(catch, name, catch.dir, &aside) {
            Ok(()) => {
                let (parents, _) = directory::split(catch.path);
                return Ok(Some(Kept::Beside(to_path(&directory::join(parents, aside.as_bytes())))));
            }
            Err(Errno::EXIST) => {}
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Err(Errno::EXIST)
}

/// Renames without replacing anything. Permissions that sandboxed code took away from the directory, or from a directory
/// that is moved (its `..` changes), are granted for the moment.
fn rename(catch: &Catch<'_>, name: &CString, target: BorrowedFd<'_>, new: &CString) -> Result<(), Errno> {
    let action = || rustix::fs::renameat_with(catch.dir, name, target, new, RenameFlags::NOREPLACE);
    let result = directory::with_permission(catch.dir, action);
    if result != Err(Errno::ACCESS) || catch.identity.kind() != FileType::Directory {
        return result;
    }
    let moved: OwnedFd = directory::open_path(catch.dir, name)?;
    let mode = Mode::from_raw_mode(directory::own_status(moved.as_fd())?.stx_mode.into());
    directory::set_mode(moved.as_fd(), mode | Mode::RWXU)?;
    let result = directory::with_permission(catch.dir, action);
    directory::set_mode(moved.as_fd(), mode)?;
    result
}
