//! Directories of the host that do not let their own user do what is to be done.
//!
//! A person may have taken the permission to write from a directory, and the sandbox changed what is in it: it did so by the
//! capabilities of its namespace. So the permission is given for the moment. The journal says so first, so that it is taken
//! back after a crash as well.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::Mode;
use rustix::io::{Errno, Result};

use super::carry_out::Carrier;
use super::host::Place;
use super::step::Opened;
use crate::directory;
use crate::fault;
use crate::layers::{Entry, Kind};

/// Directories whose modes were changed for the moment, in that order. A sandbox decides how many there are, so they are found by
/// what they are.
#[derive(Debug, Default)]
pub(super) struct OpenedUp {
    all: Vec<Opened>,
    /// Where the first of a device and inode is.
    places: HashMap<(u64, u64), usize>,
}

impl OpenedUp {
    pub(super) fn add(&mut self, opened: Opened) {
        self.places.entry((opened.entry.device, opened.entry.inode)).or_insert(self.all.len());
        self.all.push(opened);
    }

    pub(super) fn all(&self) -> &[Opened] {
        &self.all
    }

    fn of(&self, now: &Entry) -> Option<&Opened> {
        self.places.get(&(now.device, now.inode)).and_then(|place| self.all.get(*place))
    }
}

impl FromIterator<Opened> for OpenedUp {
    fn from_iter<I: IntoIterator<Item = Opened>>(all: I) -> Self {
        let mut opened = Self::default();
        all.into_iter().for_each(|one| opened.add(one));
        opened
    }
}

impl Carrier<'_> {
    /// Opens the directory above a path. Those on the way that do not let their owner through do for the moment.
    pub(super) fn place(&mut self, path: &[u8]) -> Result<Place> {
        let result = self.host.place(path);
        if !matches!(result, Err(Errno::ACCESS)) {
            return result;
        }
        for at in path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at) {
            let above = self.host.open_path(&path[..at])?;
            if Entry::of(&directory::own_status(above.as_fd())?).mode & 0o100 == 0 {
                self.open_up(&path[..at], above.as_fd())?;
            }
        }
        self.host.place(path)
    }

    /// Does something to a name. Where the directory does not permit it to its owner, or a directory that is moved does not, they
    /// do for the moment.
    pub(super) fn permitted<T>(&mut self, path: &[u8], place: &Place, action: impl Fn() -> Result<T>) -> Result<T> {
        let mut result = action();
        if matches!(result, Err(Errno::ACCESS)) && self.open_up(directory::split(path).0, place.dir.as_fd())? {
            result = action();
        }
        if matches!(result, Err(Errno::ACCESS)) {
            let found = directory::open_path(place.dir.as_fd(), &place.name)?;
            self.open_up(path, found.as_fd())?;
            result = action();
        }
        result
    }

    /// Gives the owner of a directory of the host all permissions on it, having written down those that it has. Whether there
    /// were any to give.
    fn open_up(&mut self, path: &[u8], dir: BorrowedFd<'_>) -> Result<bool> {
        let entry = Entry::of(&directory::own_status(dir)?);
        if entry.kind != Kind::Directory || entry.mode & 0o700 == 0o700 {
            return Ok(false);
        }
        let opened = Opened { path: crate::walk::to_path(path), entry };
        self.journal.opened(&opened).map_err(|error| error.errno())?;
        self.opened.add(opened);
        fault::place();
        directory::set_mode(dir, Mode::from_raw_mode(entry.mode) | Mode::RWXU)?;
        fault::place();
        Ok(true)
    }

    pub(super) fn is_opened(&self, now: &Entry) -> bool {
        self.opened.of(now).is_some()
    }

    /// The mode that a file has but for the moment.
    pub(super) fn mode_of(&self, now: &Entry) -> u32 {
        let opened = self.opened.of(now);
        opened.filter(|opened| opened.entry.mode | 0o700 == now.mode).map_or(now.mode, |opened| opened.entry.mode)
    }
}
