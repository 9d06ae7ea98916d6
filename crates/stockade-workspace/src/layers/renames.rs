//! Files that were moved: gone at one path, there at another, with the same content.
//!
//! An overlay without `redirect_dir` keeps no trace of a rename, so it is told from the content. Only equal content counts.
//! How many files are compared is bounded: what is not found out stays a file that is gone and one that is new.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::os::fd::AsFd;

use super::changes::{Change, Status};
use super::content::same_content;
use super::entry::{Entry, Kind};
use super::error::LayerError;
use super::stack::Stack;

/// Most files that a new one is compared with; those of the same name come first.
const MAX_CANDIDATES: usize = 16;

/// Most bytes of files that are compared in all, counted as if each were read to its end.
const MAX_BYTES: u64 = 16 << 30;

/// Joins what was deleted and what was added into what was renamed. The rest stays, in its order.
///
/// # Errors
/// When a file of the sandbox cannot be read.
pub fn find_renames(stack: &Stack, mut changes: Vec<Change>) -> Result<Vec<Change>, LayerError> {
    let mut gone = Gone::of(&changes);
    for at in 0..changes.len() {
        let Some(new) = content(&changes[at], Status::Added) else { continue };
        let Some(source) = gone.find(stack, &changes, at, new.size)? else { continue };
        let (from, old) = (changes[source].path.clone(), changes[source].old);
        let change = &mut changes[at];
        (change.status, change.from, change.old) = (Status::Renamed, Some(from), old);
    }
    let mut moved = gone.moved.into_iter();
    changes.retain(|_| moved.next() != Some(true));
    Ok(changes)
}

/// What a change of this kind has of a file with content. Empty files are all alike, and say nothing.
fn content(change: &Change, status: Status) -> Option<Entry> {
    let entry = if status == Status::Deleted { change.old } else { change.new };
    entry.filter(|entry| change.status == status && entry.kind == Kind::File && entry.size > 0)
}

/// Deleted files, each as its place in the list of changes.
struct Gone {
    by_size: HashMap<u64, VecDeque<usize>>,
    by_name: HashMap<(u64, OsString), VecDeque<usize>>,
    /// Which changes are joined with others already.
    moved: Vec<bool>,
    /// Bytes that may still be compared.
    budget: u64,
}

impl Gone {
    fn of(changes: &[Change]) -> Self {
        let (mut by_size, mut by_name) = (HashMap::<_, VecDeque<_>>::new(), HashMap::<_, VecDeque<_>>::new());
        for (at, change) in changes.iter().enumerate() {
            if let Some(old) = content(change, Status::Deleted) {
                by_size.entry(old.size).or_default().push_back(at);
                by_name.entry((old.size, name(change))).or_default().push_back(at);
            }
        }
        Self { by_size, by_name, moved: vec![false; changes.len()], budget: MAX_BYTES }
    }

    /// Finds the file that was moved to where the change at `at` is.
    fn find(&mut self, stack: &Stack, changes: &[Change], at: usize, size: u64) -> Result<Option<usize>, LayerError> {
        let moved = &self.moved;
        let mut candidates = first(self.by_name.get_mut(&(size, name(&changes[at]))), moved);
        candidates.extend(first(self.by_size.get_mut(&size), moved));
        for source in candidates.into_iter().take(MAX_CANDIDATES) {
            let Some(left) = self.budget.checked_sub(size) else { return Ok(None) };
            self.budget = left;
            if is_equal(stack, &changes[source], &changes[at], size)? {
                self.moved[source] = true;
                return Ok(Some(source));
            }
        }
        Ok(None)
    }
}

/// The first that are still to be had.
fn first(queue: Option<&mut VecDeque<usize>>, moved: &[bool]) -> Vec<usize> {
    let Some(queue) = queue else { return Vec::new() };
    while queue.front().is_some_and(|at| moved[*at]) {
        queue.pop_front();
    }
    queue.iter().copied().take(MAX_CANDIDATES).filter(|at| !moved[*at]).collect()
}

fn name(change: &Change) -> OsString {
    change.path.file_name().unwrap_or_default().to_owned()
}

fn is_equal(stack: &Stack, old: &Change, new: &Change, size: u64) -> Result<bool, LayerError> {
    // What cannot be read of the host, or is gone from it by now, is not known to be equal.
    let Ok(before) = stack.open_old(old) else { return Ok(false) };
    let after = stack.open_new(new)?;
    let same = same_content(before.as_fd(), after.as_fd(), size);
    same.map_err(|source| LayerError::Path { operation: "compare", path: new.path.clone(), source })
}
