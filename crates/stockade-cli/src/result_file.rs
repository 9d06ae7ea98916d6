//! A file that was named for a report or for events.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};

use crate::failure::Failure;

/// Where a result goes.
#[derive(Debug)]
pub(crate) struct ResultFile {
    name: String,
    target: Target,
}

#[derive(Debug)]
enum Target {
    Stdout,
    File(File),
}

impl ResultFile {
    /// Opens `path` and empties it; `-` is standard output.
    ///
    /// # Errors
    /// When it cannot be written, or lies in the workspace behind a link or a special file: an earlier run may have put
    /// that there to have something outside overwritten.
    pub(crate) fn open(path: &Path, here: &Path, workspace: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        if path == Path::new("-") {
            return Ok(Self { name: "standard output".to_owned(), target: Target::Stdout });
        }
        let whole = here.join(path);
        let opened = if whole.starts_with(workspace) {
            open_without_links(&whole, workspace)
        } else {
            OpenOptions::new().write(true).create(true).truncate(true).open(&whole)
        };
        match opened {
            Ok(file) => Ok(Self { name, target: Target::File(file) }),
            Err(source) => Err(Failure::Write { what: name, source }),
        }
    }

    /// Writes a text.
    ///
    /// # Errors
    /// When it cannot be written. A reader of standard output that went away is no failure.
    pub(crate) fn write(&mut self, text: &str) -> Result<(), Failure> {
        let written = match &mut self.target {
            Target::Stdout => return crate::print::result(&self.name, text),
            Target::File(file) => file.write_all(text.as_bytes()),
        };
        written.map_err(|source| Failure::Write { what: self.name.clone(), source })
    }
}

fn open_without_links(path: &Path, workspace: &Path) -> io::Result<File> {
    let below: PathBuf = path.strip_prefix(workspace).map_err(io::Error::other)?.to_owned();
    let directory =
        rustix::fs::openat(CWD, workspace, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let opened = rustix::fs::openat2(&directory, below, flags, Mode::from_raw_mode(0o666), resolve)?;
    if FileType::from_raw_mode(rustix::fs::fstat(&opened)?.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("it is not a regular file"));
    }
    rustix::fs::ftruncate(&opened, 0)?;
    Ok(opened.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_in_the_workspace_are_not_followed() {
        let folder = tempfile::tempdir().expect("folder");
        let base = std::fs::canonicalize(folder.path()).expect("canonical");
        let workspace = base.join("workspace");
        std::fs::create_dir_all(workspace.join("sub")).expect("directory");
        std::fs::write(base.join("precious"), "keep").expect("write");
        symlink("../precious", workspace.join("link")).expect("link");
        symlink("..", workspace.join("up")).expect("link");
        rustix::fs::mkfifoat(CWD, workspace.join("fifo"), Mode::RUSR | Mode::WUSR).expect("fifo");
        for hostile in ["link", "up/precious", "fifo", "sub/../../precious"] {
            assert!(ResultFile::open(hostile.as_ref(), &workspace, &workspace).is_err(), "{hostile}");
        }
        assert_eq!(std::fs::read_to_string(base.join("precious")).expect("read"), "keep");
    }

    #[test]
    fn files_are_made_and_emptied() {
        let folder = tempfile::tempdir().expect("folder");
        let workspace = std::fs::canonicalize(folder.path()).expect("canonical");
        std::fs::write(workspace.join("old"), "something longer").expect("write");
        for name in ["old", "new"] {
            for place in [workspace.as_path(), Path::new("/nonexistent")] {
                let mut file = ResultFile::open(name.as_ref(), &workspace, place).expect("open");
                file.write("text").expect("write");
                assert_eq!(std::fs::read_to_string(workspace.join(name)).expect("read"), "text");
            }
        }
    }
}
