//! A workspace with layers over it, written by overlayfs.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use proptest::test_runner::Config as ProptestConfig;
use stockade_workspace::layers::{Change, Stack, changes};
use tempfile::TempDir;

use crate::inside::Job;
use crate::operation::Operation;
use crate::tree::Tree;

pub(crate) fn cases(count: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(count) }
}

/// A workspace with layers over it, written by overlayfs, and what it shows of them.
pub(crate) struct Written {
    pub(crate) base: TempDir,
    pub(crate) job: Job,
    pub(crate) seen: Tree,
}

pub(crate) fn write(host: &[Operation], layers: &[Vec<Operation>]) -> Written {
    let base = tempfile::tempdir().expect("a directory");
    let workspace = base.path().join("host");
    fs::create_dir(&workspace).expect("a workspace");
    for operation in host {
        drop(operation.run(&workspace));
    }
    let paths: Vec<PathBuf> = (0..layers.len()).map(|at| base.path().join(at.to_string())).collect();
    paths.iter().for_each(|path| fs::create_dir(path).expect("a layer"));
    let writes = paths.iter().cloned().zip(layers.iter().cloned()).collect();
    let mut job = Job { base: base.path().to_owned(), workspace, layers: Vec::new(), writes };
    let seen = job.run();
    job.writes.clear();
    job.layers = paths.into_iter().rev().collect();
    Written { base, job, seen }
}

impl Written {
    pub(crate) fn changes(&self) -> (Stack, Vec<Change>) {
        let stack = Stack::open(&self.job.layers, &self.job.workspace).expect("a stack");
        let found = changes(&stack).expect("changes");
        (stack, found)
    }

    /// A copy of the workspace.
    pub(crate) fn copy(&self) -> PathBuf {
        let copy = self.base.path().join("copy");
        let done = Command::new("cp").arg("-a").arg(&self.job.workspace).arg(&copy).status().expect("cp");
        assert!(done.success());
        copy
    }
}
