//! What a layer holds, written down when it is complete: `listing.jsonl`.
//!
//! A layer never changes afterwards, so that whatever differs from its listing was done from outside. The listing itself is
//! known by its SHA-256, which the manifests that name the layer hold: `sha256sum listing.jsonl` gives the same.
//!
//! A line says what lies at a name, and how deep: lines are in the order of a walk, each directory before what is in it,
//! names in the order of their bytes. So lines are short however deep a tree is, and two walks can be compared as they go.

mod verify;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::Statx;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use self::verify::{Difference, Verified};
use super::error::SandboxError;
use super::every::{Every, Visited};
use super::folder::Folder;
use super::home::TREE;
use super::upper;
use crate::layers::{Entry, Kind};
use crate::{directory, os_text};

const FILE: &str = "listing.jsonl";

/// Says that further names were given to files of the layer, which moves the times of their last change.
const LINKED: &str = "linked";

/// Longest line: a name of 255 bytes as a list of numbers, and the rest.
const MAX_LINE: u64 = 4096;

/// Which file a file of a mirror was copied from: by the copy's inode, the source's inode and when it was changed last.
pub(super) type Sources = HashMap<u64, (u64, i64)>;

/// A listing in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    /// SHA-256, in hexadecimal digits.
    pub(super) digest: String,
    /// Entries, the root not counted.
    pub(super) entries: u64,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    /// Directories above it; the root has none, and no name.
    pub(super) depth: u32,
    #[serde(with = "os_text")]
    pub(super) name: PathBuf,
    pub(super) kind: Kind,
    pub(super) mode: u32,
    pub(super) size: u64,
    pub(super) inode: u64,
    pub(super) modified: i64,
    pub(super) changed: i64,
    /// Of a file of a mirror: the inode of the file that it was copied from, and when that was changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<(u64, i64)>,
}

impl Line {
    fn new(depth: u32, name: &[u8], status: &Statx) -> Self {
        let Entry { kind, mode, size, modified, changed, inode, .. } = Entry::of(status);
        // That of a directory is the file system's affair.
        let size = if kind == Kind::Directory { 0 } else { size };
        let name = Path::new(OsStr::from_bytes(name)).to_owned();
        Self { depth, name, kind, mode, size, inode, modified, changed, source: None }
    }
}

/// Lists a layer whose tree is complete.
pub(super) fn write(layer: &Folder, sources: &Sources) -> Result<Summary, SandboxError> {
    let failed = |source| SandboxError::Io { operation: "write", path: layer.path().join(FILE), source };
    let tree = upper::open(layer, TREE)?;
    let mut output = Hashing { file: BufWriter::with_capacity(1 << 16, layer.create(FILE)?), hash: Sha256::new() };
    let root = directory::own_status(tree.as_fd()).map_err(|error| layer.failed("look at", TREE, error))?;
    output.line(&Line::new(0, b"", &root)).map_err(failed)?;
    let mut every = Every::new(tree.as_fd())?;
    while let Some(Visited { depth, status }) = every.next()? {
        let (_, name) = directory::split(every.path());
        let source = sources.get(&status.stx_ino).copied();
        output.line(&Line { source, ..Line::new(depth, name, &status) }).map_err(failed)?;
    }
    let entries = every.count();
    Ok(Summary { digest: output.finish().map_err(failed)?, entries })
}

/// Writes, and hashes what it writes.
struct Hashing {
    file: BufWriter<File>,
    hash: Sha256,
}

impl Hashing {
    fn line(&mut self, line: &Line) -> std::io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.hash.update(&text);
        self.file.write_all(&text)
    }

    fn finish(mut self) -> std::io::Result<String> {
        self.file.flush()?;
        Ok(hexadecimal(&self.hash.finalize()))
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The lines of a listing, each with its path.
#[derive(Debug)]
pub(super) struct Lines {
    file: BufReader<File>,
    hash: Sha256,
    /// Path of the last line, and the lengths of the paths of the directories above it.
    path: Vec<u8>,
    above: Vec<usize>,
}

impl Lines {
    /// Begins to read a layer's listing.
    pub(super) fn open(layer: &Folder) -> Result<Self, SandboxError> {
        let file = layer.open_file(FILE)?;
        Ok(Self {
            file: BufReader::with_capacity(1 << 16, file),
            hash: Sha256::new(),
            path: Vec::new(),
            above: Vec::new(),
        })
    }

    /// The next line; an error where it is none.
    pub(super) fn next(&mut self) -> std::io::Result<Option<Line>> {
        let mut text = Vec::new();
        (&mut self.file).take(MAX_LINE).read_until(b'\n', &mut text)?;
        if text.is_empty() {
            return Ok(None);
        }
        self.hash.update(&text);
        let line: Line = serde_json::from_slice(&text)?;
        self.go_to(&line)?;
        Ok(Some(line))
    }

    /// Moves the path to that of a line.
    fn go_to(&mut self, line: &Line) -> std::io::Result<()> {
        let wrong = || std::io::Error::new(std::io::ErrorKind::InvalidData, "a line is deeper than it can be");
        let Some(above) = (line.depth as usize).checked_sub(1) else { return Ok(()) };
        if above > self.above.len() {
            return Err(wrong());
        }
        self.above.truncate(above);
        self.path.truncate(self.above.last().copied().unwrap_or(0));
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(line.name.as_os_str().as_bytes());
        self.above.push(self.path.len());
        Ok(())
    }

    /// Path of the last line.
    pub(super) fn path(&self) -> &[u8] {
        &self.path
    }

    /// SHA-256 of everything that was read.
    pub(super) fn digest(self) -> String {
        hexadecimal(&self.hash.finalize())
    }
}

/// Says that further names are going to be given to files of a layer.
pub(super) fn set_linked(layer: &Folder) -> Result<(), SandboxError> {
    layer.create(LINKED).map(drop)
}
