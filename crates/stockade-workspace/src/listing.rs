//! Reads one directory: its subdirectories, and what in it is protected.

use std::ffi::{CStr, CString, OsStr};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{FileType, RawDir};
use rustix::io::Errno;
use stockade_spec::glob::Cursor;

use crate::directory;
use crate::git::{self, Shape};
use crate::git_state;

/// Bytes of directory entries fetched by one system call.
const BUFFER: usize = 32 << 10;

/// What protects a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protector {
    /// A rule, by its place.
    Rule(usize),
    /// That git would obey it.
    Git,
}

/// One protected entry of a directory.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    pub(crate) name: CString,
    pub(crate) kind: FileType,
    pub(crate) protector: Protector,
    /// Whether it lies in a git directory, so that git itself may have made it.
    pub(crate) in_git: bool,
}

impl Hit {
    /// Whether it is one of those that git's ordinary work makes and removes: what leads from a worktree to its repository,
    /// and what git is in the midst of.
    pub(crate) fn is_passing(&self) -> bool {
        self.protector == Protector::Git
            && (self.name.as_bytes() == b"commondir" || git_state::is_name(self.name.as_bytes()))
    }
}

/// What one directory holds.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Names of subdirectories to enter, each with its NUL.
    pub(crate) subdirectories: Vec<u8>,
    /// Its protected entries.
    pub(crate) hits: Vec<Hit>,
    /// Its symbolic links that are not protected.
    pub(crate) links: Vec<CString>,
    /// Whether git takes it for a repository.
    pub(crate) is_repository: bool,
    /// Entries seen.
    pub(crate) entries: u64,
}

/// Calls `seen` with every entry of an open directory but `.` and `..`.
pub(crate) fn each<E: From<Errno>>(
    dir: BorrowedFd<'_>,
    mut seen: impl FnMut(&CStr, FileType) -> Result<(), E>,
) -> Result<(), E> {
    let mut buffer = [MaybeUninit::uninit(); BUFFER];
    let mut entries = RawDir::new(dir, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let kind = match entry.file_type() {
            // Some file systems do not say; an entry that is gone by now is none.
            FileType::Unknown => match directory::status(dir, name) {
                Ok(status) => FileType::from_raw_mode(status.stx_mode.into()),
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(error.into()),
            },
            kind => kind,
        };
        seen(name, kind)?;
    }
    Ok(())
}

/// The names in a directory that git would obey if it is one in which git keeps what it is in the midst of.
fn state_files(dir: BorrowedFd<'_>, path: &[u8]) -> &'static [&'static [u8]] {
    let Some(files) = git_state::files(directory::split(path).1) else { return &[] };
    if directory::status(dir, c"../HEAD").is_ok() { files } else { &[] }
}

impl Listing {
    /// Reads an open directory of this path, in which the rules stand at `cursor`. `file` sees every regular file.
    pub(crate) fn read(
        dir: BorrowedFd<'_>,
        path: &[u8],
        cursor: &Cursor<'_>,
        mut file: impl FnMut(&CStr),
    ) -> Result<Self, Errno> {
        let mut listing = Self::default();
        let mut shape = Shape::default();
        let state = state_files(dir, path);
        each(dir, |name, kind| {
            listing.entries += 1;
            shape.note(name.to_bytes());
            if kind == FileType::RegularFile {
                file(name);
            }
            let text = OsStr::from_bytes(name.to_bytes());
            let link = || if kind == FileType::Symlink { cursor.leads_on(text) } else { None };
            if let Some(rule) = cursor.matches(text).or_else(link) {
                let protector = Protector::Rule(rule);
                listing.hits.push(Hit { name: name.to_owned(), kind, protector, in_git: false });
            } else if state.iter().any(|known| known.eq_ignore_ascii_case(name.to_bytes())) {
                listing.hits.push(Hit { name: name.to_owned(), kind, protector: Protector::Git, in_git: true });
            } else if kind == FileType::Symlink {
                listing.links.push(name.to_owned());
            } else if kind == FileType::Directory {
                listing.subdirectories.extend_from_slice(name.to_bytes_with_nul());
            }
            Ok::<_, Errno>(())
        })?;
        listing.is_repository = shape.is_repository();
        if shape.is_git_directory() && shape.has_protected() {
            listing.add_git(dir)?;
        }
        Ok(listing)
    }

    /// Protects what git would obey in this directory, read once more: only now is it known to be git's.
    fn add_git(&mut self, dir: BorrowedFd<'_>) -> Result<(), Errno> {
        for hit in &mut self.hits {
            hit.in_git = true;
        }
        rustix::fs::seek(dir.as_fd(), rustix::fs::SeekFrom::Start(0))?;
        let mut found = Vec::new();
        each(dir, |name, kind| {
            let known = self.hits.iter().any(|hit| *hit.name == *name);
            if git::is_protected_name(name.to_bytes()) && !known {
                found.push(Hit { name: name.to_owned(), kind, protector: Protector::Git, in_git: true });
            }
            Ok::<_, Errno>(())
        })?;
        let protected = |name: &[u8]| found.iter().any(|hit| hit.name.to_bytes_with_nul() == name);
        let kept = self.subdirectories.split_inclusive(|byte| *byte == 0).filter(|name| !protected(name));
        self.subdirectories = kept.collect::<Vec<_>>().concat();
        self.links.retain(|link| !found.iter().any(|hit| hit.name == *link));
        self.hits.append(&mut found);
        Ok(())
    }
}
