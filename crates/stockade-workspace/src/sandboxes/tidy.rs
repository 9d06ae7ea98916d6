//! Completes or drops what killed processes left. It waits for nobody: what somebody works with is no remains.

use std::sync::Arc;

use rustix::fs::AtFlags;

use super::error::SandboxError;
use super::folder::{Folder, Wait};
use super::home::{Home, MAKING, REMOVED};
use super::locked::Locked;
use super::sandbox::{self, Sandbox};
use super::{garbage, manifest, pending, removal};

/// What was found and put in order.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Tidied {
    /// Sandboxes in which an interrupted change was completed or undone.
    pub recovered: Vec<String>,
    /// Layers that no sandbox named.
    pub layers: usize,
    /// Folders that were being made or removed.
    pub folders: usize,
    /// Sandboxes that could not be looked into, and folders that could not be removed, with the reason. While there is one of
    /// the first, no layer is removed, since it is not known which of them it names.
    pub failures: Vec<(String, SandboxError)>,
}

/// Puts everything in order.
pub(super) fn tidy(home: &Arc<Home>) -> Result<Tidied, SandboxError> {
    let mut tidied = Tidied::default();
    for name in sandbox::names(home)? {
        match recover(home, &name) {
            Ok(true) => tidied.recovered.push(name),
            Ok(false) | Err(SandboxError::Removed(_) | SandboxError::Unknown { .. }) => {}
            Err(error) => tidied.failures.push((name, error)),
        }
    }
    // Whoever makes a sandbox shares the layers, so that what is half made is nobody's while they are held.
    let is_left = |name: &String| name.starts_with(MAKING) || name.starts_with(REMOVED);
    let folders = match home.sandboxes.names()?.iter().any(is_left) {
        true => match home.hold_layers(Wait::No)? {
            Some(_lock) => retire(&home.sandboxes)?,
            None => Vec::new(),
        },
        false => Vec::new(),
    };
    tidied.folders = folders.len();
    for name in folders {
        if let Err(error) = removal::remove(&home.sandboxes, &name) {
            tidied.failures.push((name, error));
        }
    }
    let garbage::Collected { removed, unknown } = garbage::collect(home, Wait::No)?;
    tidied.layers = removed;
    if let Some((name, error)) = unknown
        && tidied.failures.iter().all(|(known, _)| *known != name)
    {
        tidied.failures.push((name, error));
    }
    Ok(tidied)
}

/// Takes folders that were being made out of their makers' sight, and gives all that are to be removed.
fn retire(sandboxes: &Folder) -> Result<Vec<String>, SandboxError> {
    let mut retired = Vec::new();
    for name in sandboxes.names()? {
        if let Some(id) = name.strip_prefix(MAKING) {
            let removed = format!("{REMOVED}{id}");
            sandboxes.rename(&name, sandboxes, &removed)?;
            retired.push(removed);
        } else if name.starts_with(REMOVED) {
            retired.push(name);
        }
    }
    Ok(retired)
}

/// Completes or undoes what a sandbox was in the midst of. Where it was in none, that is two looks at its folder.
fn recover(home: &Arc<Home>, name: &str) -> Result<bool, SandboxError> {
    let has = |file| home.sandboxes.has(&format!("{name}/{file}"));
    if !has(pending::LINK)? && !has(manifest::TEMPORARY)? {
        return Ok(false);
    }
    let mut sandbox = Sandbox::open(home, name)?;
    let Some(locked) = Locked::take(&mut sandbox, Wait::No)? else { return Ok(false) };
    let unfinished = locked.folder.has(manifest::TEMPORARY)?;
    locked.folder.unlink(manifest::TEMPORARY, AtFlags::empty())?;
    Ok(locked.recovered || unfinished)
}
