//! Lines of a diff about what git does not tell, though an apply brings it: kinds of files other than regular ones and links,
//! directories in which nothing is shown, most bits of a mode, and extended attributes.
//!
//! They begin with `#`, and stand where `git apply` and `patch` skip what they do not know.

use std::os::unix::ffi::OsStrExt;

use super::changes::{Change, Status};
use super::entry::{Entry, Kind};
use super::error::LayerError;
use super::quote::quote;
use super::stack::Stack;

/// Set-user-id, set-group-id, sticky.
const SPECIAL: u32 = 0o7000;

/// The lines about a change. `holds` is whether changes below its path are told as well.
pub(super) fn remarks(stack: &Stack, change: &Change, holds: bool) -> Result<Vec<u8>, LayerError> {
    // Something of another kind is, to git, one that is gone and another that is new.
    let replaced = change.status == Status::TypeChanged;
    let both = change.old.zip(change.new).filter(|_| !replaced);
    let mut what = Vec::new();
    if let Some((old, new)) = both {
        what.extend(device(change, &new));
        what.extend(changed_mode(&old, &new));
    } else {
        what.extend(change.old.and_then(|old| kind("deleted", &old, holds)));
        what.extend(change.new.and_then(|new| kind("new", &new, holds)));
        what.extend(change.new.and_then(|new| new_mode(&new)));
    }
    if has_other_attributes(stack, change, both.is_some())? {
        what.push("extended attributes".to_owned());
    }
    let name = quote("", change.path.as_os_str().as_bytes());
    Ok(what.iter().flat_map(|what| [b"# ", what.as_bytes(), b": ", &name, b"\n"].concat()).collect())
}

/// What has come or gone, where that is not told otherwise. A directory is told by what is in it.
fn kind(how: &str, entry: &Entry, holds: bool) -> Option<String> {
    let kind = match entry.kind {
        Kind::File | Kind::Symlink => return None,
        Kind::Directory if holds => return None,
        Kind::Directory => "directory",
        Kind::Fifo => "pipe",
        Kind::Socket => "socket",
        Kind::Device => "device",
    };
    Some(format!("{how} {kind}"))
}

/// A device that stands for another one than before.
fn device(change: &Change, new: &Entry) -> Option<String> {
    (new.kind == Kind::Device && change.status == Status::Modified).then(|| "another device".to_owned())
}

/// The mode of what is new, unless it is the usual one.
fn new_mode(new: &Entry) -> Option<String> {
    let usual = match new.kind {
        Kind::Symlink => true,
        Kind::File => is_gits(new.mode),
        Kind::Directory => new.mode == 0o755,
        Kind::Fifo | Kind::Socket | Kind::Device => new.mode == 0o644,
    };
    (!usual).then(|| format!("mode {:04o}", new.mode))
}

/// A change of mode that is more than git tells.
fn changed_mode(old: &Entry, new: &Entry) -> Option<String> {
    let is_told =
        new.kind == Kind::File && (old.mode ^ new.mode) & 0o100 != 0 && is_gits(new.mode) && old.mode & SPECIAL == 0;
    (new.kind != Kind::Symlink && old.mode != new.mode && !is_told)
        .then(|| format!("mode {:04o} -> {:04o}", old.mode, new.mode))
}

/// Whether it is what git makes of a file.
const fn is_gits(mode: u32) -> bool {
    matches!(mode, 0o644 | 0o755)
}

/// Whether it has other extended attributes than before, or has any where there was nothing of its kind.
fn has_other_attributes(stack: &Stack, change: &Change, was_there: bool) -> Result<bool, LayerError> {
    match change.new {
        Some(new) if matches!(new.kind, Kind::File | Kind::Directory) => {}
        _ => return Ok(false),
    }
    let new = stack.new_attributes(change)?;
    if !was_there {
        return Ok(!new.is_empty());
    }
    Ok(new != stack.old_attributes(change)?)
}
