//! Git directories, recognised by their shape wherever they lie.
//!
//! Git takes any directory for a repository that holds `objects` and `refs` (or `commondir`, which names one that does) and
//! a `HEAD`: see `is_git_directory` in git's `setup.c`. Entering it is enough for its `config` to be obeyed, so a bare
//! repository in a subdirectory, or a `.git` that is a link or a `gitdir:` file, works as well as a `.git`.

use std::ffi::CStr;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::directory;
use crate::git_config;
use crate::git_state;
use crate::listing;
use crate::walk;

/// What a directory holds of what makes it a git directory, gathered as its names are read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shape(u8);

/// The names that matter: the first three make the shape, the others are what is protected in it.
const NAMES: &[&[u8]] = &[b"objects", b"refs", b"head", b"commondir", b"config", b"hooks", b"config.worktree"];
const PROTECTED: std::ops::Range<usize> = 3..7;

/// Longest file of git's that is read.
const MAX_READ: u64 = 256 << 10;

impl Shape {
    /// Takes note of one name; letter case is ignored, as some file systems do.
    pub(crate) fn note(&mut self, name: &[u8]) {
        let likely = matches!(name.first(), Some(b'o' | b'r' | b'h' | b'c' | b'O' | b'R' | b'H' | b'C'));
        if likely && let Some(bit) = NAMES.iter().position(|known| known.eq_ignore_ascii_case(name)) {
            self.0 |= 1 << bit;
        }
    }

    /// Whether git would take the directory for a repository, or one of its worktrees.
    pub(crate) const fn is_git_directory(self) -> bool {
        self.0 & 0b11 == 0b11 || self.0 & 0b1100 == 0b1100
    }

    /// Whether all is there that git looks for.
    pub(crate) const fn is_repository(self) -> bool {
        self.0 & 0b111 == 0b111 || self.0 & 0b1100 == 0b1100
    }

    /// Whether any of the names that are protected in such a directory is there.
    pub(crate) const fn has_protected(self) -> bool {
        self.0 >> PROTECTED.start != 0
    }
}

/// Whether a name is one of those protected in a git directory.
pub(crate) fn is_protected_name(name: &[u8]) -> bool {
    NAMES[PROTECTED].iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether a new entry of a git directory is one that git itself makes for `init`, `clone` or `worktree add`, and that makes
/// no later command run anything: sample hooks, a configuration of harmless settings, the usual `commondir`.
///
/// `path` is that of the directory, relative to the workspace.
pub(crate) fn is_harmless(dir: BorrowedFd<'_>, path: &[u8], name: &CStr, kind: FileType) -> bool {
    match (kind, name.to_bytes()) {
        (FileType::Directory, b"hooks") => only_samples(dir, name),
        (FileType::RegularFile, bytes) if may_be_harmless(bytes) => {
            read(dir, name).is_some_and(|text| is_harmless_text(path, bytes, &text, &|at| is_free(dir, path, at)))
        }
        _ => false,
    }
}

/// Whether a file of this name configures git.
pub(crate) fn is_configuration(name: &[u8]) -> bool {
    matches!(name, b"config" | b"config.worktree")
}

/// Whether a file of this name may be harmless, depending on what it says.
pub(crate) fn may_be_harmless(name: &[u8]) -> bool {
    is_configuration(name) || name == b"commondir" || git_state::is_name(name)
}

/// Whether what a file of this name says is harmless. `path` is that of its directory; `is_free` tells whether no link lies on
/// the way to a path.
pub(crate) fn is_harmless_text(path: &[u8], name: &[u8], text: &str, is_free: &dyn Fn(&Path) -> bool) -> bool {
    match name {
        name if is_configuration(name) => git_config::is_harmless(text, &walk::to_path(path), is_free),
        b"commondir" => text.trim_end() == "../..",
        _ => git_state::is_harmless(name, text),
    }
}

/// Whether no link lies on the way from the workspace to `path`, as far as it is there. `dir` is open at `own`.
pub(crate) fn is_free(dir: BorrowedFd<'_>, own: &[u8], path: &Path) -> bool {
    let up = "../".repeat(own.split(|byte| *byte == b'/').count());
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let limits = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let found = rustix::fs::openat2(dir, Path::new(&up).join(path), flags, Mode::empty(), limits);
    matches!(found, Ok(_) | Err(Errno::NOENT))
}

/// Whether a hooks directory holds nothing but the samples, whose names git never executes.
fn only_samples(dir: BorrowedFd<'_>, name: &CStr) -> bool {
    let Ok(hooks) = directory::open_child(dir, name) else { return false };
    let mut samples = true;
    let read = listing::each(hooks.as_fd(), |name, kind| {
        samples &= kind == FileType::RegularFile && name.to_bytes().ends_with(b".sample");
        Ok::<_, rustix::io::Errno>(())
    });
    read.is_ok() && samples
}

/// A small regular file as text, with a mark for each byte that is none; `None` where it is anything else.
pub(crate) fn read(dir: BorrowedFd<'_>, name: &CStr) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    read_open(rustix::fs::openat(dir, name, flags, Mode::empty()).ok()?)
}

/// The same of an open file.
pub(crate) fn read_open(file: OwnedFd) -> Option<String> {
    let status = directory::own_status(file.as_fd()).ok()?;
    if FileType::from_raw_mode(status.stx_mode.into()) != FileType::RegularFile || status.stx_size > MAX_READ {
        return None;
    }
    let mut text = Vec::new();
    std::fs::File::from(file).take(MAX_READ).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}
