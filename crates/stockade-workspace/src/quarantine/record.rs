//! The directory and the manifest of one quarantine.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::Catch;
use crate::directory;
use crate::error::{QuarantineError, StateError};
use crate::os_text;
use crate::state::StateDirectory;
use crate::walk::to_path;

/// Name of the manifest.
pub(super) const MANIFEST: &str = "manifest.jsonl";

/// Version of the manifest.
pub(super) const VERSION: u32 = 1;

/// Why a file was put away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// It was not there when the run started.
    Appeared,
    /// It was there and was changed, which the run could not be kept from.
    Changed,
    /// Another file, or a directory above it, has taken its place.
    Replaced,
    /// It was changed through another name of the same file.
    ChangedThroughLink,
}

/// Where a file is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// In the quarantine: an absolute path.
    Quarantine(#[serde(with = "os_text")] PathBuf),
    /// Where it was, under another name: a path relative to the workspace.
    Beside(#[serde(with = "os_text")] PathBuf),
}

/// One file that was put away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Counts up; a later line with the same number replaces an earlier one.
    pub number: u32,
    /// Where it was, relative to the workspace.
    #[serde(with = "os_text")]
    pub path: PathBuf,
    /// What protects it.
    pub rule: String,
    /// Why it was put away.
    pub reason: Reason,
    /// Kind and permission bits, as `st_mode` of `stat(2)`.
    pub mode: u32,
    /// When: milliseconds since 1970-01-01T00:00:00Z.
    pub time_ms: u64,
    /// Where it is kept.
    pub kept: Kept,
}

/// The manifest's first line.
#[derive(Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) version: u32,
    #[serde(with = "os_text")]
    pub(super) workspace: PathBuf,
}

#[derive(Debug)]
pub(super) struct Record {
    directory: OwnedFd,
    manifest: File,
    path: PathBuf,
}

impl Record {
    /// Makes the directory and starts the manifest. Where the name is taken, `id` gets a number.
    pub(super) fn create(state: &StateDirectory, id: &mut String, workspace: &Path) -> Result<Self, QuarantineError> {
        let all = state.make("quarantine")?;
        let given = id.clone();
        let mut attempt = 0;
        while let Err(error) = rustix::fs::mkdirat(&all, id.as_str(), Mode::RWXU) {
            attempt += 1;
            if error != Errno::EXIST || attempt == 1000 {
                let path = state.path().join("quarantine").join(&*id);
                return Err(StateError::Io { operation: "make the directory", path, source: error.into() }.into());
            }
            *id = format!("{given}.{attempt}");
        }
        let path = state.path().join("quarantine").join(&*id);
        let name = directory::c_name(id.as_bytes());
        let directory = name.and_then(|name| directory::open_child(all.as_fd(), &name));
        let directory = directory.map_err(|error| StateError::Io {
            operation: "open",
            path: path.clone(),
            source: error.into(),
        })?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::APPEND | OFlags::CLOEXEC;
        let manifest = rustix::fs::openat(&directory, MANIFEST, flags, Mode::RUSR | Mode::WUSR);
        let failed = |source| QuarantineError::Record { operation: "create", path: path.clone(), source };
        let mut record =
            Self { manifest: manifest.map_err(|e| failed(e.into()))?.into(), directory, path: path.clone() };
        record.append(&Header { version: VERSION, workspace: workspace.to_owned() })?;
        Ok(record)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the directories for a path, below the one for a round.
    pub(super) fn make_directory(&self, round: u32, parents: &[u8]) -> Result<OwnedFd, QuarantineError> {
        let path = directory::join(round.to_string().as_bytes(), parents);
        make_below(&self.directory, &path).map_err(|error| {
            let path = self.path.join(to_path(&path));
            StateError::Io { operation: "make the directory", path, source: error.into() }.into()
        })
    }

    pub(super) fn write(&mut self, number: u32, catch: &Catch<'_>, kept: &Kept) -> Result<(), QuarantineError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        self.append(&Item {
            number,
            path: to_path(catch.path),
            rule: catch.rule.to_owned(),
            reason: catch.reason,
            mode: catch.identity.mode,
            time_ms: u64::try_from(now).unwrap_or(u64::MAX),
            kept: kept.clone(),
        })
    }

    fn append(&mut self, line: &impl Serialize) -> Result<(), QuarantineError> {
        let failed = |source| QuarantineError::Record { operation: "write", path: self.path.join(MANIFEST), source };
        let mut text = serde_json::to_vec(line).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        self.manifest.write_all(&text).map_err(failed)
    }
}

/// Opens a directory below another, and makes what is missing of the way, for its owner only.
pub(super) fn make_below(root: &OwnedFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    let mut current = directory::open_below(root.as_fd(), b"")?;
    for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
        let name = directory::c_name(name)?;
        match rustix::fs::mkdirat(&current, &name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        current = directory::open_child(current.as_fd(), &name)?;
    }
    Ok(current)
}
