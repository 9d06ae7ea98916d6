//! Layers over a workspace, opened.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::changes::Change;
use super::descent::Root;
use super::entry::Kind;
use super::error::LayerError;
use super::xattrs::Attributes;
use super::{reach, xattrs};
use crate::directory;
use crate::walk::to_path;

/// Most layers of a stack. Each takes a descriptor for every directory that is open.
const MAX_LAYERS: usize = 128;

const ROOT: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Layers, top first, over the host's workspace.
#[derive(Debug)]
pub struct Stack {
    layers: Vec<OwnedFd>,
    workspace: OwnedFd,
}

impl Stack {
    /// Opens layers, top first, and the workspace that they lie on. None may be a symbolic link itself.
    ///
    /// # Errors
    /// When one does not open, or they are too many.
    pub fn open(layers: &[PathBuf], workspace: &Path) -> Result<Self, LayerError> {
        if layers.len() > MAX_LAYERS {
            return Err(LayerError::TooManyLayers { count: layers.len(), limit: MAX_LAYERS });
        }
        let layers = layers.iter().map(|path| open_layer(path)).collect::<Result<_, _>>()?;
        let open = || rustix::fs::open(workspace, ROOT, Mode::empty());
        let workspace = open().map_err(|source| LayerError::Open { path: workspace.to_owned(), source })?;
        Ok(Self { layers, workspace })
    }

    /// Opens the content of a regular file as the sandbox has it, for reading.
    ///
    /// # Errors
    /// When the change leaves no regular file, or it does not open.
    pub fn open_new(&self, change: &Change) -> Result<OwnedFd, LayerError> {
        let path = change.path.as_os_str().as_bytes();
        let open = || {
            let (dir, name) = self.new_parent(change)?;
            reach::open_file(dir.as_fd(), &name)?.ok_or(Errno::NOENT)
        };
        open().map_err(|source| failure("open", path, source))
    }

    /// Opens the content of a regular file as the host has it, for reading; of one that was renamed, at its old path.
    ///
    /// # Errors
    /// When the host has no regular file there, or it does not open.
    pub fn open_old(&self, change: &Change) -> Result<OwnedFd, LayerError> {
        let path = change.old_path().as_os_str().as_bytes();
        let open = || {
            let (dir, name) = self.old_parent(change)?;
            reach::open_plain_file(dir.as_fd(), &name)
        };
        open().map_err(|source| failure("open", path, source))
    }

    /// The text of a symbolic link as the sandbox has it.
    ///
    /// # Errors
    /// When the change leaves no link, or it cannot be read.
    pub fn read_link(&self, change: &Change) -> Result<CString, LayerError> {
        let path = change.path.as_os_str().as_bytes();
        let read = || {
            let (dir, name) = self.new_parent(change)?;
            directory::with_permission(dir.as_fd(), || rustix::fs::readlinkat(&dir, &name, Vec::new()))
        };
        read().map_err(|source| failure("read the link", path, source))
    }

    /// The text of a symbolic link as the host has it; of one that was renamed, at its old path.
    ///
    /// # Errors
    /// When the host has no link there, or it cannot be read.
    pub fn read_old_link(&self, change: &Change) -> Result<CString, LayerError> {
        let path = change.old_path().as_os_str().as_bytes();
        let read = || {
            let (dir, name) = self.old_parent(change)?;
            rustix::fs::readlinkat(&dir, &name, Vec::new())
        };
        read().map_err(|source| failure("read the link", path, source))
    }

    /// Extended attributes of a file or directory as the sandbox has it.
    pub(super) fn new_attributes(&self, change: &Change) -> Result<Attributes, LayerError> {
        let path = change.path.as_os_str().as_bytes();
        let is_directory = change.new.is_some_and(|new| new.kind == Kind::Directory);
        let read = || {
            let (dir, name) = self.new_parent(change)?;
            let open = if is_directory { reach::open_directory } else { reach::open_file };
            xattrs::of(open(dir.as_fd(), &name)?.ok_or(Errno::NOENT)?.as_fd())
        };
        read().map_err(|source| failure("read extended attributes of", path, source))
    }

    /// Extended attributes of a file or directory as the host has it; of one that was renamed, at its old path.
    pub(super) fn old_attributes(&self, change: &Change) -> Result<Attributes, LayerError> {
        let path = change.old_path().as_os_str().as_bytes();
        let is_directory = change.old.is_some_and(|old| old.kind == Kind::Directory);
        let read = || {
            let (dir, name) = self.old_parent(change)?;
            let open = if is_directory { directory::open_child } else { reach::open_plain_file };
            xattrs::of(open(dir.as_fd(), &name)?.as_fd())
        };
        read().map_err(|source| failure("read extended attributes of", path, source))
    }

    /// The layers, top first.
    pub(super) fn layers(&self) -> &[OwnedFd] {
        &self.layers
    }

    /// What is walked: the layers, top first, then the host's workspace.
    pub(super) fn roots(&self) -> Vec<Root<'_>> {
        let layers = self.layers.iter().map(|dir| Root { dir: dir.as_fd(), is_layer: true });
        layers.chain([Root { dir: self.workspace(), is_layer: false }]).collect()
    }

    /// The host's workspace.
    pub(super) fn workspace(&self) -> BorrowedFd<'_> {
        self.workspace.as_fd()
    }

    /// The directory that holds what the sandbox has, and the name in it.
    fn new_parent(&self, change: &Change) -> Result<(OwnedFd, CString), Errno> {
        let layer = change.layer.and_then(|layer| self.layers.get(layer)).ok_or(Errno::NOENT)?;
        let (parent, name) = directory::split(change.path.as_os_str().as_bytes());
        let dir = reach::open_below(layer.as_fd(), parent)?.ok_or(Errno::NOENT)?;
        Ok((dir, directory::c_name(name)?))
    }

    /// The directory that holds what the host has, and the name in it.
    fn old_parent(&self, change: &Change) -> Result<(OwnedFd, CString), Errno> {
        let (parent, name) = directory::split(change.old_path().as_os_str().as_bytes());
        Ok((directory::open_below(self.workspace(), parent)?, directory::c_name(name)?))
    }
}

/// Opens the directory of a layer, also when sandboxed code has closed what it saw as its workspace.
///
/// # Errors
/// When it does not open, or is a symbolic link.
pub fn open_layer(path: &Path) -> Result<OwnedFd, LayerError> {
    let open = || match rustix::fs::open(path, ROOT, Mode::empty()) {
        Err(Errno::ACCESS) => {
            let (above, name) = (path.parent().ok_or(Errno::ACCESS)?, path.file_name().ok_or(Errno::ACCESS)?);
            let above = rustix::fs::open(above, ROOT, Mode::empty())?;
            reach::open_directory(above.as_fd(), &directory::c_name(name.as_bytes())?)?.ok_or(Errno::NOENT)
        }
        other => other,
    };
    open().map_err(|source| LayerError::Open { path: path.to_owned(), source })
}

/// An error at a path of the workspace.
pub(super) fn failure(operation: &'static str, path: &[u8], source: Errno) -> LayerError {
    LayerError::Path { operation, path: to_path(path), source }
}
