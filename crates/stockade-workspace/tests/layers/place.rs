//! A workspace and layers over it, made by hand.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, XattrFlags};
use stockade_workspace::layers::{Change, Stack, Status, changes, unified};
use tempfile::TempDir;

pub(crate) struct Place {
    pub(crate) base: TempDir,
    pub(crate) workspace: PathBuf,
    pub(crate) layers: Vec<PathBuf>,
}

impl Place {
    /// A workspace and that many layers over it, the top one first.
    pub(crate) fn new(count: usize) -> Self {
        Self::keep(tempfile::tempdir().expect("a directory"), count)
    }

    /// In memory, where many directories are made quickly.
    pub(crate) fn in_memory(count: usize) -> Self {
        Self::keep(tempfile::tempdir_in("/dev/shm").expect("a directory in memory"), count)
    }

    fn keep(base: TempDir, count: usize) -> Self {
        let workspace = base.path().join("host");
        fs::create_dir(&workspace).expect("a workspace");
        let layers: Vec<_> = (0..count).map(|at| base.path().join(at.to_string())).collect();
        layers.iter().for_each(|layer| fs::create_dir(layer).expect("a layer"));
        Self { base, workspace, layers }
    }

    pub(crate) fn host(&self, path: &str, text: &str) -> &Self {
        write(&self.workspace.join(path), text);
        self
    }

    pub(crate) fn layer(&self, layer: usize, path: &str, text: &str) -> &Self {
        write(&self.layers[layer].join(path), text);
        self
    }

    pub(crate) fn whiteout(&self, layer: usize, path: &str) -> &Self {
        let path = self.layers[layer].join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("parents");
        rustix::fs::mknodat(CWD, &path, FileType::CharacterDevice, Mode::empty(), 0).expect("a whiteout");
        self
    }

    pub(crate) fn mark(&self, layer: usize, path: &str, name: &str, value: &[u8]) -> &Self {
        let path = self.layers[layer].join(path);
        rustix::fs::setxattr(&path, name, value, XattrFlags::empty()).expect("an attribute");
        self
    }

    pub(crate) fn stack(&self) -> Stack {
        Stack::open(&self.layers, &self.workspace).expect("a stack")
    }

    pub(crate) fn check(&self, expected: &[(Status, &str)]) {
        let found = changes(&self.stack()).expect("changes");
        let found: Vec<_> = found.iter().map(|change| (change.status, change.path.to_str().expect("text"))).collect();
        assert_eq!(found, expected);
    }
}

pub(crate) fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("parents");
    fs::write(path, text).expect("a file");
}

/// All changes as one diff.
pub(crate) fn diff(stack: &Stack, changes: &[Change]) -> Vec<u8> {
    let holds = |at: usize| changes.get(at + 1).is_some_and(|next| next.path.starts_with(&changes[at].path));
    let texts = changes.iter().enumerate().map(|(at, change)| unified(stack, change, holds(at)).expect("a diff"));
    texts.collect::<Vec<_>>().concat()
}
