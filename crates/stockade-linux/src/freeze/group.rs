//! Freezing by a control group: one write for all of its processes.
//!
//! Version 2: `cgroup.freeze` and `cgroup.events` (`Documentation/admin-guide/cgroup-v2.rst`); the kernel says so when all
//! have stopped, and frozen processes can be killed. Version 1: `freezer.state`
//! (`Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst`); frozen processes end only when they are thawed, which
//! [`crate::limits`] does after it has killed them. In both, processes stop where a signal would reach them, so that
//! parents see nothing, and a process that is stopped or traced stays that.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, OFlags};
use rustix::io::Errno;

use super::error::{FreezeError, Named};
use super::patience::Patience;
use super::status;
use crate::limits::kernel_file;

/// A group whose processes can be frozen together.
#[derive(Debug)]
pub(super) struct Group {
    directory: OwnedFd,
    path: PathBuf,
    form: Form,
}

/// What the files are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    V1,
    V2,
}

impl Form {
    const fn file(self) -> &'static str {
        match self {
            Self::V1 => "freezer.state",
            Self::V2 => "cgroup.freeze",
        }
    }

    const fn freeze(self) -> &'static [u8] {
        match self {
            Self::V1 => b"FROZEN",
            Self::V2 => b"1",
        }
    }

    const fn thaw(self) -> &'static [u8] {
        match self {
            Self::V1 => b"THAWED",
            Self::V2 => b"0",
        }
    }
}

impl Group {
    /// The group of a directory, if it can be frozen and this process is not in it.
    pub(super) fn open(path: &Path) -> Option<Self> {
        let directory = kernel_file::open(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY).ok()?;
        let usable = |form: &Form| kernel_file::open(&directory, form.file(), OFlags::WRONLY).is_ok();
        let form = [Form::V2, Form::V1].into_iter().find(usable)?;
        let group = Self { directory, path: path.to_owned(), form };
        let own = std::process::id();
        let is_inside = group.members().ok()?.contains(&own);
        (!is_inside).then_some(group)
    }

    pub(super) const fn form(&self) -> Form {
        self.form
    }

    /// Freezes all, and says whether that is to be undone: a group that somebody else has frozen stays frozen.
    pub(super) fn freeze(&self) -> Result<bool, FreezeError> {
        let form = self.form;
        let mut buffer = [0; 64];
        let before = kernel_file::read(&self.directory, form.file(), &mut buffer);
        let before = before.map_err(|error| self.failed("read", form.file(), error))?;
        let is_ours = !before.starts_with(form.freeze());
        if is_ours {
            self.write(form.freeze())?;
        }
        let waited = self.wait();
        if waited.is_err() && is_ours {
            self.thaw()?;
        }
        waited.map(|()| is_ours)
    }

    /// Lets all go on.
    pub(super) fn thaw(&self) -> Result<(), FreezeError> {
        match self.write(self.form.thaw()) {
            // The group was removed with its last process.
            Err(FreezeError::Group { source, .. })
                if matches!(source.raw_os_error(), Some(libc::ENODEV | libc::ENOENT)) =>
            {
                Ok(())
            }
            other => other,
        }
    }

    fn write(&self, text: &[u8]) -> Result<(), FreezeError> {
        let file = self.form.file();
        kernel_file::write(&self.directory, file, text).map_err(|error| self.failed("write to", file, error))
    }

    fn wait(&self) -> Result<(), FreezeError> {
        let mut patience = Patience::new();
        while !self.is_frozen()? {
            if patience.is_over() {
                return Err(FreezeError::Busy { process: self.busy(), waited_ms: patience.waited_ms() });
            }
            patience.pause();
        }
        Ok(())
    }

    fn is_frozen(&self) -> Result<bool, FreezeError> {
        let mut buffer = [0; kernel_file::SMALL];
        let file = if self.form == Form::V2 { "cgroup.events" } else { self.form.file() };
        let text = kernel_file::read(&self.directory, file, &mut buffer);
        let text = text.map_err(|error| self.failed("read", file, error))?;
        Ok(match self.form {
            Form::V1 => text.starts_with(b"FROZEN"),
            Form::V2 => kernel_file::keyed(text, "frozen") == Some(1),
        })
    }

    /// The processes in it, as far as they fit a page.
    fn members(&self) -> Result<Vec<u32>, FreezeError> {
        let mut buffer = [0; kernel_file::SMALL];
        let text = kernel_file::read(&self.directory, "cgroup.procs", &mut buffer);
        let text = text.map_err(|error| self.failed("read", "cgroup.procs", error))?;
        Ok(kernel_file::words(text).filter_map(|word| word.parse().ok()).collect())
    }

    /// A member for which the kernel is busy, to be named.
    fn busy(&self) -> Named {
        let mut found = Named { pid: 0, inside: 0, name: "unknown".to_owned() };
        for pid in self.members().unwrap_or_default() {
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            let Ok(process) = kernel_file::open(CWD, format!("/proc/{pid}"), flags) else { continue };
            let letter = status::letter(process.as_fd()).ok().flatten();
            if matches!(letter, Some(b'D' | b'R')) {
                found = status::named(pid, 0, process.as_fd());
            }
            if letter == Some(b'D') {
                break;
            }
        }
        found
    }

    fn failed(&self, operation: &'static str, file: &str, error: Errno) -> FreezeError {
        FreezeError::Group { operation, path: self.path.join(file), source: error.into() }
    }
}
