//! What can go wrong with keys and records, besides their being broken.

use std::path::PathBuf;

use thiserror::Error;

use super::damage::Broken;

/// Why the key of this machine and user cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A system call failed.
    #[error("cannot {operation} `{path}`: {source}; check that you own it and that its file system is writable")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Somebody else owns it.
    #[error("`{path}` belongs to user {owner}, not to you; it is not used")]
    Owner {
        /// The file or directory.
        path: PathBuf,
        /// The user's number.
        owner: u32,
    },
    /// Others may read or write it.
    #[error("`{path}` has mode {mode:04o}, so others can get at the key; if nobody has, `chmod go= {path}`")]
    Mode {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A link, a directory or something else lies where the key should.
    #[error("`{path}` is not a regular file; it is not used")]
    Kind {
        /// The file.
        path: PathBuf,
    },
    /// It does not hold a key as it is written here.
    #[error("`{path}` does not hold a key; it is never overwritten: move it away, and records go on with a new one")]
    Content {
        /// The file.
        path: PathBuf,
    },
}

/// Why a record cannot be written or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A system call failed.
    #[error("cannot {operation} the record `{path}`: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Somebody else owns the folder or a file in it, others may write to it, or it is no regular file.
    #[error("`{path}` is not a file of your own that only you can write to; it is not used as a record")]
    Foreign {
        /// The file or folder.
        path: PathBuf,
    },
    /// Another process holds the record's lock for too long.
    #[error("another process has held the record `{path}` for {waited_ms} ms; is one stopped that uses this sandbox?")]
    Locked {
        /// The file.
        path: PathBuf,
        /// How long was waited.
        waited_ms: u64,
    },
    /// The file was moved away or removed while it was written.
    #[error("the record `{path}` was removed while it was in use")]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// Not an id of a sandbox.
    #[error("`{0}` is not the id of a sandbox: 32 hexadecimal digits in lower case")]
    Id(String),
    /// Not the name of an event, or one of those that the record itself uses.
    #[error("`{0}` is no name for an event: 1 to 64 of a-z, 0-9, `.`, `_`, `-`, and not beginning with `record.`")]
    Event(String),
    /// A line of it cannot be shown.
    #[error("the record `{path}` is broken: {broken}")]
    Broken {
        /// The file.
        path: PathBuf,
        /// Where, and how.
        broken: Broken,
    },
    /// A counter has come to its end.
    #[error("the record `{path}` cannot be continued: line {sequence} is the last that has a number")]
    Full {
        /// The file.
        path: PathBuf,
        /// The last line's number.
        sequence: u64,
    },
}
