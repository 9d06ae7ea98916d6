//! Everything in a directory of the host's workspace. Nothing of the host is changed to read it: what the caller may not read
//! is passed over.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::Statx;
use rustix::io::Errno;

use super::super::error::SandboxError;
use crate::layers::LayerError;
use crate::layers::descent::{Descent, Root};
use crate::layers::names::Names;
use crate::layers::union::is_directory;
use crate::{directory, listing};

/// Calls `seen` with every entry below a directory, with its path from the workspace's root.
pub(super) fn each(
    workspace: BorrowedFd<'_>,
    path: &[u8],
    mut seen: impl FnMut(&[u8], &Statx) -> Result<(), SandboxError>,
) -> Result<(), SandboxError> {
    let Ok(top) = directory::open_below(workspace, path) else { return Ok(()) };
    let mut descent = Descent::new(vec![Root { dir: top.as_fd(), is_layer: false }]);
    let Ok(again) = directory::open_below(top.as_fd(), b"") else { return Ok(()) };
    enter(&mut descent, again)?;
    loop {
        let found = descent.next(|group, (), name| {
            let Some((_, dir)) = group.first() else { return Ok(None) };
            let Ok(status) = directory::status(dir.as_fd(), name) else { return Ok(None) };
            let child = is_directory(&status).then(|| directory::open_child(dir.as_fd(), name).ok());
            Ok(Some((status, child.flatten())))
        })?;
        let Some(found) = found else { return Ok(()) };
        let Some((status, child)) = found else { continue };
        seen(&directory::join(path, descent.path()), &status)?;
        if let Some(child) = child {
            enter(&mut descent, child)?;
        }
    }
}

fn enter(descent: &mut Descent<'_, ()>, dir: OwnedFd) -> Result<(), LayerError> {
    let (mut names, room) = (Names::default(), descent.room());
    // A directory that goes away meanwhile is as good as empty.
    if let Err(Errno::OVERFLOW) = listing::each(dir.as_fd(), |name, _| names.add(name, room)) {
        return Err(descent.failure("read the directory", Errno::OVERFLOW));
    }
    names.sort();
    descent.enter(vec![(0, dir)], (), names);
    Ok(())
}
