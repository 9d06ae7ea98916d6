//! Carries steps out: each is one rename, after which it is looked at what came out.
//!
//! Between the moment at which a file is looked at and the moment at which it is renamed, anybody may put something else in
//! its place, be it another version, a link, or a directory. No call renames a file on the condition that it is a certain
//! one. But an exchange loses nothing: what was there is in the apply's own hands afterwards, and where that is not what was
//! expected, it is put back. So nothing of the host's is ever overwritten or deleted, and the host's files are opened by
//! nothing here.
//!
//! Every step can be asked for again: it sees by the inodes how far it got.

use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Mode, OFlags, RenameFlags};
use rustix::io::{Errno, Result};
use serde::{Deserialize, Serialize};

use super::host::{Host, Place};
use super::journal::Journal;
use super::judge::Same;
use super::permission::OpenedUp;
use super::report::Why;
use super::staging::{Staging, old_path};
use super::step::{Below, Step, Work};
use super::{attributes, contents};
use crate::directory;
use crate::fault;
use crate::layers::{Entry, Kind};

/// How often something is exchanged while another program goes on changing the same name.
const MAX_EXCHANGES: u32 = 64;

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Outcome {
    Done,
    /// The host has something else there by now, and keeps it.
    Raced,
    /// The same, and another version that was there for a moment is left, where the old one would be.
    Kept,
    Failed(Why),
}

/// What steps need.
pub(super) struct Carrier<'a> {
    pub(super) host: &'a Host,
    pub(super) staging: &'a mut Staging,
    pub(super) journal: &'a mut Journal,
    /// Directories whose modes were changed for the moment.
    pub(super) opened: OpenedUp,
}

