//! Following a chain line by line, against the head that signs it.

use serde::{Deserialize, Serialize};

use super::damage::Damage;
use super::head::Head;
use super::line::{Hash, Line, SandboxId};

/// The most losses that are listed; more are counted.
const MAX_LOSSES: usize = 64;

/// What the events begin with that the record writes about itself.
pub(super) const OWN_EVENTS: &str = "record.";

/// The event that tells of a [`Lost`].
pub(super) const LOSS_EVENT: &str = "record.loss";

/// A record that is whole, and what is to be known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// How many lines there are.
    pub lines: u64,
    /// The hash of the last one, in hexadecimal digits; noted elsewhere, it shows later that nothing before it has changed.
    pub hash: String,
    /// How many of the last lines are not signed yet: they were appended since the head was. Whoever can write the file can
    /// change them without its being seen.
    pub unsigned: u64,
    /// Bytes after the last line: a line whose writer was killed while it wrote, or is writing. It was never part of the
    /// record.
    pub torn: Option<u64>,
    /// What the record says that it has lost; at most 64 are listed. Before and after each, it is whole.
    pub losses: Vec<Loss>,
    /// How many losses there are.
    pub lost: u64,
}

/// A line that tells of a loss.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The line that tells of it: what is missing came before.
    pub line: u64,
    /// What was lost.
    pub what: Lost,
}

/// What was lost, as the next writer found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
#[non_exhaustive]
pub enum Lost {
    /// A line that was not finished, its writer having been killed.
    Torn {
        /// How long it was.
        bytes: u64,
        /// The file to which it was moved.
        kept: String,
    },
    /// What came after the last good line.
    Damaged {
        /// How long it was.
        bytes: u64,
        /// The file to which it was moved.
        kept: String,
    },
    /// Lines that the head had signed, or that a writer had appended or seen itself. A machine that lost its power does
    /// that, and so does somebody who cuts the record.
    Cut {
        /// The first that is missing.
        from: u64,
        /// The last.
        to: u64,
    },
    /// Lines that a writer had seen were replaced by others, and not signed since.
    Rewritten,
    /// The head, for the reason given.
    Head {
        /// What was wrong with it.
        why: String,
    },
}

/// A chain as far as it was followed.
#[derive(Debug)]
pub(super) struct Chain {
    start: Hash,
    sequence: u64,
    hash: Hash,
    head: Option<Head>,
    losses: Vec<Loss>,
    lost: u64,
}

impl Chain {
    /// Begins at the first line of a sandbox's record.
    pub(super) fn new(sandbox: &SandboxId) -> Self {
        let start = sandbox.start();
        Self { start, sequence: 0, hash: start, head: None, losses: Vec::new(), lost: 0 }
    }

    /// Goes on after a line that is known.
    pub(super) fn after(sandbox: &SandboxId, sequence: u64, hash: Hash) -> Self {
        Self { sequence, hash, ..Self::new(sandbox) }
    }

    /// The last line's number.
    pub(super) const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The last line's hash.
    pub(super) const fn hash(&self) -> Hash {
        self.hash
    }

    /// Says what signs the chain; its own signature has been looked at.
    pub(super) fn signed_by(&mut self, head: Head) -> Result<(), Damage> {
        let is_other = head.sequence == self.sequence && head.hash != self.hash;
        self.head = Some(head);
        if is_other { Err(Damage::NotTheSigned) } else { Ok(()) }
    }

    /// Takes the next line, given without its line end.
    pub(super) fn take(&mut self, text: &[u8]) -> Result<(), Damage> {
        let line = Line::parse(text)?;
        if !line.is_unchanged() {
            return Err(Damage::Changed);
        }
        if !line.is_readable() {
            return Err(Damage::NotALine);
        }
        let expected = self.sequence.checked_add(1).ok_or(Damage::NotALine)?;
        if line.sequence != expected {
            return Err(Damage::Sequence { expected, found: line.sequence });
        }
        if line.prev != self.hash {
            return Err(if self.hash == self.start { Damage::OtherStart } else { Damage::Unlinked });
        }
        if self.head.as_ref().is_some_and(|head| head.sequence == expected && head.hash != line.hash) {
            return Err(Damage::NotTheSigned);
        }
        (self.sequence, self.hash) = (expected, line.hash);
        if line.event == LOSS_EVENT {
            self.note(&line)?;
        }
        Ok(())
    }

    fn note(&mut self, line: &Line<'_>) -> Result<(), Damage> {
        let what = serde_json::from_value(line.entry()?.payload).map_err(|_| Damage::NotALine)?;
        self.lost += 1;
        if self.losses.len() < MAX_LOSSES {
            self.losses.push(Loss { line: line.sequence, what });
        }
        Ok(())
    }

    /// The chain has ended, with that many bytes after its last line.
    pub(super) fn finish(self, torn: Option<u64>) -> Result<Verified, Damage> {
        let head = self.head.ok_or(Damage::HeadMissing)?;
        let unsigned = self.sequence.checked_sub(head.sequence).ok_or(Damage::Cut { signed: head.sequence })?;
        let hash = super::hex::encode(&self.hash.0);
        Ok(Verified { lines: self.sequence, hash, unsigned, torn, losses: self.losses, lost: self.lost })
    }
}
