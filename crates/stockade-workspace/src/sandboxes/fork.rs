//! Makes a sandbox that goes on from a state of another. Both name the same layers, which nobody changes.

use std::os::fd::AsFd;
use std::sync::Arc;

use super::create::{self, Names};
use super::error::SandboxError;
use super::home::Home;
use super::id::Id;
use super::locked::Locked;
use super::manifest::{About, Durable, Manifest};
use super::sandbox::Sandbox;
use super::window;

/// Where a sandbox begins that is made from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At<'a> {
    /// At the state in which the other is now, of which a checkpoint is taken if it has none. No program may run in it; where
    /// programs run, [`Locked::checkpoint`] freezes their files, and its result can be named.
    Now,
    /// At a checkpoint, by its name or label.
    Checkpoint(&'a str),
}

/// Makes the sandbox. It takes over the checkpoints that its state came from, settings and workspace.
pub(super) fn fork(home: &Arc<Home>, source: &str, at: At<'_>, name: Option<&str>) -> Result<Sandbox, SandboxError> {
    let mut source = Sandbox::open(home, source)?;
    let names = Names::choose(name, &source.workspace().path)?;
    // Before a checkpoint is taken for nothing.
    if let Names::Given(name) = &names
        && home.sandboxes.has(name)?
    {
        return Err(SandboxError::Exists(name.clone()));
    }
    let mut source = source.lock()?;
    let number = match at {
        At::Checkpoint(checkpoint) => source.number(checkpoint)?,
        At::Now => {
            let _held = source.stopped(None)?;
            source.check_room()?;
            let taken = source.checkpoint_stopped(About { automatic: true, ..About::default() })?;
            source.number(&taken.checkpoint.name)?
        }
    };
    // The lock of the source keeps the layers from being removed before the new manifest names them.
    let manifest = descend(&source, number)?;
    let below = source.below(&manifest)?;
    create::make(home, manifest, &names, Durable::Yes, below.as_ref().map(AsFd::as_fd))
}

/// The manifest of a sandbox that goes on from a checkpoint.
fn descend(source: &Locked<'_>, number: u32) -> Result<Manifest, SandboxError> {
    let id = Id::random().map_err(|error| source.folder.failed("name a fork of", "", error))?;
    let from = &source.manifest;
    let mut manifest =
        Manifest { settings: from.settings.clone(), ..Manifest::new(id, from.workspace.clone(), window::now()) };
    manifest.layers.clone_from(&from.layers);
    let mut next = Some(number);
    while let Some(record) = next.and_then(|number| from.find(number)) {
        manifest.checkpoints.push(record.clone());
        next = record.parent;
    }
    manifest.checkpoints.reverse();
    manifest.head = Some(number);
    manifest.next = number + 1;
    manifest.under = from.find(number).map(|record| record.layers.clone()).unwrap_or_default();
    manifest.drop_unused();
    Ok(manifest)
}
