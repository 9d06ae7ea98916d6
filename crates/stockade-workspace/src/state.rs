//! The state directory: outside the workspace, for its owner only.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::error::StateError;

/// Where journals and quarantines are kept, usually `$XDG_STATE_HOME/stockade`. Made when first needed, mode 0700.
#[derive(Clone, Debug)]
pub struct StateDirectory {
    path: PathBuf,
}

impl StateDirectory {
    /// Names the state directory. Nothing is made yet.
    ///
    /// # Errors
    /// When the path is not absolute.
    pub fn new(path: &Path) -> Result<Self, StateError> {
        if !path.is_absolute() {
            return Err(StateError::Relative(path.to_owned()));
        }
        Ok(Self { path: path.to_owned() })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that sandboxed code in `workspace` (an absolute path without links) cannot reach it, links resolved.
    ///
    /// # Errors
    /// When it lies in the workspace.
    pub fn check_outside(&self, workspace: &Path) -> Result<(), StateError> {
        let inside = || StateError::InWorkspace { state: self.path.clone(), workspace: workspace.to_owned() };
        if self.path.starts_with(workspace) {
            return Err(inside());
        }
        for ancestor in self.path.ancestors() {
            match std::fs::canonicalize(ancestor) {
                Ok(real) if real.starts_with(workspace) => return Err(inside()),
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => {
                    return Err(StateError::Io { operation: "resolve", path: ancestor.to_owned(), source });
                }
            }
        }
        Ok(())
    }

    /// Opens a directory in it; `None` where there is none.
    pub(crate) fn open(&self, name: &str) -> Result<Option<OwnedFd>, StateError> {
        let path = self.path.join(name);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(CWD, &path, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(StateError::Io { operation: "open", path, source: error.into() }),
        }
    }

    /// Opens a directory in it, and makes it first where there is none.
    pub(crate) fn make(&self, name: &str) -> Result<OwnedFd, StateError> {
        if let Some(fd) = self.open(name)? {
            return Ok(fd);
        }
        use std::os::unix::fs::DirBuilderExt;
        let path = self.path.join(name);
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|source| StateError::Io { operation: "make the directory", path: path.clone(), source })?;
        self.open(name)?.ok_or_else(|| StateError::Io { operation: "open", path, source: Errno::NOENT.into() })
    }
}
