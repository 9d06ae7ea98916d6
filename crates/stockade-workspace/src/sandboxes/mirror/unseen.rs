//! Of which files every change from now on moves a time.
//!
//! Three things make a file look unchanged when it is not: a change within one step of the clock that stamps files, right
//! after the copy; a write to a page of a shared mapping that was dirty already, which moves no time at all
//! (`file_update_time` is called when a page becomes writable); and a write that was asked for before the copy, when it
//! moved the times, and is carried out after it. Of a file that was just changed, or that a program has mapped, and of all
//! files while such writes may be under way, the copy is not remembered as one that could be used again.

use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::io::Result;

use crate::directory;
use crate::layers::{Entry, reach};
use crate::sandboxes::window;

/// A second, in nanoseconds.
const SECOND: i64 = 1_000_000_000;

/// Files that may be changed later without any time telling: those of which frozen programs have shared mappings, whatever
/// they may do with these at the moment, and those that are being written already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unseen {
    /// Paths of some, relative to the workspace.
    pub paths: Vec<PathBuf>,
    /// Inode numbers of some. A file that has one of these by chance is copied for nothing.
    pub inodes: Vec<u64>,
    /// Whether there may be more of them.
    pub others: bool,
    /// Whether asynchronous writes (`io_submit(2)`) to whatever file may be under way.
    pub under_way: bool,
}

/// Which files can be watched by their times.
#[derive(Debug)]
pub(super) struct Watchable {
    /// When the mirror was begun.
    now: i64,
    /// Those that cannot; `None` where none can.
    unseen: Option<HashSet<u64>>,
}

impl Watchable {
    pub(super) fn of(unseen: &Unseen, upper: BorrowedFd<'_>) -> Self {
        let Unseen { paths, inodes, others, under_way } = unseen;
        let mut found: HashSet<u64> = inodes.iter().copied().collect();
        let mut find = |path: &PathBuf| inode(upper, path).map(|inode| found.extend(inode)).is_ok();
        let is_complete = !others && !under_way && paths.iter().all(&mut find);
        Self { now: window::now(), unseen: is_complete.then_some(found) }
    }

    /// Whether every change from now on moves the time of the last change of a file.
    pub(super) fn is_told_of_changes(&self, entry: &Entry) -> bool {
        let steps_by_seconds = entry.changed % SECOND == 0 && entry.modified % SECOND == 0;
        let step = if steps_by_seconds { 2 * SECOND } else { 0 };
        let is_seen = self.unseen.as_ref().is_some_and(|unseen| !unseen.contains(&entry.inode));
        entry.changed.saturating_add(step) < self.now && is_seen
    }
}

/// The inode of a file of `upper`; `None` where there is none at that path: it lies in a layer below, where nothing changes
/// it.
fn inode(upper: BorrowedFd<'_>, path: &Path) -> Result<Option<u64>> {
    let (parent, name) = directory::split(path.as_os_str().as_bytes());
    let Some(dir) = reach::open_below(upper, parent)? else { return Ok(None) };
    Ok(reach::status(dir.as_fd(), &directory::c_name(name)?)?.map(|status| status.stx_ino))
}
