//! Notes what the host has at the paths that a sandbox has changed.
//!
//! Only what was changed is looked at, and what is hidden by it: a directory of the host that the sandbox removed or replaced
//! hides everything that is in it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::super::error::SandboxError;
use super::super::home::TREE;
use super::super::locked::Locked;
use super::super::upper::{self, UPPER};
use super::super::window;
use super::look::{CHANGED, Changed, Level, OnHost, look, member};
use super::writer::Writer;
use super::{FOLDER, MAX_PATH, Note, host};
use crate::directory;
use crate::layers::descent::{Descent, Group, Root};
use crate::layers::names::Names;
use crate::layers::{Entry, Kind, LayerError, reach};
use crate::listing;
use crate::walk::to_path;

impl Locked<'_> {
    /// Notes what the host has at the paths that were changed since the last checkpoint, as far as it is not noted yet. Call it
    /// when the last program has ended; a checkpoint does it as well. Does nothing where the workspace is gone.
    ///
    /// # Errors
    /// When a directory cannot be read or a note not be written.
    pub fn note_bases(&mut self) -> Result<(), SandboxError> {
        let Ok(workspace) = self.open_workspace() else { return Ok(()) };
        // What the host changes from here on is later than what is noted.
        let moment = window::now();
        if !self.is_upper_unchanged()? {
            self.note(upper::open(&self.folder, UPPER)?.as_fd(), workspace.as_fd())?;
            crate::fault::place();
        }
        window::begin(&self.folder, moment)
    }

    fn note(&self, upper: BorrowedFd<'_>, workspace: BorrowedFd<'_>) -> Result<(), SandboxError> {
        let folder = match self.folder.child(FOLDER)? {
            Some(folder) => folder,
            None => self.folder.make_child(FOLDER)?,
        };
        let since = window::since(&self.folder)?.unwrap_or(self.created());
        let mut under = Vec::new();
        for id in self.manifest.ids(&self.manifest.under) {
            under.push(upper::open(&self.home.layer(id)?, TREE)?);
        }
        let mut noter = Noter { writer: Writer::open(folder)?, workspace, since, under };
        noter.walk(upper)?;
        noter.writer.finish()
    }
}

struct Noter<'n> {
    writer: Writer,
    workspace: BorrowedFd<'n>,
    since: i64,
    under: Vec<OwnedFd>,
}

impl Noter<'_> {
    fn walk(&mut self, upper: BorrowedFd<'_>) -> Result<(), SandboxError> {
        let roots = [Root { dir: upper, is_layer: true }, Root { dir: self.workspace, is_layer: false }];
        let mut descent = Descent::new(roots.to_vec());
        let root = descent.open_roots().map_err(|source| descent.failure("open", source))?;
        let status = directory::own_status(self.workspace).map_err(|source| descent.failure("look at", source))?;
        let since = self.since;
        let level = Level { unreadable: false, lossy: Entry::of(&status).modified >= since };
        let on_host = OnHost::Has(Entry::of(&status));
        self.note(b"", &Changed { on_host, hides: false, child: Group::new(), level })?;
        enter(&mut descent, root, level)?;
        while let Some(found) = descent.next(|group, level, name| look(group, *level, since, name))? {
            let Some(changed) = found else { continue };
            let path = descent.path();
            if path.len() > MAX_PATH {
                continue;
            }
            self.note(path, &changed)?;
            if !changed.child.is_empty() {
                enter(&mut descent, changed.child, changed.level)?;
            }
        }
        Ok(())
    }

    fn note(&mut self, path: &[u8], changed: &Changed) -> Result<(), SandboxError> {
        let is_new = !self.writer.knows(path);
        let hides = changed.hides && !self.writer.knows_hidden(path);
        if hides {
            // First, so that the note says only what has been done.
            self.note_hidden(path)?;
        }
        if !is_new && !hides {
            return Ok(());
        }
        let mut note = Note { hides, ..Note::new(to_path(path)) };
        match &changed.on_host {
            OnHost::Unknown => return Ok(()),
            OnHost::Has(entry) => {
                note.entry = Some(*entry);
                note.uncertain = self.may_have_changed(entry);
                if is_new && entry.kind == Kind::File && !note.uncertain && self.writer.has_room(entry) {
                    self.copy(path, entry, &mut note)?;
                }
            }
            OnHost::Nothing => {}
            // What is in no layer was the host's, which has removed it.
            OnHost::NothingAnyMore => note.uncertain = !self.is_in_a_layer(path),
        }
        self.writer.add(&note)
    }

    /// Whether an entry of the host may have become what it is after the sandbox saw it. That something was made or removed in
    /// a directory makes the directory itself no other: then it was its content that changed last.
    fn may_have_changed(&self, entry: &Entry) -> bool {
        let only_content = entry.kind == Kind::Directory && entry.modified == entry.changed;
        entry.changed >= self.since && !only_content
    }

    /// Keeps a copy of a file of the host, unless it is another by now, and then it is uncertain. One that may not be read has
    /// none.
    fn copy(&mut self, path: &[u8], entry: &Entry, note: &mut Note) -> Result<(), SandboxError> {
        let open = || {
            let (parent, name) = directory::split(path);
            let dir = directory::open_below(self.workspace, parent)?;
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
            rustix::fs::openat(dir, directory::c_name(name)?, flags, Mode::empty())
        };
        let is_same =
            |file: &OwnedFd| directory::own_status(file.as_fd()).is_ok_and(|status| Entry::of(&status) == *entry);
        match open() {
            Ok(file) if is_same(&file) => {
                let number = self.writer.copy(file.as_fd(), entry.size)?;
                note.uncertain = !is_same(&file);
                note.copy = (!note.uncertain).then_some(number);
            }
            Err(Errno::ACCESS | Errno::PERM) => {}
            Ok(_) | Err(_) => note.uncertain = true,
        }
        Ok(())
    }

    fn is_in_a_layer(&self, path: &[u8]) -> bool {
        let (parent, name) = directory::split(path);
        let Ok(name) = directory::c_name(name) else { return false };
        let has = |tree: &OwnedFd| {
            let dir = reach::open_below(tree.as_fd(), parent).ok()??;
            reach::status(dir.as_fd(), &name).ok()?
        };
        self.under.iter().any(|tree| has(tree).is_some())
    }

    /// Notes everything that a directory of the host holds, without copies.
    fn note_hidden(&mut self, path: &[u8]) -> Result<(), SandboxError> {
        host::each(self.workspace, path, |path, status| {
            if path.len() > MAX_PATH || self.writer.knows(path) {
                return Ok(());
            }
            let entry = Entry::of(status);
            let uncertain = self.may_have_changed(&entry);
            self.writer.add(&Note { entry: Some(entry), uncertain, ..Note::new(to_path(path)) })
        })
    }
}

/// Goes into directories, to visit what was changed there.
fn enter(descent: &mut Descent<'_, Level>, group: Group, level: Level) -> Result<(), LayerError> {
    let (mut names, room) = (Names::default(), descent.room());
    let read = match member(&group, CHANGED) {
        Some(changed) => listing::each(changed, |name, _| names.add(name, room)),
        None => Ok(()),
    };
    read.map_err(|source| descent.failure("read the directory", source))?;
    names.sort();
    descent.enter(group, level, names);
    Ok(())
}
