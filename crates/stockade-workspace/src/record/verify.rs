//! Judging a record where it lies.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustix::fs::OFlags;
use serde::Serialize;

use super::chain::{Chain, Verified};
use super::damage::{Broken, Damage};
use super::error::RecordError;
use super::files::{Folder, Lock, RECORD, size};
use super::head;
use super::key::PublicKey;
use super::line::SandboxId;
use super::lines::{Lines, Part, Piece};

/// What came of verifying a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is whole.
    Verified(Verified),
    /// It is not.
    Broken(Broken),
}

impl Verdict {
    pub(super) fn of(result: Result<Verified, Broken>) -> Self {
        match result {
            Ok(verified) => Self::Verified(verified),
            Err(broken) => Self::Broken(broken),
        }
    }
}

/// A record as it is at one moment: others may append to it, but what it has does not change.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) file: File,
    pub(super) size: u64,
    pub(super) head: Option<Vec<u8>>,
}

impl Snapshot {
    /// Takes it; `None` where there is no record.
    pub(super) fn take(folder: &Folder) -> Result<Option<Self>, RecordError> {
        let Some(file) = folder.open(RECORD, OFlags::RDONLY)? else { return Ok(None) };
        let lock = folder.lock(&file, Lock::Shared)?;
        let head = folder.head()?;
        let (size, _) = size(&file).map_err(|error| folder.failed("look at", RECORD, error))?;
        drop(lock);
        Ok(Some(Self { file, size, head }))
    }

    /// Its bytes.
    pub(super) fn content(&self) -> Part<'_> {
        Part { file: &self.file, from: 0, to: self.size }
    }

    /// Follows it from the first line to the last.
    pub(super) fn judge(&self, sandbox: &SandboxId, key: &PublicKey) -> Result<Verdict, std::io::Error> {
        let mut chain = Chain::new(sandbox);
        let head = self.head.as_deref().ok_or(Damage::HeadMissing);
        let signed = head.and_then(|text| head::decode(text, sandbox, key)).and_then(|head| chain.signed_by(head));
        if let Err(what) = signed {
            return Ok(Verdict::Broken(Broken { line: 0, what }));
        }
        Ok(Verdict::of(follow(chain, self.content())?))
    }
}

fn follow(mut chain: Chain, content: impl Read) -> Result<Result<Verified, Broken>, std::io::Error> {
    let mut lines = Lines::new(content);
    let mut line = 0;
    loop {
        line += 1;
        let step = match lines.next()? {
            Piece::Line(text) => chain.take(text),
            Piece::TooLong => Err(Damage::TooLong),
            Piece::Torn(bytes) => return Ok(chain.finish(Some(bytes)).map_err(|what| Broken { line, what })),
            Piece::End => return Ok(chain.finish(None).map_err(|what| Broken { line, what })),
        };
        if let Err(what) = step {
            return Ok(Err(Broken { line, what }));
        }
    }
}

/// Judges the record of a sandbox: whether every line is as it was written, in its place, and of this sandbox, and whether the
/// head that was signed with this key says so too. Takes memory for one line, however long the record is.
///
/// # Errors
/// When the folder or its files cannot be read.
pub fn verify(folder: &Path, sandbox: &str, key: &PublicKey) -> Result<Verdict, RecordError> {
    let (folder, sandbox) = (Folder::any(folder)?, SandboxId::new(sandbox)?);
    match Snapshot::take(&folder)? {
        Some(snapshot) => snapshot.judge(&sandbox, key).map_err(|error| folder.failed("read", RECORD, error)),
        None => Err(folder.failed("open", RECORD, rustix::io::Errno::NOENT)),
    }
}
