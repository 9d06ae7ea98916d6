//! The bound on what a sandbox takes of the disk.

use std::time::{Duration, Instant};

use stockade_workspace::sandboxes::{Amount, Sandbox};

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
        let mut bound = Self { limit, layers: Amount::default(), next: Instant::now() + LEAST_PAUSE, reached: false };
        if limit.is_some() && !sandbox.under().is_empty() {
            bound.layers = sandbox.usage()?.layers;
            bound.reached = bound.exceeds(sandbox.own_usage()?);
        }
        Ok(bound)
    }

    pub(super) const fn is_reached(&self) -> bool {
        self.reached
    }

    /// Whether it has been reached by now; looks only now and then.
    pub(super) fn look(&mut self, sandbox: &Sandbox) -> bool {
        let started = Instant::now();
        if self.reached || self.limit.is_none() || started < self.next {
            return self.reached;
        }
        // What cannot be counted at the moment, since programs change it, is counted by the next look.
        if let Ok(own) = sandbox.own_usage() {
            self.reached = self.exceeds(own);
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
