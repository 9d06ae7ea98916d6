//! Which directories are git's once the changes are applied, and what in them git would obey.
//!
//! As for a workspace that is written directly, a git directory is known by its shape. Here the shape is that of both
//! versions together: of what the host has, and of what the sandbox would add.

use std::cell::RefCell;
use std::collections::HashMap;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::host::Host;
use crate::git::{self, Shape};
use crate::layers::{Change, Kind, Stack};
use crate::{directory, git_state, listing};

/// What makes a directory git's, besides what is protected in one.
const PARTS: &[&[u8]] = &[b"objects", b"refs", b"head"];

/// What is known of git directories.
pub(super) struct Shapes<'a> {
    host: &'a Host,
    stack: &'a Stack,
    changes: &'a [Change],
    /// By directory, what the sandbox adds or changes in it, as far as it matters.
    added: HashMap<&'a [u8], Shape>,
    /// By directory, once it was looked at.
    known: RefCell<HashMap<Vec<u8>, Known>>,
}

#[derive(Clone, Copy)]
struct Known {
    /// Whether it is git's once all is applied.
    is_git: bool,
    /// Whether all that git looks for is in it then.
    is_repository: bool,
    /// Whether it only becomes git's, and the host has something in it that git would obey then.
    arms: bool,
}

impl<'a> Shapes<'a> {
    /// Gathers what the changes, which are in order, add.
    pub(super) fn new(host: &'a Host, stack: &'a Stack, changes: &'a [Change]) -> Self {
        let mut added: HashMap<&[u8], Shape> = HashMap::new();
        for change in changes.iter().filter(|change| change.new.is_some()) {
            let (dir, name) = directory::split(change.path.as_os_str().as_bytes());
            if git::is_protected_name(name) || is_part(name) {
                added.entry(dir).or_default().note(name);
            }
        }
        Self { host, stack, changes, added, known: RefCell::default() }
    }

    /// Whether git would obey this name in this directory.
    pub(super) fn obeys(&self, dir: &[u8], name: &[u8]) -> bool {
        if git::is_protected_name(name) && self.known(dir).is_git || self.is_state(dir, name) {
            return true;
        }
        // With it, git would obey what the host has there.
        is_part(name) && self.known(dir).arms
    }

    /// Whether a directory is a repository, or lies in one: git makes no links there, and would write through them.
    pub(super) fn is_in_repository(&self, dir: &[u8]) -> bool {
        std::iter::successors(Some(dir), |dir| (!dir.is_empty()).then(|| directory::split(dir).0))
            .any(|dir| self.known(dir).is_repository)
    }

    /// Whether it is one of the files that git's ordinary work makes and removes.
    pub(super) fn is_passing(&self, name: &[u8]) -> bool {
        name == b"commondir" || git_state::is_name(name)
    }

    /// Whether what is new at this path of a git directory makes no command of git's run anything.
    pub(super) fn is_harmless(&self, change: &Change) -> bool {
        let path = change.path.as_os_str().as_bytes();
        let (dir, name) = directory::split(path);
        let state = self.is_state(dir, name);
        if !state && (change.old.is_some() || !self.known(dir).is_git) {
            return false;
        }
        match change.new.map(|new| new.kind) {
            Some(Kind::Directory) => name == b"hooks" && self.only_samples(change),
            Some(Kind::File) if git::may_be_harmless(name) => {
                let text = self.stack.open_new(change).ok().and_then(git::read_open);
                text.is_some_and(|text| git::is_harmless_text(dir, name, &text, &|path| self.is_free(path)))
            }
            _ => false,
        }
    }

    /// Whether neither the host nor the sandbox has a link on the way to a path, or at it.
    fn is_free(&self, path: &Path) -> bool {
        let kind = |path: &Path| {
            let changed = self.changes.binary_search_by(|change| change.path.as_path().cmp(path));
            let new = changed.ok().and_then(|at| self.changes[at].new);
            let host = self.host.look(path.as_os_str().as_bytes()).ok().flatten();
            [new, host].into_iter().flatten().any(|entry| entry.kind == Kind::Symlink)
        };
        !path.ancestors().filter(|path| !path.as_os_str().is_empty()).any(kind)
    }

    /// Whether a new directory holds nothing but sample hooks, whose names git never executes.
    fn only_samples(&self, hooks: &Change) -> bool {
        let from = self.changes.partition_point(|change| change.path <= hooks.path);
        let below = self.changes[from..].iter().take_while(|change| change.path.starts_with(&hooks.path));
        below.into_iter().all(|change| {
            change.new.is_some_and(|new| new.kind == Kind::File)
                && change.path.as_os_str().as_bytes().ends_with(b".sample")
        })
    }

    /// Whether git keeps in this file what it is in the midst of.
    fn is_state(&self, dir: &[u8], name: &[u8]) -> bool {
        let (above, own) = directory::split(dir);
        let files = git_state::files(own).unwrap_or(&[]);
        files.iter().any(|known| known.eq_ignore_ascii_case(name)) && self.has_head(above)
    }

    fn has_head(&self, dir: &[u8]) -> bool {
        let head = directory::join(dir, b"HEAD");
        let head = Path::new(std::ffi::OsStr::from_bytes(&head));
        let changed = self.changes.binary_search_by(|change| change.path.as_path().cmp(head));
        changed.is_ok_and(|at| self.changes[at].new.is_some())
            || self.host.look(head.as_os_str().as_bytes()).is_ok_and(|entry| entry.is_some())
    }

    fn known(&self, dir: &[u8]) -> Known {
        if let Some(known) = self.known.borrow().get(dir) {
            return *known;
        }
        let known = self.look(dir);
        self.known.borrow_mut().insert(dir.to_vec(), known);
        known
    }

    fn look(&self, dir: &[u8]) -> Known {
        let mut both = self.added.get(dir).copied().unwrap_or_default();
        let mut host = Shape::default();
        let mut armed = false;
        let read = self.host.directory(dir).and_then(|opened| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let opened = rustix::fs::openat(&opened, c".", flags, Mode::empty())?;
            listing::each(opened.as_fd(), |name, kind| {
                host.note(name.to_bytes());
                both.note(name.to_bytes());
                armed |= git::is_protected_name(name.to_bytes()) && !git::is_harmless(opened.as_fd(), dir, name, kind);
                Ok::<_, Errno>(())
            })
        });
        match read {
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
            // What cannot be looked at may be git's.
            Err(_) => return Known { is_git: true, is_repository: true, arms: true },
        }
        let is_git = both.is_git_directory();
        Known { is_git, is_repository: both.is_repository(), arms: is_git && !host.is_git_directory() && armed }
    }
}

fn is_part(name: &[u8]) -> bool {
    PARTS.iter().any(|part| part.eq_ignore_ascii_case(name))
}
