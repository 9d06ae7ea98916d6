//! Appending to a record.

use std::fs::File;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::OFlags;
use rustix::io::Errno;
use serde_json::Value;

use super::chain::{LOSS_EVENT, Lost, OWN_EVENTS};
use super::error::RecordError;
use super::files::{Folder, HEAD, Lock, RECORD, size};
use super::head;
use super::key::Key;
use super::line::{self, SandboxId};
use super::payload::Payload;
use super::repair::repair;
use super::tail::{Tail, follow};

/// After how many lines the head is signed without being asked.
const SIGN_EVERY: u64 = 64;

/// Appends to the record of a sandbox. Any number of writers, of any processes, may be at it at the same time: each line is
/// one `write(2)` under a lock, after a look at what others have appended.
///
/// A line that was appended survives the end of every process, but not a loss of power, until [`Self::sync`]. The head is signed by
/// [`Self::sign`], after every 64 lines, and when the writer is dropped: signing costs more than everything else together.
#[derive(Debug)]
pub struct Writer {
    folder: Folder,
    file: File,
    sandbox: SandboxId,
    key: Key,
    tail: Tail,
    /// The last line of which this writer knows that the head signs it.
    signed: u64,
}

impl Writer {
    /// Begins the record of a new sandbox, whose id is 32 hexadecimal digits.
    ///
    /// # Errors
    /// When there is a record already, the folder is not the caller's own, or the system refuses a step.
    pub fn create(folder: &Path, sandbox: &str, key: Key) -> Result<Self, RecordError> {
        let (folder, sandbox) = (Folder::own(folder)?, SandboxId::new(sandbox)?);
        let file = folder.create(RECORD, OFlags::RDWR | OFlags::APPEND)?;
        let file = file.ok_or_else(|| folder.failed("create", RECORD, Errno::EXIST))?;
        if folder.has(HEAD) {
            return Err(folder.failed("create", HEAD, Errno::EXIST));
        }
        let writer = Self { tail: Tail::start(&sandbox), folder, file, sandbox, key, signed: 0 };
        writer.write_head(false)?;
        Ok(writer)
    }

    /// Goes on with the record of a sandbox. What is odd at its end is told by lines of its own: what a killed writer left, what
    /// the head signs and is not there, a head that is not right, or a record that is gone ([`Lost`]).
    ///
    /// # Errors
    /// When the folder or a file is not the caller's own, another process holds the lock for too long, or the system refuses
    /// a step.
    pub fn open(folder: &Path, sandbox: &str, key: Key) -> Result<Self, RecordError> {
        let (folder, sandbox) = (Folder::own(folder)?, SandboxId::new(sandbox)?);
        let flags = OFlags::RDWR | OFlags::APPEND;
        let file = match folder.open(RECORD, flags)? {
            Some(file) => file,
            None => folder
                .open(RECORD, flags | OFlags::CREATE)?
                .ok_or_else(|| folder.failed("create", RECORD, Errno::NOENT))?,
        };
        let mut writer = Self { tail: Tail::start(&sandbox), folder, file, sandbox, key, signed: 0 };
        writer.locked(|writer| writer.repair(None))?;
        Ok(writer)
    }

    /// Appends an event and returns its number. A payload that does not fit a line is cut, and the line says so.
    ///
    /// # Errors
    /// When `event` is no name for one, another process holds the lock for too long, or the system refuses a step, as on a
    /// full disk; nothing is appended then.
    pub fn append(&mut self, event: &str, payload: &Value) -> Result<u64, RecordError> {
        if !line::is_event(event) || event.starts_with(OWN_EVENTS) {
            return Err(RecordError::Event(event.to_owned()));
        }
        let payload = Payload::new(payload);
        self.locked(|writer| {
            writer.catch_up()?;
            writer.write(event, &payload)?;
            if writer.tail.sequence - writer.signed >= SIGN_EVERY {
                writer.write_head(false)?;
                writer.signed = writer.tail.sequence;
            }
            Ok(writer.tail.sequence)
        })
    }