impl Carrier<'_> {
    /// Carries a step out, or goes on with it.
    pub(super) fn carry_out(&mut self, step: &Step) -> Outcome {
        let path = step.path.as_os_str().as_bytes();
        let (operation, result) = match &step.work {
            Work::Add { number, staged } => ("add", self.add(path, *number, staged)),
            Work::Replace { staged, expected, below } => ("replace", self.replace(path, staged, expected, below)),
            Work::Remove { placeholder, expected, below } => {
                ("remove", self.remove(path, placeholder, expected, below))
            }
            Work::Attributes { number, expected, mode } => {
                ("set attributes of", self.attributes(path, *number, expected, *mode))
            }
        };
        match result {
            Ok(outcome) => outcome,
            // Something of this name, or a directory above it, came or went, or became a link, or something of another kind.
            Err(Errno::NOENT | Errno::EXIST | Errno::NOTDIR | Errno::ISDIR | Errno::LOOP | Errno::NOTEMPTY) => {
                Outcome::Raced
            }
            Err(Errno::BUSY) => Outcome::Failed(Why::OtherFileSystem),
            Err(error) => Outcome::Failed(Why::step(operation, error)),
        }
    }

    fn add(&mut self, path: &[u8], number: u64, staged: &Entry) -> Result<Outcome> {
        let new = self.staging.root.place(format!("new/{number}").as_bytes())?;
        let Some(waiting) = new.look()? else { return Ok(Outcome::Done) };
        if !waiting.is_same_file(staged) {
            return Err(Errno::STALE);
        }
        let place = self.place(path)?;
        fault::place();
        self.permitted(path, &place, || rename(&new, &place, RenameFlags::NOREPLACE))?;
        fault::place();
        if self.is_still(&place, path) {
            return Ok(Outcome::Done);
        }
        let ours = place.look()?.is_some_and(|now| now.is_same_file(staged));
        if ours {
            rename(&place, &new, RenameFlags::NOREPLACE)?;
        }
        Ok(Outcome::Raced)
    }

    fn replace(&mut self, path: &[u8], staged: &Entry, expected: &Entry, below: &[Below]) -> Result<Outcome> {
        let old = self.staging.root.place(&old_path(path))?;
        let waiting = old.look()?.ok_or(Errno::NOENT)?;
        let place = match self.place(path) {
            // It was exchanged, and then the directory above it went away.
            Err(_) if !waiting.is_same_file(staged) => {
                return Ok(self.came_out(&old, expected, path, below, Outcome::Kept));
            }
            other => other?,
        };
        if waiting.is_same_file(staged) {
            if !place.look()?.is_some_and(|now| Same::exactly(expected, &now)) {
                return Ok(Outcome::Raced);
            }
            fault::place();
            self.permitted(path, &place, || rename(&old, &place, RenameFlags::EXCHANGE))?;
            fault::place();
        }
        if self.is_still(&place, path) && self.came_out(&old, expected, path, below, Outcome::Raced) == Outcome::Done {
            return Ok(Outcome::Done);
        }
        self.exchange_back(&old, &place, staged)
    }

    /// Puts back what came out. Where another program changes the same name meanwhile, what it put there last is what stays.
    fn exchange_back(&self, old: &Place, place: &Place, staged: &Entry) -> Result<Outcome> {
        let mut put = *staged;
        for _ in 0..MAX_EXCHANGES {
            let hand = old.look()?.ok_or(Errno::NOENT)?;
            fault::place();
            // Nothing is there any more to exchange it with, or it cannot be done.
            if rename(old, place, RenameFlags::EXCHANGE).is_err() {
                return Ok(Outcome::Kept);
            }
            fault::place();
            if old.look()?.is_some_and(|out| Same::renamed(&put, &out)) {
                return Ok(if put.is_same_file(staged) { Outcome::Raced } else { Outcome::Kept });
            }
            put = hand;
        }
        Ok(Outcome::Kept)
    }

    fn remove(&mut self, path: &[u8], placeholder: &Entry, expected: &Entry, below: &[Below]) -> Result<Outcome> {
        let old = self.staging.root.place(&old_path(path))?;
        let waiting = old.look()?.ok_or(Errno::NOENT)?;
        let place = match self.place(path) {
            Err(_) if !waiting.is_same_file(placeholder) => {
                return Ok(self.came_out(&old, expected, path, below, Outcome::Kept));
            }
            other => other?,
        };
        if waiting.is_same_file(placeholder) {
            if !place.look()?.is_some_and(|now| Same::exactly(expected, &now)) {
                return Ok(Outcome::Raced);
            }
            fault::place();
            self.permitted(path, &place, || rename(&place, &old, RenameFlags::empty()))?;
            fault::place();
        }
        if self.is_still(&place, path) && self.came_out(&old, expected, path, below, Outcome::Raced) == Outcome::Done {
            return Ok(Outcome::Done);
        }
        fault::place();
        match rename(&old, &place, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(Outcome::Raced),
            // Something has come there, or the directory is not there any more.
            Err(_) => Ok(Outcome::Kept),
        }
    }

    fn attributes(&mut self, path: &[u8], number: u64, expected: &Entry, mode: u32) -> Result<Outcome> {
        let place = self.place(path)?;
        let is_it = |now: &Entry| now.is_same_file(expected) && now.kind == Kind::Directory;
        let is_known = |now: &Entry| now.mode == expected.mode || now.mode == mode || self.is_opened(now);
        if !place.look()?.is_some_and(|now| is_it(&now) && is_known(&now)) {
            return Ok(Outcome::Raced);
        }
        let open = || {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(&place.dir, &place.name, flags, Mode::empty())
        };
        let dir = self.permitted(path, &place, open)?;
        if !is_it(&Entry::of(&directory::own_status(dir.as_fd())?)) {
            return Ok(Outcome::Raced);
        }
        let staged = self.staging.root.directory(format!("new/{number}").as_bytes())?;
        fault::place();
        attributes::extended(staged.as_fd(), dir.as_fd(), mode)?;
        fault::place();
        Ok(Outcome::Done)
    }

    /// Whether what came out is what was expected, whole and untouched.
    fn came_out(&mut self, old: &Place, expected: &Entry, path: &[u8], below: &[Below], otherwise: Outcome) -> Outcome {
        let is_expected = |out: Entry| {
            let out = Entry { mode: self.mode_of(&out), ..out };
            Same::renamed(expected, &out)
        };
        let same = old.look().is_ok_and(|out| out.is_some_and(is_expected));
        let whole = expected.kind != Kind::Directory || contents::are(old, path, below).unwrap_or(false);
        if same && whole { Outcome::Done } else { otherwise }
    }

    /// Whether a directory that was used is still where it was, and not somewhere else, out of the workspace perhaps.
    fn is_still(&self, place: &Place, path: &[u8]) -> bool {
        self.host.is_still(place.dir.as_fd(), directory::split(path).0).unwrap_or(false)
    }
}

fn rename(from: &Place, to: &Place, flags: RenameFlags) -> Result<()> {
    rustix::fs::renameat_with(&from.dir, &from.name, &to.dir, &to.name, flags)
}
