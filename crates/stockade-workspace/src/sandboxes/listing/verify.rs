//! Finds what was changed in a layer from outside.
//!
//! Kind, mode, length, inode and modification time of every entry are compared, and the time of its last change, which
//! `touch` cannot set. That one moves without anybody's doing wrong in three cases, in which it is passed over: when a file
//! gets a further name in another layer; for the root, which is renamed when a layer is made; and where permission had to be
//! given for a moment to read what is closed to its owner.

use std::os::fd::AsFd;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::super::error::SandboxError;
use super::super::every::{Every, Visited};
use super::super::folder::Folder;
use super::super::home::TREE;
use super::super::id::Id;
use super::super::sandbox::Sandbox;
use super::super::upper;
use super::{LINKED, Line, Lines};
use crate::directory;
use crate::layers::Kind;
use crate::os_text;
use crate::walk::to_path;

/// Most differences that are told one by one.
const MAX_TOLD: usize = 1000;

/// What differs at one path of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Difference {
    /// It is not listed.
    Added {
        /// Where, below the layer's root.
        #[serde(with = "os_text")]
        path: PathBuf,
    },
    /// It is gone.
    Missing {
        /// Where, below the layer's root.
        #[serde(with = "os_text")]
        path: PathBuf,
    },
    /// It is not as listed.
    Changed {
        /// Where, below the layer's root.
        #[serde(with = "os_text")]
        path: PathBuf,
        /// What of it: `kind`, `mode`, `size`, `inode`, `modified` or `changed`.
        what: Vec<String>,
    },
    /// The listing is not the one that was made, or cannot be read.
    Listing {
        /// What is wrong with it.
        what: String,
    },
}

/// What came of comparing a layer with its listing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// How many differences there are.
    pub count: u64,
    /// The first of them.
    pub differences: Vec<Difference>,
}

impl Verified {
    /// Whether the layer is as it was made.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.count == 0
    }

    fn tell(&mut self, difference: Difference) {
        self.count += 1;
        if self.differences.len() < MAX_TOLD {
            self.differences.push(difference);
        }
    }
}

impl Sandbox {
    /// Compares a layer that the sandbox names with its listing, and the listing with its digest.
    ///
    /// # Errors
    /// When the sandbox names no such layer, or it cannot be read.
    pub fn verify_layer(&self, id: Id) -> Result<Verified, SandboxError> {
        let record = self.manifest.layers.iter().find(|layer| layer.id == id);
        let unknown = || SandboxError::UnknownLayer { sandbox: self.name.clone(), layer: id.to_string() };
        let record = record.ok_or_else(unknown)?;
        verify(&self.home.layer(id)?, &record.digest)
    }
}

fn verify(layer: &Folder, digest: &str) -> Result<Verified, SandboxError> {
    let mut verified = Verified::default();
    let mut lines = match Lines::open(layer) {
        Ok(lines) => lines,
        Err(SandboxError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            verified.tell(Difference::Listing { what: "it is missing".to_owned() });
            return Ok(verified);
        }
        Err(error) => return Err(error),
    };
    // What a listing that cannot be read further says, nothing is compared with.
    if let Err(error) = compare(layer, &mut lines, &mut verified)? {
        verified.tell(Difference::Listing { what: error.to_string() });
    } else if lines.digest() != digest {
        verified.tell(Difference::Listing { what: "it is not the one that was made with the layer".to_owned() });
    }
    Ok(verified)
}

/// Walks through the tree and its listing at once, which are in the same order.
fn compare(layer: &Folder, lines: &mut Lines, verified: &mut Verified) -> Result<std::io::Result<()>, SandboxError> {
    let tree = upper::open(layer, TREE)?;
    let linked = layer.has(LINKED)?;
    let root = directory::own_status(tree.as_fd()).map_err(|error| layer.failed("look at", TREE, error))?;
    let mut every = Every::new(tree.as_fd())?;
    let mut found = Some(Visited { depth: 0, status: root });
    let mut listed = match lines.next() {
        Ok(line) => line,
        Err(error) => return Ok(Err(error)),
    };
    loop {
        let order = match (&found, &listed) {
            (None, None) => return Ok(Ok(())),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(found), Some(listed)) => {
                // The root comes first in both.
                let root = (found.depth > 0).cmp(&(listed.depth > 0));
                root.then_with(|| parts(every.path()).cmp(parts(lines.path())))
            }
        };
        if let (std::cmp::Ordering::Equal, Some(found), Some(listed)) = (order, &found, &listed) {
            let what = differences(found, listed, linked);
            if !what.is_empty() {
                verified.tell(Difference::Changed { path: to_path(every.path()), what });
            }
        } else if order.is_lt() {
            verified.tell(Difference::Added { path: to_path(every.path()) });
        } else {
            verified.tell(Difference::Missing { path: to_path(lines.path()) });
        }
        if order.is_le() {
            found = every.next()?;
        }
        if order.is_ge() {
            listed = match lines.next() {
                Ok(line) => line,
                Err(error) => return Ok(Err(error)),
            };
        }
    }
}

/// The names of a path: a walk orders by these, and not by the bytes of the path, in which `/` comes after some others.
fn parts(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
}

/// What of an entry is not as listed.
fn differences(found: &Visited, listed: &Line, linked: bool) -> Vec<String> {
    let now = Line::new(found.depth, b"", &found.status);
    let closed = match now.kind {
        Kind::Directory => now.mode & 0o700 != 0o700,
        _ => now.mode & 0o400 == 0,
    };
    let is_file = now.kind != Kind::Directory;
    let moves = found.depth == 0 || closed || (linked && is_file);
    let compared = [
        ("kind", now.kind == listed.kind),
        ("mode", now.mode == listed.mode),
        ("size", now.size == listed.size),
        ("inode", now.inode == listed.inode),
        ("modified", now.modified == listed.modified),
        ("changed", moves || now.changed == listed.changed),
    ];
    compared.into_iter().filter(|(_, same)| !same).map(|(what, _)| what.to_owned()).collect()
}