    /// Signs the head, so that every line up to here is covered by it.
    ///
    /// # Errors
    /// As for [`Self::append`].
    pub fn sign(&mut self) -> Result<(), RecordError> {
        self.locked(|writer| {
            writer.catch_up()?;
            if writer.signed < writer.tail.sequence {
                writer.write_head(false)?;
                writer.signed = writer.tail.sequence;
            }
            Ok(())
        })
    }

    /// Forces every line up to here and a head that signs them to the disk. That takes milliseconds.
    ///
    /// # Errors
    /// As for [`Self::append`].
    pub fn sync(&mut self) -> Result<(), RecordError> {
        self.locked(|writer| {
            writer.catch_up()?;
            rustix::fs::fdatasync(&writer.file).map_err(|error| writer.folder.failed("sync", RECORD, error))?;
            writer.write_head(true)?;
            writer.signed = writer.tail.sequence;
            Ok(())
        })
    }

    fn locked<T>(&mut self, action: impl FnOnce(&mut Self) -> Result<T, RecordError>) -> Result<T, RecordError> {
        // A copy of the descriptor shares the lock, and lets the action have the writer.
        let file = self.file.try_clone().map_err(|error| self.folder.failed("open", RECORD, error))?;
        let lock = self.folder.lock(&file, Lock::Exclusive)?;
        let result = action(self);
        drop(lock);
        result
    }

    /// Takes note of what other writers have appended.
    fn catch_up(&mut self) -> Result<(), RecordError> {
        let failed = |error: std::io::Error| self.folder.failed("read", RECORD, error);
        let (size, has_name) = size(&self.file).map_err(|error| failed(error.into()))?;
        if !has_name {
            return Err(RecordError::Gone { path: self.folder.path_of(RECORD) });
        }
        if size == self.tail.end {
            return Ok(());
        }
        if size > self.tail.end {
            let (tail, is_good) = follow(&self.file, size, &self.sandbox, self.tail).map_err(failed)?;
            if is_good {
                self.tail = tail;
                return Ok(());
            }
        }
        self.repair(Some(self.tail))
    }

    fn repair(&mut self, seen: Option<Tail>) -> Result<(), RecordError> {
        let repaired = repair(&self.folder, &self.file, &self.sandbox, &self.key.public(), seen)?;
        (self.tail, self.signed) = (repaired.tail, repaired.signed.min(repaired.tail.sequence));
        if repaired.losses.is_empty() {
            return Ok(());
        }
        for lost in &repaired.losses {
            self.tell(lost)?;
        }
        self.write_head(false)?;
        self.signed = self.tail.sequence;
        Ok(())
    }

    fn tell(&mut self, lost: &Lost) -> Result<(), RecordError> {
        let payload = serde_json::to_value(lost).map_err(|error| self.folder.failed("write", RECORD, error))?;
        self.write(LOSS_EVENT, &Payload::new(&payload))
    }

    /// Writes one line at the end, or nothing.
    fn write(&mut self, event: &str, payload: &Payload) -> Result<(), RecordError> {
        let full = || RecordError::Full { path: self.folder.path_of(RECORD), sequence: self.tail.sequence };
        let sequence = self.tail.sequence.checked_add(1).ok_or_else(full)?;
        let (text, hash) = line::encode(sequence, now(), event, payload, self.tail.hash);
        let written = rustix::io::retry_on_intr(|| rustix::io::write(&self.file, &text));
        if written == Ok(text.len()) {
            let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
            self.tail = Tail { sequence, hash, end: self.tail.end + length };
            return Ok(());
        }
        // What was written of it goes, so that the next line does not have to tell of it. Should that fail as well, it does.
        self.file.set_len(self.tail.end).ok();
        Err(self.folder.failed("append to", RECORD, written.err().unwrap_or(Errno::NOSPC)))
    }

    fn write_head(&self, durable: bool) -> Result<(), RecordError> {
        let text = head::encode(&self.sandbox, self.tail.sequence, self.tail.hash, &self.key);
        self.folder.replace_head(&text, durable)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The lines are there, and count as not signed where this fails.
        self.sign().ok();
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
