//! Opens what the sandbox has at many paths, one after the other.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::Statx;
use rustix::io::{Errno, Result};

use super::changes::Change;
use super::reach;
use super::stack::Stack;
use crate::directory::{self, with_permission};
use crate::trail::Trail;

/// Reads changes of a stack. Faster when they are read in the order of paths.
#[derive(Debug)]
pub(crate) struct Reader<'s> {
    stack: &'s Stack,
    /// The way in the layer that was read last.
    trail: (usize, Trail),
}

impl<'s> Reader<'s> {
    pub(crate) fn new(stack: &'s Stack) -> Self {
        Self { stack, trail: (0, Trail::default()) }
    }

    /// Opens the content of a regular file.
    pub(crate) fn file(&mut self, change: &Change) -> Result<OwnedFd> {
        let (dir, name) = self.parent(change)?;
        reach::open_file(dir.as_fd(), &name)?.ok_or(Errno::NOENT)
    }

    /// Opens a directory.
    pub(crate) fn directory(&mut self, change: &Change) -> Result<OwnedFd> {
        let path = change.path.as_os_str().as_bytes();
        self.enter(change.layer.ok_or(Errno::NOENT)?, path)
    }

    /// The text of a symbolic link.
    pub(crate) fn link(&mut self, change: &Change) -> Result<CString> {
        let (dir, name) = self.parent(change)?;
        with_permission(dir.as_fd(), || rustix::fs::readlinkat(&dir, &name, Vec::new()))
    }

    /// What the file is.
    pub(crate) fn status(&mut self, change: &Change) -> Result<Statx> {
        let (dir, name) = self.parent(change)?;
        reach::status(dir.as_fd(), &name)?.ok_or(Errno::NOENT)
    }

    /// Opens the directory that the sandbox sees at a path, in the topmost layer that has one; `None` where none has.
    pub(crate) fn topmost(&self, path: &[u8]) -> Result<Option<OwnedFd>> {
        for layer in self.stack.layers() {
            if let Some(dir) = reach::open_below(layer.as_fd(), path)? {
                return Ok(Some(dir));
            }
        }
        Ok(None)
    }

    fn parent(&mut self, change: &Change) -> Result<(OwnedFd, CString)> {
        let (parent, name) = directory::split(change.path.as_os_str().as_bytes());
        Ok((self.enter(change.layer.ok_or(Errno::NOENT)?, parent)?, directory::c_name(name)?))
    }

    fn enter(&mut self, layer: usize, path: &[u8]) -> Result<OwnedFd> {
        let root = self.stack.layers().get(layer).ok_or(Errno::NOENT)?;
        if self.trail.0 != layer {
            self.trail = (layer, Trail::default());
        }
        self.trail.1.open(root.as_fd(), path, |dir, name| reach::open_directory(dir, name)?.ok_or(Errno::NOENT))
    }
}
