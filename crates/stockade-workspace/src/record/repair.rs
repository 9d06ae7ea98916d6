//! Going on with a record whose end is not as its writer left it: everything that is odd is kept, and told.
//!
//! Nothing here makes a broken record look whole. What does not belong to the chain is moved to a file beside it; what the
//! head signs and is not there, a head that is missing or that somebody else has signed, all that becomes a line of its own
//! ([`Lost`]), before anything else is appended. A writer that refused instead would let a machine that lost its power once
//! put the sandbox out of use.

use std::fs::File;
use std::io;

use rustix::fs::OFlags;

use super::chain::Lost;
use super::damage::Damage;
use super::error::RecordError;
use super::files::{Folder, RECORD, size};
use super::head;
use super::key::PublicKey;
use super::line::{MAX_LINE, SandboxId};
use super::lines::Part;
use super::tail::{Found, Tail, find, follow};

/// How many files may be put beside a record at the same line.
const MAX_ASIDE: u32 = 1_000;

/// A record that can be gone on with.
#[derive(Debug)]
pub(super) struct Repaired {
    pub(super) tail: Tail,
    /// What to tell, in this order.
    pub(super) losses: Vec<Lost>,
    /// The number of the line that the head signs; 0 where there is none that can be used.
    pub(super) signed: u64,
}

/// Finds the end, moves away what does not belong, and says what is missing. The caller holds the lock. `seen` is the last line
/// that this writer knows of.
pub(super) fn repair(
    folder: &Folder,
    file: &File,
    sandbox: &SandboxId,
    key: &PublicKey,
    seen: Option<Tail>,
) -> Result<Repaired, RecordError> {
    let failed = |error: io::Error| folder.failed("read", RECORD, error);
    let (size, _) = size(file).map_err(|error| failed(error.into()))?;
    let mut losses = Vec::new();
    let tail = match find(file, size, sandbox).map_err(failed)? {
        Found::Whole(tail) => {
            losses.extend(left_aside(folder, tail)?);
            tail
        }
        Found::Torn(tail) => {
            losses.push(set_aside(folder, file, tail, size)?);
            tail
        }
        Found::Damaged => {
            let (tail, _) = follow(file, size, sandbox, Tail::start(sandbox)).map_err(failed)?;
            losses.push(set_aside(folder, file, tail, size)?);
            tail
        }
    };
    let mut missing = 0;
    if let Some(seen) = seen {
        if seen.sequence > tail.sequence {
            missing = seen.sequence;
        } else if !follow(file, tail.end, sandbox, seen).map_err(failed)?.1 {
            losses.push(Lost::Rewritten);
        }
    }
    let signed = match check_head(folder, sandbox, key, tail)? {
        Ok(sequence) => sequence,
        Err(damage) => {
            losses.push(Lost::Head { why: damage.to_string() });
            0
        }
    };
    missing = missing.max(signed);
    if missing > tail.sequence {
        losses.push(Lost::Cut { from: tail.sequence + 1, to: missing });
    }
    Ok(Repaired { tail, losses, signed })
}

/// The number of the line that the head signs, or what is wrong with it.
fn check_head(
    folder: &Folder,
    sandbox: &SandboxId,
    key: &PublicKey,
    tail: Tail,
) -> Result<Result<u64, Damage>, RecordError> {
    let Some(text) = folder.head()? else { return Ok(Err(Damage::HeadMissing)) };
    Ok(head::decode(&text, sandbox, key).and_then(|head| {
        let is_other = head.sequence == tail.sequence && head.hash != tail.hash;
        if is_other { Err(Damage::NotTheSigned) } else { Ok(head.sequence) }
    }))
}

/// Where what follows a line is moved.
fn aside(tail: Tail) -> String {
    format!("record.aside-{}", tail.sequence + 1)
}

/// What a writer moved away that was killed before it could tell of it.
fn left_aside(folder: &Folder, tail: Tail) -> Result<Option<Lost>, RecordError> {
    let kept = aside(tail);
    let Some(file) = folder.open(&kept, OFlags::RDONLY)? else { return Ok(None) };
    let (bytes, _) = size(&file).map_err(|error| folder.failed("look at", &kept, error))?;
    Ok(Some(lost(bytes, kept)))
}

/// Moves everything after a line to a file beside the record. Killed in between, it is there twice, and moved once more.
fn set_aside(folder: &Folder, file: &File, tail: Tail, size: u64) -> Result<Lost, RecordError> {
    let name = aside(tail);
    let mut kept = name.clone();
    let mut number = 0;
    let mut to = loop {
        match folder.create(&kept, OFlags::WRONLY)? {
            Some(to) => break to,
            None if number < MAX_ASIDE => number += 1,
            None => return Err(folder.failed("move what is damaged away from", RECORD, io::ErrorKind::AlreadyExists)),
        }
        kept = format!("{name}.{number}");
    };
    let bytes = io::copy(&mut Part { file, from: tail.end, to: size }, &mut to);
    let bytes = bytes.map_err(|error| folder.failed("write what is damaged to", &kept, error))?;
    file.set_len(tail.end).map_err(|error| folder.failed("shorten", RECORD, error))?;
    Ok(lost(bytes, kept))
}

fn lost(bytes: u64, kept: String) -> Lost {
    let is_line = usize::try_from(bytes).is_ok_and(|bytes| bytes < MAX_LINE);
    if is_line { Lost::Torn { bytes, kept } } else { Lost::Damaged { bytes, kept } }
}
