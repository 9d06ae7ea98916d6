//! Showing a record, line by line, also while it grows.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use super::damage::{Broken, Damage};
use super::error::RecordError;
use super::files::{Folder, RECORD, size};
use super::line::{Entry, Line};
use super::lines::{Lines, Part, Piece};

/// How long to wait at most between looks where the kernel does not tell of changes.
const PAUSE: Duration = Duration::from_millis(100);

/// The events of a record, in order. It ends where the record does, and goes on when that has grown; [`Self::wait`] waits for
/// it. Hashes and signatures are not looked at: that is what [`super::verify`] is for.
#[derive(Debug)]
pub struct Reader {
    folder: Folder,
    file: File,
    /// Where the next line begins, and its number.
    at: u64,
    line: u64,
    /// Lines that were read but not asked for yet, the next one last.
    ahead: Vec<Result<Entry, RecordError>>,
    /// How large the file was when its end was come to.
    seen: u64,
    changes: Option<OwnedFd>,
}

/// How many lines are read at once.
const BATCH: usize = 64;

impl Reader {
    /// Opens the record in the folder of a sandbox.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn open(folder: &Path) -> Result<Self, RecordError> {
        let folder = Folder::any(folder)?;
        let file = folder.open(RECORD, OFlags::RDONLY)?;
        let file = file.ok_or_else(|| folder.failed("open", RECORD, Errno::NOENT))?;
        Ok(Self { folder, file, at: 0, line: 0, ahead: Vec::new(), seen: 0, changes: None })
    }

    /// Waits until the record may have grown, for as long as that at most. Says whether it may have.
    ///
    /// # Errors
    /// When the system refuses to look.
    pub fn wait(&mut self, timeout: Duration) -> Result<bool, RecordError> {
        let failed = |error: Errno| self.folder.failed("watch", RECORD, error);
        if self.changes.is_none() {
            self.changes = watch(&self.file).ok();
        }
        // Looked at after the watch has begun, so that nothing comes in between.
        if size(&self.file).map_err(failed)?.0 != self.seen {
            return Ok(true);
        }
        let timeout = if self.changes.is_some() { timeout } else { timeout.min(PAUSE) };
        let mut set: Vec<PollFd<'_>> =
            self.changes.iter().map(|changes| PollFd::from_borrowed_fd(changes.as_fd(), PollFlags::IN)).collect();
        let timeout = Timespec::try_from(timeout).map_err(|_| failed(Errno::INVAL))?;
        match poll(&mut set, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(failed(error)),
        }
        if let Some(changes) = &self.changes {
            // What happened does not matter; the descriptor is emptied.
            while rustix::io::read(changes, &mut [0_u8; 1024]).is_ok() {}
        }
        Ok(size(&self.file).map_err(failed)?.0 != self.seen)
    }

    /// Reads some lines ahead.
    fn read(&mut self) -> Result<(), RecordError> {
        let failed = |error: std::io::Error| self.folder.failed("read", RECORD, error);
        let (size, _) = size(&self.file).map_err(|error| failed(error.into()))?;
        let mut lines = Lines::new(Part { file: &self.file, from: self.at, to: size });
        // Nothing of it counts when reading fails, so that it can be tried again.
        let (mut ahead, mut line, mut seen) = (Vec::new(), self.line, self.seen);
        while ahead.len() < BATCH {
            let entry = match lines.next().map_err(failed)? {
                Piece::Line(text) => Line::parse(text).and_then(|line| line.entry()),
                Piece::TooLong => {
                    lines.skip().map_err(failed)?;
                    Err(Damage::TooLong)
                }
                Piece::Torn(_) | Piece::End => {
                    seen = size;
                    break;
                }
            };
            line += 1;
            let path = || self.folder.path_of(RECORD);
            let broken = |what| RecordError::Broken { path: path(), broken: Broken { line, what } };
            ahead.push(entry.map_err(broken));
        }
        self.at += lines.consumed;
        (self.line, self.seen) = (line, seen);
        ahead.reverse();
        self.ahead = ahead;
        Ok(())
    }
}

impl Iterator for Reader {
    type Item = Result<Entry, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ahead.is_empty()
            && let Err(error) = self.read()
        {
            return Some(Err(error));
        }
        self.ahead.pop()
    }
}

/// Has the kernel tell of what is appended.
fn watch(file: &File) -> Result<OwnedFd, Errno> {
    let changes = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    inotify::add_watch(&changes, path, WatchFlags::MODIFY)?;
    Ok(changes)
}
