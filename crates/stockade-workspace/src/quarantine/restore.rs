//! Lists what is kept, and puts it back.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::copy;
use super::record::{Header, Item, Kept, MANIFEST, make_below};
use crate::directory;
use crate::error::{QuarantineError, StateError};
use crate::state::StateDirectory;
use crate::walk;

/// What became of one item that was to be put back.
#[derive(Debug)]
pub struct Restored {
    /// The item.
    pub item: Item,
    /// Why it was not put back, where it was not.
    pub result: Result<(), QuarantineError>,
}

/// Names of the quarantines that hold something, oldest first.
///
/// # Errors
/// When the state directory cannot be read.
pub fn list(state: &StateDirectory) -> Result<Vec<String>, QuarantineError> {
    let path = state.path().join("quarantine");
    let entries = match std::fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(StateError::Io { operation: "read", path, source }.into()),
    };
    let mut ids = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| StateError::Io { operation: "read", path: path.clone(), source })?;
        if entry.path().join(MANIFEST).exists() {
            ids.extend(entry.file_name().into_string());
        }
    }
    ids.sort_unstable();
    Ok(ids)
}

/// Puts everything that a quarantine keeps back where it was. A file whose place is taken stays where it is kept, and so
/// does one that cannot be moved; each has its own result. When all are back, the quarantine is no longer listed.
///
/// # Errors
/// When there is no such quarantine, or its record or the workspace cannot be read.
pub fn restore(state: &StateDirectory, id: &str) -> Result<Vec<Restored>, QuarantineError> {
    if id.contains('/') || id.starts_with('.') {
        return Err(QuarantineError::Unknown(id.to_owned()));
    }
    let place = state.path().join("quarantine").join(id);
    let (header, items) = read(&place, id)?;
    let failed = |operation, source| QuarantineError::Move { operation, path: header.workspace.clone(), source };
    let workspace = walk::open_workspace(&header.workspace).map_err(|_| failed("open", Errno::NOENT))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let kept = rustix::fs::open(&place, flags, Mode::empty()).map_err(|source| failed("open", source))?;
    let mut results = Vec::new();
    for item in items.into_values() {
        let result = put_back(&item, &workspace, &kept, &place).map_err(|source| QuarantineError::Move {
            operation: "put back",
            path: item.path.clone(),
            source,
        });
        results.push(Restored { item, result });
    }
    if results.iter().all(|restored| restored.result.is_ok()) {
        let done = rustix::fs::renameat(&kept, MANIFEST, &kept, "manifest.restored.jsonl");
        done.map_err(|source| failed("close", source))?;
    }
    Ok(results)
}

/// Reads a manifest; of several lines about one item the last counts.
fn read(place: &Path, id: &str) -> Result<(Header, BTreeMap<u32, Item>), QuarantineError> {
    let path = place.join(MANIFEST);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(QuarantineError::Unknown(id.to_owned()));
        }
        Err(source) => return Err(QuarantineError::Record { operation: "read", path, source }),
    };
    // A last line without its end was being written when the supervisor was killed; nothing had been moved for it.
    let mut lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let damaged = |source| QuarantineError::Damaged { path: path.clone(), source };
    let header = serde_json::from_str(lines.next().unwrap_or("")).map_err(damaged)?;
    let mut items = BTreeMap::new();
    for line in lines {
        let item: Item = serde_json::from_str(line).map_err(damaged)?;
        items.insert(item.number, item);
    }
    Ok((header, items))
}

fn put_back(item: &Item, workspace: &OwnedFd, kept: &OwnedFd, place: &Path) -> Result<(), Errno> {
    let (parents, name) = directory::split(item.path.as_os_str().as_bytes());
    let name = directory::c_name(name)?;
    let target = make_below(workspace, parents)?;
    let (source, from) = match &item.kept {
        Kept::Quarantine(path) => (kept, path.strip_prefix(place).map_err(|_| Errno::INVAL)?),
        Kept::Beside(path) => (workspace, path.as_path()),
    };
    let (above, from) = directory::split(from.as_os_str().as_bytes());
    let (above, from) = (directory::open_below(source.as_fd(), above)?, directory::c_name(from)?);
    match rustix::fs::renameat_with(&above, &from, &target, &name, RenameFlags::NOREPLACE) {
        Err(Errno::XDEV) => {
            copy::copy(above.as_fd(), &from, target.as_fd())?;
            copy::remove(above.as_fd(), &from)
        }
        other => other,
    }
}
