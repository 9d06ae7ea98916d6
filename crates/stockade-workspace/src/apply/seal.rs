//! Gives staged files their last attributes, and takes note of which they are.
//!
//! This comes once all content is there: the mode of a directory may forbid to put anything in it, its time changes with
//! what is put in it, and a file's last change of attributes with each name that it gets.

use std::os::fd::AsFd;

use rustix::io::{Errno, Result};

use super::attributes;
use super::error::ApplyError;
use super::lists::Lists;
use super::plan::Task;
use super::stage::{Ready, Stage, below};
use super::step::{Member, Opened, Step, Work};
use crate::directory;
use crate::layers::{Change, Entry, Kind};

impl Stage<'_, '_> {
    /// Gives staged files their lists. One that the host has at some of its names, and that is new at others, keeps its list.
    pub(super) fn give_lists(&mut self, ready: &[Ready]) -> std::result::Result<(), ApplyError> {
        let listed = ready.iter().filter(|unit| !unit.lists.is_empty());
        let (kept, new): (Vec<&Ready>, Vec<&Ready>) = listed.partition(|unit| unit.keeps_list());
        for unit in new.into_iter().chain(kept) {
            for change in &unit.members {
                self.give_list(unit, change).map_err(|source| {
                    let (operation, path) = ("set the access control list of", change.path.clone());
                    ApplyError::Stage { operation, path, source }
                })?;
            }
        }
        Ok(())
    }

    fn give_list(&mut self, unit: &Ready, change: &Change) -> Result<()> {
        let Some(kind) = change.new.map(|new| new.kind) else { return Ok(()) };
        // A link has none, and a directory gets its own with its other attributes.
        if matches!(kind, Kind::Directory | Kind::Symlink) {
            return Ok(());
        }
        let place = self.staging.root.place(&below(&unit.base, &unit.members[0], change))?;
        let file = directory::open_path(place.dir.as_fd(), &place.name)?;
        let mode = Entry::of(&directory::own_status(file.as_fd())?).mode;
        let taken = unit.lists.give(file.as_fd(), kind, mode)?;
        self.note(taken, &change.path);
        Ok(())
    }

    /// Finishes a unit, and adds its step.
    pub(super) fn seal(&mut self, ready: Ready) -> std::result::Result<(), ApplyError> {
        let path = ready.members[0].path.clone();
        self.try_seal(ready).map_err(|source| ApplyError::Stage { operation: "finish", path, source })
    }

    fn try_seal(&mut self, ready: Ready) -> Result<()> {
        let first = &ready.members[0];
        let mut members: Vec<Member> = Vec::with_capacity(ready.members.len());
        for change in &ready.members {
            let target = below(&ready.base, first, change);
            let entry = match change.new.map(|new| new.kind) {
                None | Some(Kind::Directory) => None,
                Some(_) => Some(self.staging.root.place(&target)?.look()?.ok_or(Errno::NOENT)?),
            };
            members.push(Member { path: change.path.clone(), status: change.status, entry, layer: change.layer });
        }
        for (change, member) in ready.members.iter().zip(&mut members).rev() {
            if change.new.is_some_and(|new| new.kind == Kind::Directory) {
                let target = below(&ready.base, first, change);
                member.entry = Some(self.directory(change, &target, change.path == first.path, &ready.lists)?);
            }
        }
        let staged = members[0].entry;
        let new = |entry: Option<Entry>| entry.ok_or(Errno::NOENT);
        let work = match ready.task {
            Task::Add => Work::Add { number: ready.number, staged: new(staged)? },
            Task::Replace(expected) => Work::Replace { staged: new(staged)?, expected, below: ready.below },
            Task::Remove(expected) => {
                Work::Remove { placeholder: new(ready.placeholder)?, expected, below: ready.below }
            }
            Task::Attributes(expected) => {
                let mode = new(first.new)?.mode;
                members[0].entry = Some(Entry { mode, ..expected });
                Work::Attributes { number: ready.number, expected, mode }
            }
        };
        self.script.steps.push(Step { path: first.path.clone(), work, members });
        Ok(())
    }

    /// Gives a staged directory its attributes. The first of a unit is going to be renamed, which needs the permission to write
    /// to it: it gets its mode afterwards, where that does not give it.
    fn directory(&mut self, change: &Change, target: &[u8], is_first: bool, lists: &Lists) -> Result<Entry> {
        let new = change.new.ok_or(Errno::NOENT)?;
        let to = self.staging.root.directory(target)?;
        let mode = if is_first { new.mode | 0o700 } else { new.mode };
        let taken = match self.reader.directory(change) {
            Ok(from) => attributes::copy(from.as_fd(), to.as_fd(), mode, new.modified)?,
            // Somebody has edited the layer since it was read.
            Err(_) => attributes::plain(to.as_fd(), mode, new.modified)?,
        };
        self.note(taken, &change.path);
        lists.give(to.as_fd(), Kind::Directory, mode)?;
        let entry = Entry::of(&directory::own_status(to.as_fd())?);
        if mode != new.mode && change.old.is_none_or(|old| old.kind != Kind::Directory) {
            let entry = Entry { mode: new.mode, ..entry };
            self.script.opened.push(Opened { path: change.path.clone(), entry });
        }
        Ok(entry)
    }
}
