//! Makes `upper` a layer when no program runs: it is renamed, whatever is in it, and an empty one takes its place.
//!
//! Besides writing its listing, this costs the same for any sandbox.

use std::os::fd::{AsFd, OwnedFd};

use super::error::SandboxError;
use super::home::TREE;
use super::id::Id;
use super::listing;
use super::locked::Locked;
use super::manifest::{LayerRecord, Manifest};
use super::pending::{Pending, Step};
use super::upper::{self, NEXT, UPPER};
use super::{bases, folder::Folder};
use crate::fault;

impl Locked<'_> {
    /// Whether nothing was written since `upper` was made.
    pub(super) fn is_upper_unchanged(&self) -> Result<bool, SandboxError> {
        let upper = upper::open(&self.folder, UPPER)?;
        let Some(below) = self.below(&self.manifest)? else { return Ok(false) };
        let unchanged = upper::is_unchanged(upper.as_fd(), below.as_fd());
        unchanged.map_err(|error| self.folder.failed("read the directory", UPPER, error))
    }

    /// Seals `upper`, if anything was written, and puts an empty one in its place. `change` makes the manifest what it is to
    /// be, given the place of the layer; nothing has happened if that or anything before it fails.
    pub(super) fn replace_upper<T>(
        &mut self,
        change: impl FnOnce(&mut Manifest, Option<u32>) -> T,
    ) -> Result<T, SandboxError> {
        let home = std::sync::Arc::clone(&self.home);
        let _layers = home.share_layers()?;
        let generation = self.manifest.generation + 1;
        let pending = if self.is_upper_unchanged()? {
            Pending { step: Step::Replace, generation, layer: None, mode: None }
        } else {
            let layer = Id::random().map_err(|error| self.folder.failed("name a layer of", "", error))?;
            let mode = upper::closed_mode(&self.folder, UPPER)?;
            Pending { step: Step::Seal, generation, layer: Some(layer), mode }
        };
        self.change(&pending, |locked| {
            let mut manifest = locked.manifest.clone();
            let place = match pending.layer {
                Some(layer) => {
                    let record = locked.seal(layer, pending.mode)?;
                    let overflow = |error| locked.folder.failed("name a layer of", "", error);
                    Some(manifest.add_layer(record).map_err(overflow)?)
                }
                None => None,
            };
            let made = change(&mut manifest, place);
            manifest.mirror = None;
            let below = locked.below(&manifest)?;
            upper::make(&locked.folder, NEXT, below.as_ref().map(AsFd::as_fd))?;
            fault::place();
            locked.write(manifest).map(|()| made)
        })
    }

    /// Moves `upper` and what was noted about it to a new layer.
    fn seal(&self, id: Id, mode: Option<u32>) -> Result<LayerRecord, SandboxError> {
        let folder = &self.folder;
        let layer = self.home.layers.make_child(&id.to_string())?;
        fault::place();
        if folder.has(bases::FOLDER)? {
            folder.rename(bases::FOLDER, &layer, bases::FOLDER)?;
            fault::place();
        }
        // Renaming a directory changes its `..`, which its owner may not where its permission was taken away.
        if let Some(mode) = mode {
            upper::set_mode(folder, UPPER, mode | 0o700)?;
            fault::place();
        }
        folder.rename(UPPER, &layer, TREE)?;
        fault::place();
        if let Some(mode) = mode {
            upper::set_mode(&layer, TREE, mode)?;
        }
        record(&layer, id)
    }

    /// What `upper` lies on, by a manifest: the top-most layer, or the host's workspace; `None` where that is gone.
    pub(super) fn below(&self, manifest: &Manifest) -> Result<Option<OwnedFd>, SandboxError> {
        match manifest.ids(&manifest.under).last() {
            Some(id) => upper::open(&self.home.layer(*id)?, TREE).map(Some),
            None => Ok(manifest.workspace.open().ok()),
        }
    }
}

/// Lists a layer whose tree is complete.
pub(super) fn record(layer: &Folder, id: Id) -> Result<LayerRecord, SandboxError> {
    let listing::Summary { digest, entries } = listing::write(layer, &listing::Sources::default())?;
    fault::place();
    Ok(LayerRecord { id, digest, entries, preserved: false })
}
