//! What a change has before and after, to be shown: lines of text, or how much it is that is not shown.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::changes::{Change, Status};
use super::entry::{Entry, Kind};
use super::error::LayerError;
use super::stack::Stack;

/// Files with more bytes or lines than these are summed up.
const MAX_BYTES: u64 = 1 << 20;
const MAX_LINES: usize = 20_000;

/// A file with a NUL so near its beginning is binary, as for git (`buffer_is_binary` in `xdiff-interface.c`).
const LOOKED_AT: usize = 8000;

/// Why a file's lines are not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Untold {
    /// It holds a NUL, so that it is no text.
    Binary,
    /// It has more bytes or lines than are compared.
    TooLarge,
}

/// What lies at one side of a change, of the kinds that a diff tells of: files and symbolic links.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) entry: Entry,
    /// Nothing where both sides have the same.
    pub(super) content: Vec<u8>,
    pub(super) untold: Option<Untold>,
}

/// Both sides of a change.
#[derive(Debug)]
pub(super) struct Sides {
    pub(super) old: Option<Side>,
    pub(super) new: Option<Side>,
}

impl Sides {
    /// Reads both. Where the content is the same, it is not read.
    pub(super) fn read(stack: &Stack, change: &Change) -> Result<Self, LayerError> {
        let same = matches!(change.status, Status::Attributes | Status::Renamed);
        let old = change.old.filter(is_told).map(|entry| match entry.kind {
            _ if same => Ok(Side::of(entry, Vec::new())),
            Kind::Symlink => Ok(Side::of(entry, stack.read_old_link(change)?.into_bytes())),
            _ => Ok(Side::of(entry, read(stack.open_old(change)?, change.old_path())?)),
        });
        let new = change.new.filter(is_told).map(|entry| match entry.kind {
            _ if same => Ok(Side::of(entry, Vec::new())),
            Kind::Symlink => Ok(Side::of(entry, stack.read_link(change)?.into_bytes())),
            _ => Ok(Side::of(entry, read(stack.open_new(change)?, &change.path)?)),
        });
        Ok(Self { old: old.transpose()?, new: new.transpose()? })
    }
}

fn is_told(entry: &Entry) -> bool {
    matches!(entry.kind, Kind::File | Kind::Symlink)
}

impl Side {
    fn of(entry: Entry, content: Vec<u8>) -> Self {
        let untold = if entry.kind == Kind::File { untold(&content) } else { None };
        Self { entry, content, untold }
    }

    /// Its lines, each with its end.
    pub(super) fn lines(side: Option<&Self>) -> Vec<&[u8]> {
        side.map_or_else(Vec::new, |side| side.content.split_inclusive(|byte| *byte == b'\n').collect())
    }
}

/// Reads as much of a file as may be shown, and a byte more where there is one.
fn read(file: OwnedFd, path: &Path) -> Result<Vec<u8>, LayerError> {
    let mut content = Vec::new();
    let read = File::from(file).take(MAX_BYTES + 1).read_to_end(&mut content);
    let failure = |error: std::io::Error| LayerError::Path {
        operation: "read",
        path: path.to_owned(),
        source: Errno::from_io_error(&error).unwrap_or(Errno::IO),
    };
    read.map(|_| content).map_err(failure)
}

fn untold(content: &[u8]) -> Option<Untold> {
    let binary = content.iter().take(LOOKED_AT).any(|byte| *byte == 0);
    let large = || content.len() as u64 > MAX_BYTES || content.split(|byte| *byte == b'\n').count() > MAX_LINES;
    if binary { Some(Untold::Binary) } else { large().then_some(Untold::TooLarge) }
}
