//! What a directory holds, to see whether anything of it changed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    pub(crate) content: Vec<u8>,
    /// Times of the last change of content and of attributes, in nanoseconds since 1970.
    pub(crate) times: (i128, i128),
}

/// Every path below a directory, itself included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tree(pub(crate) BTreeMap<PathBuf, Found>);

impl Tree {
    /// Looks at a directory. Links are not followed.
    pub(crate) fn of(directory: &Path) -> Self {
        let mut found = BTreeMap::new();
        let mut open = vec![directory.to_owned()];
        while let Some(path) = open.pop() {
            let data = fs::symlink_metadata(&path).expect("metadata");
            let content = if data.is_file() {
                fs::read(&path).expect("a readable file")
            } else if data.is_symlink() {
                fs::read_link(&path).expect("a link").into_os_string().into_encoded_bytes()
            } else {
                Vec::new()
            };
            if data.is_dir() {
                open.extend(fs::read_dir(&path).expect("a readable directory").flatten().map(|entry| entry.path()));
            }
            let at = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
            let times = (at(data.mtime(), data.mtime_nsec()), at(data.ctime(), data.ctime_nsec()));
            let entry = Found { mode: data.mode(), owner: (data.uid(), data.gid()), content, times };
            found.insert(path.strip_prefix(directory).expect("below").to_owned(), entry);
        }
        Self(found)
    }

    /// Fails when another look finds a difference.
    pub(crate) fn is_still(&self, directory: &Path, what: &str) {
        let now = Self::of(directory);
        let all = self.0.keys().chain(now.0.keys().filter(|path| !self.0.contains_key(*path)));
        let changed: Vec<&PathBuf> = all.filter(|path| self.0.get(*path) != now.0.get(*path)).take(10).collect();
        assert!(changed.is_empty(), "{what}: the host's workspace changed: {changed:?}");
    }
}
