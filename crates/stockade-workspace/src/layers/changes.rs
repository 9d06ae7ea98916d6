//! What a sandbox changed, path by path.

use std::ffi::CStr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::Statx;
use rustix::io::Result;
use serde::{Deserialize, Serialize};

use super::compare::{self, Place};
use super::descent::{Descent, Group};
use super::entry::Entry;
use super::error::LayerError;
use super::names::Names;
use super::stack::Stack;
use super::union::{Found, Union, is_directory};
use super::{optional_path, reach};
use crate::walk::to_path;
use crate::{directory, listing, os_text};

/// Most changes that are listed.
const MAX_CHANGES: u64 = 4_000_000;

/// Most bytes that their paths take: in a tree of 10,000 levels, each path is as long as the way down.
const MAX_PATH_BYTES: u64 = 512 << 20;

/// How a path differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Only the sandbox has it.
    Added,
    /// Only the host has it.
    Deleted,
    /// Its content differs; mode and attributes may as well.
    Modified,
    /// It is another kind of file.
    TypeChanged,
    /// Its content is the same; its mode or a user's extended attribute differs.
    Attributes,
    /// The host has the same content at another path, which the sandbox has no more.
    Renamed,
}

/// One path that differs from the host's workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Relative to the workspace.
    #[serde(with = "os_text")]
    pub path: PathBuf,
    /// How it differs.
    pub status: Status,
    /// Where the host has it, when it was renamed.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_path")]
    pub from: Option<PathBuf>,
    /// What the host has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Entry>,
    /// What the sandbox has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<Entry>,
    /// The layer that holds what the sandbox has, by its place in the stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
}

impl Change {
    /// Where the host has, or had, what is compared.
    #[must_use]
    pub fn old_path(&self) -> &Path {
        self.from.as_deref().unwrap_or(&self.path)
    }
}

/// What differs between the host's workspace and what the sandbox sees: by path, each directory before what is in it. What is
/// equal is no change, whatever the layers hold. Everything in a directory that is gone is listed as well. The workspace's own
/// directory is none of its paths.
///
/// # Errors
/// When a directory cannot be read, or there is more than can be held.
pub fn changes(stack: &Stack) -> std::result::Result<Vec<Change>, LayerError> {
    let count = stack.layers().len();
    let mut descent = Descent::new(stack.roots());
    let root = descent.open_roots().map_err(|source| descent.failure("open", source))?;
    enter(&mut descent, count, root, true)?;
    let (mut changes, mut path_bytes) = (Vec::new(), 0);
    while let Some(seen) = descent.next(|group, shows_host, name| look(&Union::of(group, count, *shows_host), name))? {
        let Some(Seen { difference, group, shows_host }) = seen else { continue };
        if let Some(Difference { status, old, new, layer }) = difference {
            let path = to_path(descent.path());
            path_bytes += descent.path().len() as u64;
            changes.push(Change { path, status, from: None, old, new, layer });
            check(changes.len() as u64, MAX_CHANGES, "entries")?;
            check(path_bytes, MAX_PATH_BYTES, "bytes of paths")?;
        }
        enter(&mut descent, count, group, shows_host)?;
    }
    Ok(changes)
}

/// Enters a directory, to look at the names about which there may be something to say: all of the layers', and the host's
/// where it is hidden. The rest of the workspace costs nothing.
fn enter(
    descent: &mut Descent<'_, bool>,
    layers: usize,
    group: Group,
    shows_host: bool,
) -> std::result::Result<(), LayerError> {
    let (mut names, room) = (Names::default(), descent.room());
    for (_, dir) in group.iter().filter(|(root, _)| *root < layers || !shows_host) {
        let read = listing::each(dir.as_fd(), |name, _| names.add(name, room));
        // One that was removed since it was opened holds nothing.
        reach::absent(read).map_err(|source| descent.failure("read the directory", source))?;
    }
    names.sort();
    descent.enter(group, shows_host, names);
    Ok(())
}

fn check(count: u64, limit: u64, unit: &'static str) -> std::result::Result<(), LayerError> {
    if count > limit { Err(LayerError::TooMuch { limit, unit }) } else { Ok(()) }
}

/// What a name of a directory stands for.
struct Seen {
    difference: Option<Difference>,
    /// The directories that it names, if there is something to see in them.
    group: Group,
    shows_host: bool,
}

/// How a name differs.
struct Difference {
    status: Status,
    old: Option<Entry>,
    new: Option<Entry>,
    layer: Option<usize>,
}

/// Looks at a name of a directory. Nothing is to be said about one that no layer mentions.
fn look(union: &Union<'_>, name: &CStr) -> Result<Option<Seen>> {
    let Found { old, new, unchanged, layers: mut group, shows_host } = union.find(name)?;
    if unchanged {
        return Ok(None);
    }
    if let (Some(host), Some(true)) = (union.host, old.as_ref().map(is_directory)) {
        // One on a file system that the kernel makes up holds nothing of the workspace.
        let child = reach::absent(directory::open_child(host, name))?;
        group.extend(child.map(|child| (union.depth, child)));
    }
    let status = match (&old, &new) {
        (None, None) => None,
        (None, Some(_)) => Some(Status::Added),
        (Some(_), None) => Some(Status::Deleted),
        (Some(old), Some((place, new))) => {
            compare(union, &Union::of(&group, union.depth, shows_host), name, old, (*place, new))?
        }
    };
    let difference = status.map(|status| Difference {
        status,
        old: old.as_ref().map(Entry::of),
        new: new.as_ref().map(|(_, new)| Entry::of(new)),
        layer: new.as_ref().map(|(place, _)| union.layers[*place].0),
    });
    Ok(Some(Seen { difference, group, shows_host }))
}

/// How what both have at a name differs. `child` is the directory that it names, if both are one.
fn compare(
    union: &Union<'_>,
    child: &Union<'_>,
    name: &CStr,
    old: &Statx,
    (place, new): (usize, &Statx),
) -> Result<Option<Status>> {
    let entries = (Entry::of(old), Entry::of(new));
    if entries.0.kind != entries.1.kind {
        return Ok(Some(Status::TypeChanged));
    }
    if let (Some(before), Some((_, after))) = (child.host, child.layers.first()) {
        return compare::compare_directories((before, entries.0.mode), (after.as_fd(), entries.1.mode));
    }
    let Some(host) = union.host else { return Ok(None) };
    let old = Place { dir: host, name, status: old };
    compare::compare(old, Place { dir: union.layers[place].1.as_fd(), name, status: new })
}
