//! Removes layers that no sandbox names any more.

use std::collections::HashSet;

use rustix::fs::AtFlags;

use super::error::SandboxError;
use super::folder::{Folder, Wait};
use super::home::{Home, REMOVED, UNNAMED};
use super::id::Id;
use super::manifest::Manifest;
use super::pending::Pending;
use super::{preserve, removal, sandbox};

/// What became of layers that no sandbox names.
#[derive(Debug, Default)]
pub(super) struct Collected {
    /// How many were removed.
    pub(super) removed: usize,
    /// A sandbox of which it is not known what it names; while there is one, no layer is removed.
    pub(super) unknown: Option<(String, SandboxError)>,
}

/// Removes layers that no sandbox names, if there may be some; nothing, when somebody works with layers and there is no
/// waiting.
pub(super) fn collect(home: &Home, wait: Wait) -> Result<Collected, SandboxError> {
    let mut collected = Collected::default();
    if home.layers.has(UNNAMED)? {
        let Some(_lock) = home.hold_layers(wait)? else { return Ok(collected) };
        // Before looking: whoever says so meanwhile is not overlooked.
        home.layers.unlink(UNNAMED, AtFlags::empty())?;
        let retired = named(home).and_then(|named| match named {
            Ok(named) => retire(home, &named).map(Ok),
            Err(unknown) => Ok(Err(unknown)),
        });
        // There may still be some.
        if !matches!(retired, Ok(Ok(_))) {
            home.mark_unnamed()?;
        }
        match retired? {
            Ok(removed) => collected.removed = removed,
            Err(unknown) => collected.unknown = Some(unknown),
        }
    }
    // Nobody can come upon what is out of sight, so that it may take as long as it takes.
    crate::fault::place();
    for name in home.layers.names()? {
        if name.starts_with(REMOVED) {
            removal::remove(&home.layers, &name)?;
        }
    }
    Ok(collected)
}

/// Takes layers that are not among these out of sight; gives how many.
fn retire(home: &Home, named: &HashSet<Id>) -> Result<usize, SandboxError> {
    let mut retired = 0;
    for name in home.layers.names()? {
        if name.parse::<Id>().is_ok_and(|id| !named.contains(&id)) {
            home.layers.rename(&name, &home.layers, &format!("{REMOVED}{name}"))?;
            retired += 1;
        }
    }
    Ok(retired)
}

/// Every layer that a sandbox names; or a sandbox of which that cannot be told.
fn named(home: &Home) -> Result<Result<HashSet<Id>, (String, SandboxError)>, SandboxError> {
    let mut named = HashSet::new();
    for name in sandbox::names(home)? {
        let folder = home.sandboxes.child(&name);
        match folder.and_then(|folder| folder.as_ref().map_or(Ok(Vec::new()), named_by)) {
            Ok(ids) => named.extend(ids),
            Err(error) => return Ok(Err((name, error))),
        }
    }
    Ok(Ok(named))
}

/// The layers that the sandbox of a folder names.
pub(super) fn named_by(folder: &Folder) -> Result<Vec<Id>, SandboxError> {
    // What is being made is named before it is made, so this is read first: it is gone only when the manifest names it.
    let mut ids = in_the_making(folder)?;
    let manifest = Manifest::read(folder)?;
    ids.extend(manifest.into_iter().flat_map(|manifest| manifest.layers).map(|layer| layer.id));
    Ok(ids)
}

/// Layers that are named outside the manifest.
fn in_the_making(folder: &Folder) -> Result<Vec<Id>, SandboxError> {
    let pending = Pending::read(folder)?.and_then(|pending| pending.layer);
    Ok(pending.into_iter().chain(preserve::begun(folder)?).collect())
}
