//! What the command left in its private directories, which vanish with the run.
//!
//! Looked at by init after every other process has ended. The names were chosen by hostile code: no link is followed,
//! no other mount is entered, and depth and number are bounded.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use stockade_spec::plan::{Operation, Plan};
use stockade_spec::report::MAX_DENIALS;

/// Directories below a private one that are entered at most.
const MAX_DEPTH: usize = 32;
/// Names that are looked at, at most, in all directories together.
const MAX_NAMES: usize = 50_000;

/// Paths of files that the command made below private directories, at most [`MAX_DENIALS`].
pub(crate) fn list(plan: &Plan) -> Vec<PathBuf> {
    let mut walk = Walk { planned: planned(plan), found: Vec::new(), names: 0 };
    for step in &plan.steps {
        if let Operation::PrivateStore { target, .. } = &step.operation {
            walk.enter(target);
        }
    }
    walk.found
}

/// Files and directories that the plan itself put there.
fn planned(plan: &Plan) -> HashSet<&Path> {
    plan.steps
        .iter()
        .filter_map(|step| match &step.operation {
            Operation::File { target, .. }
            | Operation::Symlink { target, .. }
            | Operation::Bind { target, .. }
            | Operation::PrivateStore { target, .. } => Some(target.as_path()),
            _ => None,
        })
        .collect()
}

struct Walk<'p> {
    planned: HashSet<&'p Path>,
    found: Vec<PathBuf>,
    names: usize,
}

impl Walk<'_> {
    fn enter(&mut self, target: &Path) {
        let Some(directory) = open(CWD, target.as_os_str()) else { return };
        let Ok(status) = rustix::fs::fstat(&directory) else { return };
        self.visit(directory, target, status.st_dev, 0);
    }

    fn is_full(&self) -> bool {
        self.found.len() >= MAX_DENIALS || self.names >= MAX_NAMES
    }

    fn visit(&mut self, directory: OwnedFd, path: &Path, device: u64, depth: usize) {
        let Ok(mut entries) = Dir::new(directory) else { return };
        while let Some(Ok(entry)) = entries.read() {
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            if self.is_full() {
                return;
            }
            self.names += 1;
            let path = path.join(name);
            if entry.file_type() == FileType::Directory {
                // A private directory within another one is entered on its own.
                if depth < MAX_DEPTH && !self.planned.contains(path.as_path()) {
                    let Ok(directory) = entries.fd() else { return };
                    self.descend(directory, name, &path, device, depth + 1);
                }
            } else if !self.planned.contains(path.as_path()) {
                self.found.push(path);
            }
        }
    }

    fn descend(&mut self, parent: BorrowedFd<'_>, name: &OsStr, path: &Path, device: u64, depth: usize) {
        let Ok(status) = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) else { return };
        // What is bound into a private directory (the workspace, a toolchain) lies on another device.
        if status.st_dev != device {
            return;
        }
        if let Some(directory) = open(parent, name) {
            self.visit(directory, path, device, depth);
        }
    }
}

fn open(parent: BorrowedFd<'_>, name: &OsStr) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty()).ok()
}
