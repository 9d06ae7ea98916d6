//! The folders `sandboxes` and `layers` of the state directory.
//!
//! `layers/lock` is held, shared, by everybody who makes layers or gives them a further name, from before the first is made
//! until a manifest names it; whoever removes layers that no manifest names holds it alone. Locks are taken in one order:
//! that of a sandbox, that of its supervisor, that of the layers.

use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags};
use rustix::io::Errno;

use super::error::{NotOwn, SandboxError};
use super::folder::{Folder, Lock, Wait};
use super::id::Id;
use super::removal;
use crate::error::StateError;
use crate::state::StateDirectory;

/// Names in `sandboxes` and `layers` that are no sandbox's and no layer's begin so. What is being made:
pub(super) const MAKING: &str = ".new-";
/// And what is being removed.
pub(super) const REMOVED: &str = ".removed-";

const LOCK: &str = "lock";

/// In `layers`, while there may be some that no sandbox names.
pub(super) const UNNAMED: &str = "unnamed";

/// Name of the tree in a layer's folder.
pub(super) const TREE: &str = "tree";

#[derive(Debug)]
pub(super) struct Home {
    state: StateDirectory,
    pub(super) sandboxes: Folder,
    pub(super) layers: Folder,
}

impl Home {
    /// Opens both folders, which are made where they are missing.
    pub(super) fn open(state: &StateDirectory) -> Result<Self, SandboxError> {
        let open = |name| -> Result<Folder, SandboxError> {
            let path = state.path().join(name);
            match state.make(name) {
                Ok(_) => Folder::open(&path),
                Err(StateError::Io { source, .. }) if is_no_directory(&source) => {
                    Err(SandboxError::NotOwn { path, why: NotOwn::Kind })
                }
                Err(error) => Err(error.into()),
            }
        };
        let home = Self { state: state.clone(), sandboxes: open("sandboxes")?, layers: open("layers")? };
        check_above(state.path())?;
        Ok(home)
    }

    pub(super) const fn state(&self) -> &StateDirectory {
        &self.state
    }

    /// Holds the layers against removal.
    pub(super) fn share_layers(&self) -> Result<Lock, SandboxError> {
        let lock = self.layers.lock(LOCK, FlockOperation::LockShared)?;
        lock.ok_or_else(|| self.layers.failed("lock", LOCK, Errno::WOULDBLOCK))
    }

    /// Holds the layers alone; `None` when somebody works with them and there is no waiting.
    pub(super) fn hold_layers(&self, wait: Wait) -> Result<Option<Lock>, SandboxError> {
        self.layers.lock_alone(LOCK, wait)
    }

    /// Where the tree of a layer is.
    pub(super) fn tree(&self, layer: Id) -> PathBuf {
        self.layers.path().join(layer.to_string()).join(TREE)
    }

    /// Opens a layer's folder.
    pub(super) fn layer(&self, id: Id) -> Result<Folder, SandboxError> {
        let name = id.to_string();
        self.layers.child(&name)?.ok_or_else(|| self.layers.failed("open the layer", &name, Errno::NOENT))
    }

    /// Says that there may be layers that no sandbox names. Whoever has a manifest name fewer layers says so before, so that
    /// it is known after an interruption, and afterwards, in case somebody has looked in between.
    pub(super) fn mark_unnamed(&self) -> Result<(), SandboxError> {
        self.layers.create(UNNAMED).map(drop)
    }

    /// Removes a layer or sandbox: out of sight at once, then piece by piece.
    pub(super) fn remove(from: &Folder, name: &str) -> Result<(), SandboxError> {
        let removed = format!("{REMOVED}{}", Id::random().map_err(|error| from.failed("name", name, error))?);
        match from.rename(name, from, &removed) {
            Err(SandboxError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        }
        crate::fault::place();
        removal::remove(from, &removed)
    }
}

fn is_no_directory(error: &std::io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOTDIR | Errno::LOOP | Errno::EXIST))
}

/// Checks that nobody else can put other folders in the place of those in the state directory.
fn check_above(state: &Path) -> Result<(), SandboxError> {
    let failed = |error: Errno| SandboxError::Io { operation: "open", path: state.to_owned(), source: error.into() };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(state, flags, rustix::fs::Mode::empty()).map_err(failed)?;
    let status = rustix::fs::fstat(&fd).map_err(failed)?;
    let refused = |why| Err(SandboxError::NotOwn { path: state.to_owned(), why });
    if ![0, rustix::process::geteuid().as_raw()].contains(&status.st_uid) {
        return refused(NotOwn::Owner(status.st_uid));
    }
    if status.st_mode & 0o022 != 0 {
        return refused(NotOwn::Mode(status.st_mode & 0o7777));
    }
    Ok(())
}
