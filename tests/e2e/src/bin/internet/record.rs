//! What came to the hosts outside, one line for each thing.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use e2e::internet;

/// Lines that are kept; more would only say the same.
const LINES: usize = 20_000;

/// The record of one run.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    base: PathBuf,
    lines: Arc<AtomicUsize>,
}

impl Record {
    /// A record in the directory of a scene.
    pub(crate) fn new(base: &Path) -> Self {
        Self { base: base.to_owned(), lines: Arc::default() }
    }

    /// The directory of the scene.
    pub(crate) fn base(&self) -> &Path {
        &self.base
    }

    /// Writes something down, before anything is answered.
    pub(crate) fn line(&self, kind: &str, bytes: &[u8]) {
        if self.lines.fetch_add(1, Ordering::Relaxed) < LINES {
            let log = OpenOptions::new().create(true).append(true).open(internet::log(&self.base));
            let line = format!("{kind} {}\n", bytes.escape_ascii());
            drop(log.and_then(|mut log| log.write_all(line.as_bytes())));
        }
    }
}
