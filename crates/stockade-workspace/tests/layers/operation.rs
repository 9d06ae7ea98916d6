//! What a program does to a tree: random, but with few names, so that one thing meets another.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};
use serde::{Deserialize, Serialize};

/// Up to three of the names.
pub(crate) type Names = Vec<u8>;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Operation {
    Write(Names, String),
    Append(Names, String),
    MakeDirectory(Names),
    MakeDirectories(Names),
    Remove(Names),
    RemoveTree(Names),
    Replace(Names),
    Rename(Names, Names),
    Exchange(Names, Names),
    Link(Names, Names),
    Symlink(Names, String),
    Pipe(Names),
    Mode(Names, u32),
    Attribute(Names, String, String),
    NoAttribute(Names, String),
    Times(Names),
}

const OLD: Timespec = Timespec { tv_sec: 1, tv_nsec: 5 };

const NAMES: [&[u8]; 5] = [b"a", b"b", b"c", b"line\n\xff", b"-d e"];

fn path(root: &Path, names: &[u8]) -> PathBuf {
    names.iter().fold(root.to_owned(), |path, name| path.join(OsStr::from_bytes(NAMES[usize::from(*name)])))
}

impl Operation {
    /// Whether it makes what git does not know.
    #[allow(dead_code, reason = "only one of the test programs that share this file uses it")]
    pub(crate) const fn is_beyond_git(&self) -> bool {
        matches!(self, Self::Pipe(_))
    }

    /// Does it, if it can be done: an operation that fails is one that a program tried.
    pub(crate) fn run(&self, root: &Path) -> io::Result<()> {
        let at = |names: &Names| path(root, names);
        match self {
            Self::Write(names, text) => not_through_a_link(&at(names))?.write_all(text.as_bytes())?,
            Self::Append(names, text) => {
                fs::symlink_metadata(at(names)).and_then(|found| found.is_file().then_some(()).ok_or_else(gone))?;
                fs::OpenOptions::new().append(true).open(at(names))?.write_all(text.as_bytes())?;
            }
            Self::MakeDirectory(names) => fs::create_dir(at(names))?,
            Self::MakeDirectories(names) => fs::create_dir_all(at(names))?,
            Self::Remove(names) => fs::remove_file(at(names)).or_else(|_| fs::remove_dir(at(names)))?,
            Self::RemoveTree(names) => fs::remove_dir_all(at(names))?,
            Self::Replace(names) => {
                fs::remove_dir_all(at(names))?;
                fs::create_dir(at(names))?;
            }
            Self::Rename(from, to) => fs::rename(at(from), at(to))?,
            Self::Exchange(from, to) => {
                rustix::fs::renameat_with(CWD, at(from), CWD, at(to), rustix::fs::RenameFlags::EXCHANGE)?;
            }
            Self::Link(from, to) => fs::hard_link(at(from), at(to))?,
            Self::Symlink(names, text) => symlink(text, at(names))?,
            Self::Pipe(names) => rustix::fs::mknodat(CWD, at(names), FileType::Fifo, Mode::RUSR, 0)?,
            Self::Mode(names, mode) => {
                let found = fs::symlink_metadata(at(names))?;
                // An ordinary user could not look into a directory of the host otherwise.
                let mode = if found.is_dir() { mode | 0o700 } else { *mode };
                (!found.is_symlink()).then_some(()).ok_or_else(gone)?;
                fs::set_permissions(at(names), fs::Permissions::from_mode(mode))?;
            }
            Self::Attribute(names, name, value) => {
                rustix::fs::lsetxattr(at(names), name.as_str(), value.as_bytes(), XattrFlags::empty())?;
            }
            Self::NoAttribute(names, name) => rustix::fs::lremovexattr(at(names), name.as_str())?,
            Self::Times(names) => {
                let times = Timestamps { last_access: OLD, last_modification: OLD };
                rustix::fs::utimensat(CWD, at(names), &times, AtFlags::SYMLINK_NOFOLLOW)?;
            }
        }
        Ok(())
    }
}

fn gone() -> io::Error {
    io::ErrorKind::NotFound.into()
}

fn not_through_a_link(path: &Path) -> io::Result<fs::File> {
    fs::create_dir_all(path.parent().ok_or_else(gone)?)?;
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => Err(gone()),
        _ => fs::File::create(path),
    }
}

/// Mostly the same two names, so that what is done meets what was done before.
fn names() -> impl Strategy<Value = Names> {
    let name = || prop_oneof![6 => Just(0), 4 => Just(1), 1 => Just(2), 1 => Just(3), 1 => Just(4)];
    prop_oneof![
        4 => prop::collection::vec(name(), 1..=1),
        4 => prop::collection::vec(name(), 2..=2),
        3 => prop::collection::vec(name(), 3..=3)
    ]
}

/// A few lines, or none, with or without an end of the last one.
fn text() -> impl Strategy<Value = String> {
    let line = prop::sample::select(vec!["", "one", "two", "-- three", "+\r", "\\ four", "\u{85}\u{fc}"]);
    let lines = prop::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"));
    (prop_oneof![lines.clone(), lines, Just("x".to_owned())], any::<bool>())
        .prop_map(|(text, end)| if end { text + "\n" } else { text })
}

fn attribute() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["user.comment", "user.overlay.opaque", "user.overlayed"]).prop_map(str::to_owned)
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    // The owner may read all of it, so that the tests need no privilege to compare.
    let mode = prop::sample::select(vec![0o600, 0o644, 0o700, 0o755, 0o4755, 0o2750, 0o1777]);
    prop_oneof![
        6 => (names(), text()).prop_map(|(names, text)| Write(names, text)),
        2 => (names(), text()).prop_map(|(names, text)| Append(names, text)),
        4 => names().prop_map(MakeDirectory),
        3 => names().prop_map(MakeDirectories),
        3 => names().prop_map(Remove),
        3 => names().prop_map(RemoveTree),
        3 => names().prop_map(Replace),
        5 => (names(), names()).prop_map(|(from, to)| Rename(from, to)),
        1 => (names(), names()).prop_map(|(from, to)| Exchange(from, to)),
        2 => (names(), names()).prop_map(|(from, to)| Link(from, to)),
        2 => (names(), text()).prop_map(|(names, text)| Symlink(names, text)),
        1 => names().prop_map(Pipe),
        2 => (names(), mode).prop_map(|(names, mode)| Mode(names, mode)),
        2 => (names(), attribute(), text()).prop_map(|(names, name, value)| Attribute(names, name, value)),
        1 => (names(), attribute()).prop_map(|(names, name)| NoAttribute(names, name)),
        1 => names().prop_map(Times),
    ]
}

/// What is done one after another.
pub(crate) fn operations(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Operation>> {
    prop::collection::vec(operation(), count)
}
