//! What can be wrong with a record.

use serde::Serialize;
use thiserror::Error;

/// Where a record is broken, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Error)]
#[error("line {line}: {what}")]
pub struct Broken {
    /// The line, counted from 1. 0 is the head, or what comes before the first line of an export.
    pub line: u64,
    /// What is wrong there.
    pub what: Damage,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Error)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Damage {
    /// Not a line as it is written here.
    #[error("this is not a line of a record")]
    NotALine,
    /// Longer than any line that is written here.
    #[error("this line is longer than any that is written")]
    TooLong,
    /// Written by another version.
    #[error("this line is of version {0}, which is not known here")]
    Version(u64),
    /// The line's bytes do not have its hash.
    #[error("this line was changed: its hash is another one")]
    Changed,
    /// The line's number does not follow.
    #[error("line {expected} should stand here, and line {found} does")]
    Sequence {
        /// The number that follows the line before.
        expected: u64,
        /// The number that is there.
        found: u64,
    },
    /// The line does not carry the hash of the line before it.
    #[error("this line does not follow the one before it, which was changed or replaced")]
    Unlinked,
    /// The first line does not begin a record of this sandbox.
    #[error("this is the first line of the record of another sandbox")]
    OtherStart,
    /// The record ends before the place that the head signs.
    #[error("the record ends here, but its head says that there were {signed} lines")]
    Cut {
        /// How many lines the head signs.
        signed: u64,
    },
    /// The head signs another line than the one at its place.
    #[error("this is not the line that the head signs; the record was written anew from here or before")]
    NotTheSigned,
    /// There is no head.
    #[error("the signed head is missing")]
    HeadMissing,
    /// The head is not one as it is written here.
    #[error("the signed head cannot be read")]
    HeadUnreadable,
    /// The head belongs to another sandbox.
    #[error("the signed head is that of another sandbox")]
    HeadOfOther,
    /// The head was signed with another key.
    #[error("the head is signed with another key, {0}")]
    OtherKey(String),
    /// The head's signature does not fit it.
    #[error("the head was changed: its signature does not fit")]
    Signature,
    /// An export does not begin as one.
    #[error("this does not begin as an export of a record")]
    NotAnExport,
    /// An export goes on after its end, or has two heads.
    #[error("this export has two heads")]
    SecondHead,
    /// An export's last line has no end.
    #[error("the last line is cut short")]
    Unfinished,
}
