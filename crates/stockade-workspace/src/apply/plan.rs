//! What an apply would do: decided before anything is touched, so that it can be shown first.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::error::ApplyError;
use super::host::Host;
use super::judge::{Verdict, judge};
use super::protection::Protection;
use super::report::Told;
use super::request::{Named, Request, Seen};
use super::selected::{self, Wanted};
use super::step::{Below, Time};
use super::units::{PRIVILEGE_BITS, Units};
use crate::directory;
use crate::layers::{Change, Entry, Kind, Reader, Stack, Status};

/// What holds back a change that does nothing but set bits which give privileges.
const PRIVILEGE_RULE: &str = "set-user-id and set-group-id bits";

/// What is to be applied, and what is not. See [`super::perform`].
#[derive(Debug)]
pub struct ApplyPlan<'a> {
    pub(super) stack: &'a Stack,
    pub(super) workspace: PathBuf,
    /// The workspace when it was planned.
    pub(super) root: Entry,
    pub(super) units: Vec<Unit>,
    /// Directories of the host that get the sandbox's time once everything in them is done.
    pub(super) times: Vec<Time>,
    told: Told,
}

/// Changes that are made in one step.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) task: Task,
    /// The one at its path first. What is added below it is in the order of paths.
    pub(super) members: Vec<Change>,
    /// What the host has in a directory that goes away by it.
    pub(super) below: Vec<Below>,
}

/// What is done at the path of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Add,
    Replace(Entry),
    Remove(Entry),
    /// Of a directory that both have.
    Attributes(Entry),
}

/// Decides what can be applied of a sandbox's sealed layers, to which nothing may write any more. Nothing is changed.
///
/// # Errors
/// When there is nothing to apply, or nothing at a path that was named; when the workspace or the layers cannot be read. See
/// [`ApplyError`].
pub fn plan<'s>(stack: &'s Stack, request: &Request<'_>) -> Result<ApplyPlan<'s>, ApplyError> {
    let changes = selected::in_order(request.changes);
    let parents = selected::parents(&changes);
    let wanted = selected::select(&changes, request.changes, request.selection, &parents)?;
    let (take, protected) = (named(&request.options.take, &changes)?, named(&request.options.protected, &changes)?);
    let host = Host::open(request.workspace)?;
    let verdicts = verdicts(stack, request, &host, &changes, &wanted, &taken(&take, &changes, &parents))?;
    let mut units = Units::new(&changes, &parents, &wanted, verdicts);
    units.build();
    let Units { units, mut told, cleared, .. } = units;
    told.cleared = cleared.into_iter().filter(|path| !protected.covers(path)).collect();
    told.sort();
    for conflict in &mut told.conflicts {
        conflict.host = host.look(conflict.path.as_os_str().as_bytes()).ok().flatten();
        if let Seen::Known { copy, .. } = (request.bases)(&conflict.path) {
            conflict.base = copy;
        }
    }
    let times = times(stack, request, &host, &changes, &units)?;
    let failed = |source| ApplyError::Workspace { operation: "look at", path: request.workspace.to_owned(), source };
    let root = host.entry().map_err(failed)?;
    Ok(ApplyPlan { stack, workspace: request.workspace.to_owned(), root, units, times, told })
}

/// Judges every change that is wanted, each for itself.
fn verdicts(
    stack: &Stack,
    request: &Request<'_>,
    host: &Host,
    changes: &[Change],
    wanted: &[Wanted],
    taken: &[bool],
) -> Result<Vec<Verdict>, ApplyError> {
    let mut protection = Protection::new(stack, request, changes, host)?;
    let mut verdicts = Vec::with_capacity(changes.len());
    for (at, change) in changes.iter().enumerate() {
        verdicts.push(if wanted[at] == Wanted::No {
            Verdict::Same
        } else if let Some(rule) = protection.rule(change) {
            Verdict::Held(rule)
        } else if is_privilege(change) && !protection.is_named(&change.path) {
            Verdict::Held(PRIVILEGE_RULE.to_owned())
        } else {
            judge(host, change, &(request.bases)(&change.path), taken[at])
        });
    }
    Ok(verdicts)
}

