//! Removes sandboxes that nobody has used for long, or that are large.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::SandboxError;
use super::folder::Wait;
use super::home::Home;
use super::sandbox::{self, Sandbox};
use super::usage::Amount;
use super::{garbage, remove};
use super::{manifest, window};
use crate::directory;
use crate::layers::Entry;

/// Which sandboxes to remove: those of which everything that is given is true.
#[derive(Clone, Copy, Debug, Default)]
pub struct Prune {
    /// Not used for this long.
    pub older_than: Option<Duration>,
    /// Taking more bytes than this, the layers that they name included.
    pub larger_than: Option<u64>,
    /// Whether to tell only, and remove nothing.
    pub only_tell: bool,
}

/// A sandbox that was, or would be, removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// Its name.
    pub name: String,
    /// When it was used last, in nanoseconds since 1970.
    pub used: i64,
    /// What it took.
    pub size: Amount,
}

/// Removes them, one after the other. What is running or cannot be read is left alone.
pub(super) fn prune(home: &std::sync::Arc<Home>, prune: &Prune) -> Result<Vec<Pruned>, SandboxError> {
    let mut pruned = Vec::new();
    for name in sandbox::names(home)? {
        let Ok(sandbox) = Sandbox::open(home, &name) else { continue };
        let Ok(Some(found)) = sandbox.is_prunable(prune) else { continue };
        if !prune.only_tell {
            match remove::remove(home, &name) {
                Err(SandboxError::Running(_) | SandboxError::Removed(_) | SandboxError::Unknown { .. }) => continue,
                result => result?,
            }
        }
        pruned.push(found);
    }
    if !prune.only_tell {
        // Somebody may have removed folders by hand.
        home.mark_unnamed()?;
        garbage::collect(home, Wait::No)?;
    }
    Ok(pruned)
}

impl Sandbox {
    fn is_prunable(&self, prune: &Prune) -> Result<Option<Pruned>, SandboxError> {
        let Prune { older_than, larger_than, .. } = prune;
        let used = self.used()?;
        let age = Duration::from_nanos(u64::try_from(window::now() - used).unwrap_or(0));
        if (older_than.is_none() && larger_than.is_none())
            || older_than.is_some_and(|least| age < least)
            || self.is_running()?
        {
            return Ok(None);
        }
        let size = self.usage()?.total();
        let is_large = larger_than.is_none_or(|most| size.bytes > most);
        Ok(is_large.then(|| Pruned { name: self.name.clone(), used, size }))
    }

    /// When it was used last, in nanoseconds since 1970: a program ran in it, or it was changed.
    ///
    /// # Errors
    /// When its folder cannot be read.
    pub fn used(&self) -> Result<i64, SandboxError> {
        let manifest = directory::c_name(manifest::FILE.as_bytes())
            .and_then(|name| directory::status(self.folder.fd(), &name))
            .map_err(|error| self.folder.failed("look at", manifest::FILE, error))?;
        let since = window::since(&self.folder)?;
        Ok(since.into_iter().chain([Entry::of(&manifest).modified]).max().unwrap_or(self.created()))
    }
}
