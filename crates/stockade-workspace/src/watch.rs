//! Sees protected files appear while a run is going on, so that they lie there for a moment only.
//!
//! Only a few directories are watched: the workspace, and those in which protected files lie or may come to lie. What
//! appears elsewhere, and what is lost when too much happens at once, is left to the sweep at the end.
//!
//! Starting costs tens of microseconds, but closing costs 2 to 15 milliseconds, as measured on Linux 6.18: the kernel waits
//! until no other processor looks at the watches (`fsnotify_destroy_group`). So a watch pays for itself only in a run that
//! lasts a while, and is best started when the run has lasted for about a second: it then looks once at what has appeared.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use stockade_spec::glob::{Cursor, Rules};

use crate::before::Before;
use crate::directory;
use crate::error::WatchError;
use crate::identity::Identity;
use crate::listing::Listing;
use crate::quarantine::Quarantine;
use crate::sweep::Sweeper;
use crate::swept::{Options, Swept};

/// Most directories watched by one run.
const MAX_WATCHES: usize = 64;

/// Most events taken at once, so that a flood of them cannot keep the supervisor from its other work.
const MAX_EVENTS: usize = 1_024;

/// Watches a workspace. The descriptor ([`AsFd`]) is readable when there is something to be seen.
#[derive(Debug)]
pub struct Watch {
    inotify: OwnedFd,
    root: OwnedFd,
    /// By watch descriptor, the directory's path relative to the workspace.
    directories: BTreeMap<i32, Vec<u8>>,
    /// Whether what appeared before the start is still to be looked at.
    is_new: bool,
}

impl Watch {
    /// Starts watching. Call [`Self::on_ready`] at once: its first call looks at what has appeared since `before` was taken.
    ///
    /// # Errors
    /// When the workspace cannot be watched. The run is as safe without: the sweep finds the same files, later.
    pub fn start(before: &Before) -> Result<Self, WatchError> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(WatchError::Instance)?;
        let failed = |source| WatchError::Add { path: before.workspace().to_owned(), source };
        let root = before.open_again().map_err(|_| failed(Errno::NOENT))?;
        let mut watch = Self { inotify, root, directories: BTreeMap::new(), is_new: true };
        watch.add(watch.root.try_clone().map_err(|_| failed(Errno::MFILE))?.as_fd(), b"").map_err(failed)?;
        for known in before.parents.iter().filter(|known| !known.path.as_os_str().is_empty()) {
            let path = known.path.as_os_str().as_bytes();
            match directory::open_below(watch.root.as_fd(), path).and_then(|dir| watch.add(dir.as_fd(), path)) {
                Ok(()) | Err(Errno::NOENT | Errno::NOSPC) => {}
                Err(source) => return Err(WatchError::Add { path: known.path.clone(), source }),
            }
        }
        Ok(watch)
    }

    /// Watches an open directory: exactly that one, whatever takes its name.
    fn add(&mut self, dir: BorrowedFd<'_>, path: &[u8]) -> Result<(), Errno> {
        if self.directories.len() >= MAX_WATCHES {
            return Ok(());
        }
        let mut flags = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
        // A configuration of git's is harmless while it is empty, and is judged again once it was written.
        if is_git(path) {
            flags |= WatchFlags::CLOSE_WRITE;
        }
        let name = format!("/proc/self/fd/{}", dir.as_raw_fd());
        let descriptor = inotify::add_watch(&self.inotify, name, flags)?;
        self.directories.insert(descriptor, path.to_vec());
        Ok(())
    }

    /// Puts away what has appeared. Reads what has happened up to now, without waiting.
    ///
    /// # Errors
    /// When events cannot be read.
    pub fn on_ready(
        &mut self,
        before: &Before,
        rules: &Rules,
        options: &Options,
        quarantine: &mut Quarantine,
    ) -> Result<Swept, WatchError> {
        let touched = self.touched()?;
        let mut sweeper = Sweeper::new(before, rules, *options, quarantine);
        if std::mem::take(&mut self.is_new) {
            for path in self.directories.values().cloned().collect::<Vec<_>>() {
                self.look(&path, None, rules, &mut sweeper);
            }
        }
        for (path, names) in touched {
            self.look(&path, Some(&names), rules, &mut sweeper);
        }
        Ok(sweeper.swept)
    }

    /// The directories in which something happened, with the names.
    fn touched(&self) -> Result<BTreeMap<Vec<u8>, Vec<Vec<u8>>>, WatchError> {
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        let mut reader = Reader::new(&self.inotify, &mut buffer);
        let mut touched: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
        for _ in 0..MAX_EVENTS {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(WatchError::Read(error)),
            };
            // Lost events are the sweep's; so is a directory that is gone.
            if event.events().intersects(ReadFlags::QUEUE_OVERFLOW | ReadFlags::IGNORED) {
                continue;
            }
            if let (Some(path), Some(name)) = (self.directories.get(&event.wd()), event.file_name()) {
                let names = touched.entry(path.clone()).or_default();
                if !names.iter().any(|known| known == name.to_bytes()) {
                    names.push(name.to_bytes().to_vec());
                }
            }
        }
        Ok(touched)
    }

    /// Looks at names in one directory, or at all; and, when one of them is a directory that rules lead through, into it.
    fn look(&mut self, path: &[u8], names: Option<&[Vec<u8>]>, rules: &Rules, sweeper: &mut Sweeper<'_>) {
        let cursor = cursor_at(rules, path);
        let interesting = |name: &[u8]| {
            let name = OsStr::from_bytes(name);
            cursor.matches(name).is_some() || cursor.leads_on(name).is_some()
        };
        if !is_git(path) && names.is_some_and(|names| !names.iter().any(|name| interesting(name))) {
            return;
        }
        // A directory that was moved or replaced meanwhile is looked at by the sweep.
        let Ok(dir) = directory::open_below(self.root.as_fd(), path) else { return };
        self.look_into(dir.as_fd(), path, &cursor, sweeper, 0);
    }

    fn look_into(
        &mut self,
        dir: BorrowedFd<'_>,
        path: &[u8],
        cursor: &Cursor<'_>,
        sweeper: &mut Sweeper<'_>,
        level: u32,
    ) {
        let Ok(listing) = Listing::read(dir, path, cursor, |_| {}) else { return };
        let own = directory::own_status(dir).map(|status| Identity::of(&status)).ok();
        for hit in listing.hits {
            sweeper.judge(dir, own.as_ref(), &directory::join(path, hit.name.as_bytes()), &hit);
        }
        for name in listing.subdirectories.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            let text = OsStr::from_bytes(name);
            let whole = directory::join(path, name);
            let watched = self.directories.values().any(|known| *known == whole);
            if level > 8 || watched || cursor.leads_on(text).is_none() {
                continue;
            }
            let Ok(child) = directory::c_name(name).and_then(|name| directory::open_child(dir, &name)) else {
                continue;
            };
            // Without a watch the directory is the sweep's; what lies in it now is looked at all the same.
            if self.add(child.as_fd(), &whole).is_ok() || level == 0 {
                self.look_into(child.as_fd(), &whole, &cursor.enter(text), sweeper, level + 1);
            }
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// Whether a path is that of a repository's own directory, where the shape tells more than names.
fn is_git(path: &[u8]) -> bool {
    directory::split(path).1.eq_ignore_ascii_case(b".git")
}

/// The rules as they stand in a directory of the workspace.
fn cursor_at<'r>(rules: &'r Rules, path: &[u8]) -> Cursor<'r> {
    let names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
    names.fold(rules.walk(), |cursor, name| cursor.enter(OsStr::from_bytes(name)))
}
