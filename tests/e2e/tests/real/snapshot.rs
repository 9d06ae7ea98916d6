//! What a directory holds, to see whether anything of it changed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Every file of a directory, with what tells that it was touched: mode, size, seconds and nanoseconds of its last change.
pub(crate) type Snapshot = BTreeMap<PathBuf, (u32, u64, i64, i64)>;

/// Takes a snapshot of a directory, without some that lie below it. Symbolic links are not followed.
pub(crate) fn take(directory: &Path, without: &[&Path]) -> Result<Snapshot, String> {
    let mut snapshot = Snapshot::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(path) = pending.pop() {
        let failed = |error: std::io::Error| format!("cannot look at {}: {error}", path.display());
        let found = fs::symlink_metadata(&path).map_err(failed)?;
        // Size and times of a directory that holds an excluded one may change with it.
        let holds_excluded = without.iter().any(|excluded| excluded.starts_with(&path));
        let touched = if holds_excluded { (0, 0, 0) } else { (found.len(), found.mtime(), found.mtime_nsec()) };
        snapshot.insert(path.clone(), (found.mode(), touched.0, touched.1, touched.2));
        if found.is_dir() {
            for entry in fs::read_dir(&path).map_err(failed)? {
                let path = entry.map_err(failed)?.path();
                if !without.contains(&path.as_path()) {
                    pending.push(path);
                }
            }
        }
    }
    Ok(snapshot)
}

/// The paths in which two snapshots differ, at most ten of them.
pub(crate) fn differences(before: &Snapshot, after: &Snapshot) -> Vec<String> {
    let all = before.keys().chain(after.keys().filter(|path| !before.contains_key(*path)));
    let changed = all.filter(|path| before.get(*path) != after.get(*path));
    changed
        .take(10)
        .map(|path| format!("{}: {:?} -> {:?}", path.display(), before.get(path), after.get(path)))
        .collect()
}
