//! Adds notes to a folder of them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::super::error::SandboxError;
use super::super::folder::Folder;
use super::{NOTES, Note, each, is_full};
use crate::directory;
use crate::layers::Entry;
use crate::layers::content::copy_content;

/// Longest file that is kept, and how many bytes of them beside one `upper`.
const MAX_FILE: u64 = 256 << 10;
const MAX_FILES: u64 = 64 << 20;

/// Notes that are being added.
#[derive(Debug)]
pub(super) struct Writer {
    folder: Folder,
    file: BufWriter<File>,
    /// Paths that something is noted about, and whether that covers what is hidden there.
    known: HashMap<Vec<u8>, bool>,
    /// Bytes of those paths.
    bytes: usize,
    /// Number of the next copy, and what all of them take.
    next: u32,
    copied: u64,
}

impl Writer {
    /// Begins to add to a folder's notes.
    pub(super) fn open(folder: Folder) -> Result<Self, SandboxError> {
        let (mut known, mut bytes, mut next, mut copied) = (HashMap::new(), 0, 0, 0);
        each(&folder, |note| {
            if let (Some(number), Some(entry)) = (note.copy, note.entry) {
                next = next.max(number.saturating_add(1));
                copied += entry.size;
            }
            remember(&mut known, &mut bytes, &note);
            Ok(())
        })?;
        let failed = |source| SandboxError::Io { operation: "write", path: folder.path().join(NOTES), source };
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(folder.fd(), NOTES, flags, Mode::RUSR | Mode::WUSR);
        let mut file = File::from(file.map_err(|error| failed(error.into()))?);
        let cut_short = is_cut_short(&mut file).map_err(failed)?;
        let mut file = BufWriter::with_capacity(1 << 16, file);
        if cut_short {
            file.write_all(b"\n").map_err(failed)?;
        }
        Ok(Self { folder, file, known, bytes, next, copied })
    }

    /// Whether nothing more needs to be noted about a path: something is, or there are too many notes.
    pub(super) fn knows(&self, path: &[u8]) -> bool {
        is_full(self.known.len(), self.bytes) || self.known.contains_key(path)
    }

    /// Whether nothing more needs to be noted about what is hidden at a path.
    pub(super) fn knows_hidden(&self, path: &[u8]) -> bool {
        is_full(self.known.len(), self.bytes) || self.known.get(path).copied().unwrap_or_default()
    }

    /// Adds a note.
    pub(super) fn add(&mut self, note: &Note) -> Result<(), SandboxError> {
        let mut text = serde_json::to_vec(note).map_err(|error| self.failed(error.into()))?;
        text.push(b'\n');
        self.file.write_all(&text).map_err(|source| self.failed(source))?;
        remember(&mut self.known, &mut self.bytes, note);
        Ok(())
    }

    /// Whether there is room for a copy of a file.
    pub(super) const fn has_room(&self, entry: &Entry) -> bool {
        entry.size <= MAX_FILE && self.copied + entry.size <= MAX_FILES
    }

    /// Keeps a copy of an open file; gives its number.
    pub(super) fn copy(&mut self, file: BorrowedFd<'_>, size: u64) -> Result<u32, SandboxError> {
        let (number, copy) = loop {
            let number = self.next;
            self.next = self.next.saturating_add(1);
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match rustix::fs::openat(self.folder.fd(), number.to_string(), flags, Mode::RUSR | Mode::WUSR) {
                Ok(copy) => break (number, copy),
                // Left by a process that was killed before it noted it.
                Err(Errno::EXIST) => {}
                Err(error) => return Err(self.folder.failed("create", &number.to_string(), error)),
            }
        };
        let failed = |error| self.folder.failed("write", &number.to_string(), error);
        copy_content(file, copy.as_fd(), size).map_err(failed)?;
        self.copied += size;
        Ok(number)
    }

    /// Gives a copy of another folder a name in this one; `None` where it is gone.
    pub(super) fn link(&mut self, from: &Folder, copy: u32) -> Result<Option<u32>, SandboxError> {
        let number = self.next;
        let linked =
            rustix::fs::linkat(from.fd(), copy.to_string(), self.folder.fd(), number.to_string(), AtFlags::empty());
        match linked {
            Ok(()) => {
                self.next = self.next.saturating_add(1);
                Ok(Some(number))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::MLINK) => {
                let file = from.open_file(&copy.to_string())?;
                let size = directory::own_status(file.as_fd()).map_or(0, |status| status.stx_size);
                self.copy(file.as_fd(), size).map(Some)
            }
            Err(error) => Err(self.folder.failed("link", &number.to_string(), error)),
        }
    }

    /// Sees to it that everything is written.
    pub(super) fn finish(mut self) -> Result<(), SandboxError> {
        self.file.flush().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: std::io::Error) -> SandboxError {
        SandboxError::Io { operation: "write", path: self.folder.path().join(NOTES), source }
    }
}

/// Remembers that something is noted about a path.
fn remember(known: &mut HashMap<Vec<u8>, bool>, bytes: &mut usize, note: &Note) {
    let path = note.path.as_os_str().as_bytes();
    if let Some(hides) = known.get_mut(path) {
        *hides |= note.hides;
    } else {
        *bytes += path.len();
        known.insert(path.to_vec(), note.hides);
    }
}

/// Whether a process that was killed left half a line at the end. Leaves the position there.
fn is_cut_short(file: &mut File) -> std::io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}
