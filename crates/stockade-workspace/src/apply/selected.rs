//! The changes that are wanted, with what they need: a file that is new needs the new directories above it.

use std::path::Path;

use super::error::ApplyError;
use super::request::{Named, Selection};
use crate::layers::{Change, Kind, Status};

/// Whether a change is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    No,
    /// Only as a directory for something that is.
    Needed,
    Yes,
}

/// All changes in order, as additions and deletions: a file that was renamed is one of each.
pub(super) fn in_order(changes: &[Change]) -> Vec<Change> {
    let mut all = Vec::with_capacity(changes.len());
    for change in changes {
        let mut change = change.clone();
        if let Some(from) = change.from.take() {
            let old = change.old.take();
            all.push(Change { path: from, status: Status::Deleted, from: None, old, new: None, layer: None });
            change.status = Status::Added;
        }
        all.push(change);
    }
    all.sort_by(|one, other| one.path.cmp(&other.path));
    // What was renamed may be listed as deleted as well.
    all.dedup_by(|one, other| one.path == other.path);
    all
}

/// Says of each change whether it is wanted. `changes` are in order.
///
/// A file that was renamed is wanted at both names when either is.
pub(super) fn select(
    changes: &[Change],
    given: &[Change],
    selection: &Selection,
    parents: &[Option<usize>],
) -> Result<Vec<Wanted>, ApplyError> {
    if changes.is_empty() {
        return Err(ApplyError::Nothing);
    }
    let Selection::Paths(paths) = selection else { return Ok(vec![Wanted::Yes; changes.len()]) };
    let named = Named::new(paths)?;
    let sorted: Vec<&Path> = changes.iter().map(|change| change.path.as_path()).collect();
    if let Some(path) = named.without(&sorted) {
        return Err(ApplyError::NothingAt(path.to_owned()));
    }
    let mut wanted: Vec<_> =
        sorted.iter().map(|path| if named.covers(path) { Wanted::Yes } else { Wanted::No }).collect();
    for (change, from) in given.iter().filter_map(|change| Some((change, change.from.as_deref()?))) {
        if named.covers(&change.path) || named.covers(from) {
            let places = [change.path.as_path(), from].map(|path| sorted.binary_search(&path));
            places.into_iter().flatten().for_each(|at| wanted[at] = Wanted::Yes);
        }
    }
    for at in 0..changes.len() {
        let mut child = at;
        while let Some(above) = parents[child].filter(|_| wanted[at] != Wanted::No && changes[child].new.is_some()) {
            if wanted[above] == Wanted::No && is_new_directory(&changes[above]) {
                wanted[above] = Wanted::Needed;
            }
            child = above;
        }
    }
    Ok(wanted)
}

/// For each change, the nearest one above it: the directory that holds it, where that is a change as well.
pub(super) fn parents(changes: &[Change]) -> Vec<Option<usize>> {
    let mut parents = Vec::with_capacity(changes.len());
    let mut above: Vec<usize> = Vec::new();
    for (at, change) in changes.iter().enumerate() {
        while above.last().is_some_and(|last| !change.path.starts_with(&changes[*last].path)) {
            above.pop();
        }
        parents.push(above.last().copied());
        above.push(at);
    }
    parents
}

/// Whether the sandbox has a directory where the host has none.
pub(super) fn is_new_directory(change: &Change) -> bool {
    is_directory(change.new.as_ref()) && !is_directory(change.old.as_ref())
}

/// Whether the host has a directory where the sandbox has none.
pub(super) fn is_old_directory(change: &Change) -> bool {
    is_directory(change.old.as_ref()) && !is_directory(change.new.as_ref())
}

fn is_directory(entry: Option<&crate::layers::Entry>) -> bool {
    entry.is_some_and(|entry| entry.kind == Kind::Directory)
}
