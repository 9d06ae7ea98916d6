//! Keeps what the host had before an apply changed it, so that older checkpoints go on to show what they showed.
//!
//! What the apply replaced or removed goes to a new layer at the bottom of every list of layers of the sandbox, and where
//! there was nothing, a whiteout. Its notes say what the host has since, and being the lowest, they count.
//!
//! While an apply is under way, the link `preserving` names that layer, so that an apply that was interrupted finds it again
//! and nobody takes it for garbage.

mod layer;

use std::os::fd::AsFd;
use std::path::PathBuf;

use rustix::fs::AtFlags;

pub use self::layer::Preserving;
use super::error::SandboxError;
use super::folder::Folder;
use super::home::{Home, TREE};
use super::id::Id;
use super::locked::Locked;
use super::manifest::LayerRecord;
use super::upper;
use super::{bases, pending, seal};
use crate::fault;
use crate::layers::Entry;

const LINK: &str = "preserving";

/// The layer that an apply of the folder's sandbox is filling.
pub(super) fn begun(folder: &Folder) -> Result<Option<Id>, SandboxError> {
    let text = pending::read(folder.fd(), LINK).map_err(|error| folder.failed("read", LINK, error))?;
    let damaged =
        |error: super::id::NoId| SandboxError::Damaged { path: folder.path().join(LINK), what: error.to_string() };
    text.map(|text| text.parse()).transpose().map_err(damaged)
}

impl Locked<'_> {
    /// The layer that an interrupted apply was filling, if there is one.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn preserving(&mut self) -> Result<Option<Preserving>, SandboxError> {
        let Some(id) = begun(&self.folder)? else { return Ok(None) };
        // Finished, but for this.
        if self.manifest.layers.iter().any(|layer| layer.id == id) {
            self.folder.unlink(LINK, AtFlags::empty())?;
            return Ok(None);
        }
        self.open_preserving(id).map(Some)
    }

    /// Begins to fill a layer with what the host has and is going to lose, or goes on with the one that was begun. It counts
    /// once it is given to [`Self::finish_preserving`].
    ///
    /// # Errors
    /// When the workspace is gone, or the layer cannot be made.
    pub fn preserve(&mut self) -> Result<Preserving, SandboxError> {
        if let Some(begun) = self.preserving()? {
            return Ok(begun);
        }
        let _layers = self.home.share_layers()?;
        let id = Id::random().map_err(|error| self.folder.failed("name a layer of", "", error))?;
        pending::write(&self.folder, LINK, &id.to_string())?;
        fault::place();
        self.open_preserving(id)
    }

    /// Opens the layer, and makes what is missing of it.
    fn open_preserving(&self, id: Id) -> Result<Preserving, SandboxError> {
        let workspace = self.open_workspace()?;
        let name = id.to_string();
        let layer = match self.home.layers.child(&name)? {
            Some(layer) => layer,
            None => self.home.layers.make_child(&name)?,
        };
        if !layer.has(TREE)? {
            // Only when it looks like the workspace does it get its name.
            layer.unlink(NEW, AtFlags::REMOVEDIR)?;
            upper::make(&layer, NEW, Some(workspace.as_fd()))?;
            layer.rename(NEW, &layer, TREE)?;
        }
        let tree = upper::open(&layer, TREE)?;
        Ok(Preserving::new(id, layer, tree, workspace))
    }

    /// Puts the layer at the bottom of every list of layers. `renewed` are the paths that the apply changed, with what the
    /// host has there now: what is compared with from now on, when the host is asked whether it changed since.
    ///
    /// # Errors
    /// When it cannot be written; then it can be tried again.
    pub fn finish_preserving(
        &mut self,
        preserving: Preserving,
        renewed: impl IntoIterator<Item = (PathBuf, Option<Entry>)>,
    ) -> Result<(), SandboxError> {
        let layers = self.home.share_layers()?;
        let (id, layer) = preserving.into_layer();
        bases::renew(&layer, renewed)?;
        fault::place();
        let record = LayerRecord { preserved: true, ..seal::record(&layer, id)? };
        let mut manifest = self.manifest.clone();
        let overflow = |error| self.folder.failed("name a layer of", "", error);
        let place = manifest.add_layer(record).map_err(overflow)?;
        for chain in manifest.chains_mut() {
            chain.insert(0, place);
        }
        self.write(manifest)?;
        self.folder.unlink(LINK, AtFlags::empty())?;
        drop(layers);
        // So that the lists do not grow with every apply. Where programs run, it is done another time.
        match self.compact(None) {
            Err(SandboxError::Running(_)) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Drops the layer of an apply that came to nothing. What is in it is lost.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn drop_preserving(&mut self, preserving: Preserving) -> Result<(), SandboxError> {
        let (id, _) = preserving.into_layer();
        Home::remove(&self.home.layers, &id.to_string())?;
        fault::place();
        self.folder.unlink(LINK, AtFlags::empty())
    }
}

/// Name of the tree until it is complete.
const NEW: &str = "tree.new";
