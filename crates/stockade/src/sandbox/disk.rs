//! The bound on what a sandbox takes of the disk.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use stockade_workspace::sandboxes::{Amount, Sandbox, Usage};

use crate::error::Error;

/// Files are counted against the bytes that they take at least: one for this many bytes.
const BYTES_PER_FILE: u64 = 4 << 10;
/// The share of time that looking may take.
const SHARE: u32 = 50;
/// How often it is looked at most.
const LEAST_PAUSE: Duration = Duration::from_millis(500);

/// Looks at what a sandbox takes, at intervals.
#[derive(Debug)]
pub(super) struct DiskBound {
    /// Bytes and files that are too many; `None` where nothing bounds them.
    limit: Option<Amount>,
    /// What the layers take, which do not change while it runs.
    layers: Amount,
    /// What its own files took at the start, where that is too much already. Only caches can be written to then.
    spent: Option<Amount>,
    /// The `/proc` of what runs, when something does.
    proc: Option<OwnedFd>,
    next: Instant,
    reached: bool,
}

impl DiskBound {
    /// The bound of a sandbox that may take so many bytes, its layers included.
    ///
    /// # Errors
    /// When what it takes cannot be read.
    pub(super) fn of(bytes: Option<u64>, sandbox: &Sandbox) -> Result<Self, Error> {
        let limit = bytes.map(|bytes| Amount { bytes, inodes: bytes / BYTES_PER_FILE });
        let next = Instant::now() + LEAST_PAUSE;
        let mut bound = Self { limit, layers: Amount::default(), spent: None, proc: None, next, reached: false };
        if limit.is_some() {
            let Usage { own, layers } = sandbox.usage()?;
            bound.layers = layers;
            bound.spent = bound.exceeds(own).then_some(own);
        }
        Ok(bound)
    }

    /// Whether it was reached before anything runs.
    pub(super) const fn is_spent(&self) -> bool {
        self.spent.is_some()
    }

    /// The directories that what runs is to find have been made.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub(super) fn begin(&mut self, sandbox: &Sandbox) -> Result<(), Error> {
        if let Some(spent) = &mut self.spent {
            *spent = sandbox.own_usage()?;
        }
        Ok(())
    }

    /// Programs run: what they hold open counts as well.
    pub(super) fn look_at(&mut self, proc: Option<OwnedFd>) {
        self.proc = proc;
    }

    /// Whether it has been reached; looks only now and then. What has no name is gone with whoever held it.
    pub(super) fn look(&mut self, sandbox: &Sandbox) -> bool {
        let started = Instant::now();
        if self.limit.is_none() || started < self.next {
            return self.reached;
        }
        // What cannot be counted at the moment, since programs change it, is counted by the next look.
        if let Ok(mut own) = sandbox.own_usage() {
            // Only its files with a name are found by looking at the folder.
            let held = self.proc.as_ref().map_or(Ok(0), stockade_linux::limits::nameless);
            own.bytes = own.bytes.saturating_add(held.unwrap_or(0));
            let has_grown = |spent: Amount| own.bytes > spent.bytes || own.inodes > spent.inodes;
            self.reached = self.exceeds(own) && self.spent.is_none_or(has_grown);
        }
        self.next = Instant::now() + (started.elapsed() * SHARE).max(LEAST_PAUSE);
        self.reached
    }

    fn exceeds(&self, own: Amount) -> bool {
        self.limit.is_some_and(|limit| {
            let (bytes, inodes) = (self.layers.bytes + own.bytes, self.layers.inodes + own.inodes);
            bytes > limit.bytes || inodes > limit.inodes
        })
    }
}