/// Whether a change does nothing but set bits that are not set.
fn is_privilege(change: &Change) -> bool {
    let modes = change.old.zip(change.new).filter(|(_, new)| new.kind != Kind::Directory);
    change.status == Status::Attributes
        && modes.is_some_and(|(old, new)| old.mode != new.mode && old.mode == new.mode & !PRIVILEGE_BITS)
}

/// Paths that an option names, at each of which something has changed.
fn named<'a>(paths: &'a [PathBuf], changes: &[Change]) -> Result<Named<'a>, ApplyError> {
    let named = Named::new(paths)?;
    let sorted: Vec<&Path> = changes.iter().map(|change| change.path.as_path()).collect();
    named.without(&sorted).map_or(Ok(()), |path| Err(ApplyError::NothingAt(path.to_owned())))?;
    Ok(named)
}

/// For which changes the sandbox's version is taken whatever the host has: those that were named, and new directories that
/// they need.
fn taken(named: &Named<'_>, changes: &[Change], parents: &[Option<usize>]) -> Vec<bool> {
    let mut taken: Vec<bool> = changes.iter().map(|change| named.covers(&change.path)).collect();
    for at in (0..changes.len()).rev() {
        if let Some(above) = parents[at].filter(|above| {
            taken[at] && changes[at].new.is_some() && changes[*above].old.is_none() && changes[*above].new.is_some()
        }) {
            taken[above] = true;
        }
    }
    taken
}

/// The directories whose time is to be that of the sandbox: those in which everything that differs is applied, and that the
/// host has not touched since.
fn times(
    stack: &Stack,
    request: &Request<'_>,
    host: &Host,
    changes: &[Change],
    units: &[Unit],
) -> Result<Vec<Time>, ApplyError> {
    let mut open: HashMap<&[u8], isize> = HashMap::new();
    for unit in units {
        let path = unit.members[0].path.as_os_str().as_bytes();
        let is_attributes = matches!(unit.task, Task::Attributes(_));
        let dir = if is_attributes { path } else { directory::split(path).0 };
        *open.entry(dir).or_default() -= isize::from(!is_attributes);
    }
    for change in changes.iter().filter(|change| !is_directory(change.old) || !is_directory(change.new)) {
        if let Some(count) = open.get_mut(directory::split(change.path.as_os_str().as_bytes()).0) {
            *count += 1;
        }
    }
    let reader = Reader::new(stack);
    let mut times = Vec::new();
    for (path, _) in open.into_iter().filter(|(_, count)| *count == 0) {
        let whole = crate::walk::to_path(path);
        let now = if path.is_empty() { host.entry().map(Some) } else { host.look(path) };
        let (Ok(Some(now)), Seen::Known { entry: Some(base), .. }) = (now, (request.bases)(&whole)) else { continue };
        if base.modified != now.modified || base.kind != Kind::Directory {
            continue;
        }
        // A directory that cannot be read in the layers keeps the time of the apply.
        let Ok(Some(dir)) = reader.topmost(path) else { continue };
        let Ok(status) = directory::own_status(dir.as_fd()) else { continue };
        times.push(Time { path: whole, modified: Entry::of(&status).modified });
    }
    times.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(times)
}

fn is_directory(entry: Option<Entry>) -> bool {
    entry.is_some_and(|entry| entry.kind == Kind::Directory)
}

impl ApplyPlan<'_> {
    /// What would be applied, by path.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.units.iter().flat_map(|unit| &unit.members)
    }

    /// Whether nothing would be applied.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// What is left alone from the start, and why.
    #[must_use]
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// Files and bytes to be copied.
    #[must_use]
    pub fn size(&self) -> (u64, u64) {
        let new = self.changes().filter_map(|change| change.new);
        new.fold((0, 0), |(files, bytes), entry| {
            (files + 1, bytes + if entry.kind == Kind::File { entry.size } else { 0 })
        })
    }
}
