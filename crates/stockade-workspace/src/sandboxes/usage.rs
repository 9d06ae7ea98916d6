//! What a sandbox takes of the disk.

use std::collections::HashSet;
use std::ops::AddAssign;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::Statx;
use serde::{Deserialize, Serialize};

use super::error::SandboxError;
use super::every::{Every, Visited};
use super::home::TREE;
use super::sandbox::Sandbox;
use super::upper::{self, UPPER};
use crate::layers::LayerError;

/// Where copy-on-write caches are, in a sandbox's folder.
const CACHES: &str = "caches";

/// Bytes and files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// Bytes that are set aside on the disk, which for a sparse file are fewer than its length.
    pub bytes: u64,
    /// Files, directories and everything else that has a number of its own.
    pub inodes: u64,
}

/// What a sandbox takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Its own writes since the last checkpoint, and its caches.
    pub own: Amount,
    /// The layers that it names, which other sandboxes may name as well. A file with names in several is counted once.
    pub layers: Amount,
}

impl Usage {
    /// Both.
    #[must_use]
    pub const fn total(&self) -> Amount {
        Amount { bytes: self.own.bytes + self.layers.bytes, inodes: self.own.inodes + self.layers.inodes }
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.inodes += other.inodes;
    }
}

impl Sandbox {
    /// What its own files and the layers that it names take. Every file is looked at; see [`Self::own_usage`].
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub fn usage(&self) -> Result<Usage, SandboxError> {
        let mut counter = Counter::default();
        for layer in &self.manifest.layers {
            let tree = upper::open(&self.home.layer(layer.id)?, TREE)?;
            counter.count(tree.as_fd())?;
        }
        Ok(Usage { own: self.own_usage()?, layers: counter.amount })
    }

    /// What it has written since the last checkpoint takes, and its caches. Layers never change, so that whoever watches a
    /// running sandbox needs the rest once only.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub fn own_usage(&self) -> Result<Amount, SandboxError> {
        let mut counter = Counter::default();
        for name in [UPPER, CACHES] {
            if self.folder.has(name)? {
                counter.count(upper::open(&self.folder, name)?.as_fd())?;
            }
        }
        Ok(counter.amount)
    }
}

/// Counts every file once, however many names it has.
#[derive(Debug, Default)]
struct Counter {
    amount: Amount,
    /// Files with several names that were counted.
    seen: HashSet<u64>,
}

impl Counter {
    fn count(&mut self, tree: BorrowedFd<'_>) -> Result<(), LayerError> {
        let mut every = Every::new(tree)?;
        while let Some(Visited { status, .. }) = every.next()? {
            self.add(&status);
        }
        Ok(())
    }

    fn add(&mut self, status: &Statx) {
        let is_directory = status.stx_mode & 0o170_000 == 0o040_000;
        if is_directory || status.stx_nlink == 1 || self.seen.insert(status.stx_ino) {
            self.amount += Amount { bytes: status.stx_blocks.saturating_mul(512), inodes: 1 };
        }
    }
}
