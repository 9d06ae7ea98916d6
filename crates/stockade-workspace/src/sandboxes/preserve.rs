//! Keeps what the host had before an apply changed it, so that older checkpoints go on to show what they showed.
//!
//! What the apply replaced or removed, and a whiteout where there was nothing, is a layer that the apply puts together. It
//! goes to the bottom of every list of layers of the sandbox. Its notes say what the host has since, and being the lowest,
//! they count.
//!
//! While that is under way, the link `preserving` names the layer, so that an apply that was interrupted finds it again and
//! nobody takes it for garbage.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::AtFlags;

use super::error::SandboxError;
use super::folder::Folder;
use super::home::{Home, TREE};
use super::id::Id;
use super::locked::Locked;
use super::manifest::LayerRecord;
use super::{bases, pending, seal, upper};
use crate::fault;
use crate::layers::Entry;

const LINK: &str = "preserving";

/// Name of the tree until it is complete.
const NEW: &str = "tree.new";

/// What the host had before an apply, on its way to become a layer.
#[derive(Debug)]
pub struct Preserving {
    id: Id,
    layer: Folder,
    workspace: OwnedFd,
}

impl Preserving {
    /// The layer's identifier.
    #[must_use]
    pub const fn id(&self) -> Id {
        self.id
    }

    /// Where the layer's tree is.
    #[must_use]
    pub fn tree(&self) -> PathBuf {
        self.layer.path().join(TREE)
    }

    /// Takes over a tree that is whole: what an apply had put together at `old`, on the file system of the state directory. One
    /// that was taken over before an interruption is there already.
    ///
    /// # Errors
    /// When it cannot be moved; then it is where it was.
    pub fn adopt(&self, old: &Path) -> Result<(), SandboxError> {
        let failed = |operation, source: std::io::Error| SandboxError::Io { operation, path: old.to_owned(), source };
        match old.symlink_metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            found => found.map_err(|error| failed("look at", error))?,
        };
        // Over an empty directory only.
        std::fs::rename(old, self.tree()).map_err(|error| failed("keep", error))?;
        fault::place();
        Ok(())
    }

    /// Whether nothing is kept in it: not even a workspace's directory that looked otherwise.
    fn is_empty(&self) -> Result<bool, SandboxError> {
        let tree = upper::open(&self.layer, TREE)?;
        let unchanged = upper::is_unchanged(tree.as_fd(), self.workspace.as_fd());
        unchanged.map_err(|error| self.layer.failed("read the directory", TREE, error))
    }
}

/// The layer that an apply of the folder's sandbox is filling.
pub(super) fn begun(folder: &Folder) -> Result<Option<Id>, SandboxError> {
    let text = pending::read(folder.fd(), LINK).map_err(|error| folder.failed("read", LINK, error))?;
    let damaged =
        |error: super::id::NoId| SandboxError::Damaged { path: folder.path().join(LINK), what: error.to_string() };
    text.map(|text| text.parse()).transpose().map_err(damaged)
}

impl Locked<'_> {
    /// Begins a layer for what the host had before an apply, or goes on with the one that was begun. It counts once it is
    /// given to [`Self::finish_preserving`].
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

    /// The layer that was begun before an interruption, if there is one.
    fn preserving(&self) -> Result<Option<Preserving>, SandboxError> {
        let Some(id) = begun(&self.folder)? else { return Ok(None) };
        // Finished, but for this.
        if self.manifest.layers.iter().any(|layer| layer.id == id) {
            self.folder.unlink(LINK, AtFlags::empty())?;
            return Ok(None);
        }
        self.open_preserving(id).map(Some)
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
        Ok(Preserving { id, layer, workspace })
    }

    /// Puts the layer at the bottom of every list of layers. `renewed` are the paths that the apply changed, with what the
    /// host has there now: what is compared with from now on, when the host is asked whether it changed since. A layer in
    /// which nothing is kept is dropped: what was interrupted had been finished, and is done again.
    ///
    /// # Errors
    /// When it cannot be written; then it can be tried again.
    pub fn finish_preserving(
        &mut self,
        preserving: Preserving,
        renewed: impl IntoIterator<Item = (PathBuf, Option<Entry>)>,
    ) -> Result<(), SandboxError> {
        if preserving.is_empty()? {
            return self.drop_preserving(preserving);
        }
        let layers = self.home.share_layers()?;
        let Preserving { id, layer, .. } = preserving;
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
        Home::remove(&self.home.layers, &preserving.id.to_string())?;
        fault::place();
        self.folder.unlink(LINK, AtFlags::empty())
    }
}
