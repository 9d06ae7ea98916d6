//! One sandbox: its folder, opened, and what its manifest says.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkpoint::{self, Branch, Checkpoint, Missing};
use super::error::SandboxError;
use super::folder::{Folder, Wait};
use super::home::Home;
use super::id::Id;
use super::locked::Locked;
use super::manifest::Manifest;
use super::upper::{UPPER, WORK};
use super::workspace::Workspace;
use super::{name, supervisor};

/// A sandbox, as its manifest was when it was opened or last locked. What changes it is a method of [`Locked`].
#[derive(Debug)]
pub struct Sandbox {
    pub(super) home: Arc<Home>,
    pub(super) folder: Folder,
    pub(super) name: String,
    pub(super) manifest: Manifest,
}

impl Sandbox {
    pub(super) fn open(home: &Arc<Home>, name: &str) -> Result<Self, SandboxError> {
        let unknown = || unknown(home, name);
        // What cannot be a name is none, whatever folder it might lead to.
        let Ok(()) = name::check(name) else { return Err(unknown()?) };
        let Some(folder) = home.sandboxes.child(name)? else { return Err(unknown()?) };
        let Some(manifest) = Manifest::read(&folder)? else { return Err(unknown()?) };
        Ok(Self { home: Arc::clone(home), folder, name: name.to_owned(), manifest })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What sets it apart from others that had or will have its name.
    #[must_use]
    pub const fn id(&self) -> Id {
        self.manifest.id
    }

    /// Its folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Its folder, open.
    #[must_use]
    pub fn folder(&self) -> BorrowedFd<'_> {
        self.folder.fd()
    }

    /// The workspace that it lies on, as it was when the sandbox was made.
    #[must_use]
    pub const fn workspace(&self) -> &Workspace {
        &self.manifest.workspace
    }

    /// Opens the workspace.
    ///
    /// # Errors
    /// When it is gone, or another directory has its name.
    pub fn open_workspace(&self) -> Result<OwnedFd, SandboxError> {
        self.manifest.workspace.open()
    }

    /// When it was made, in nanoseconds since 1970.
    #[must_use]
    pub const fn created(&self) -> i64 {
        self.manifest.created
    }

    /// What its user keeps with it: nothing here reads it.
    #[must_use]
    pub const fn settings(&self) -> &serde_json::Value {
        &self.manifest.settings
    }

    /// Whether it was made for one run that is to be reviewed.
    #[must_use]
    pub const fn is_once(&self) -> bool {
        self.manifest.once
    }

    /// The directory that takes its writes.
    #[must_use]
    pub fn upper(&self) -> PathBuf {
        self.folder.path().join(UPPER)
    }

    /// The directory that overlayfs wants for itself beside `upper`.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.folder.path().join(WORK)
    }

    /// The layers below `upper`, top first, as overlayfs wants them.
    #[must_use]
    pub fn under(&self) -> Vec<PathBuf> {
        self.trees(&self.manifest.under)
    }

    /// `upper` and the layers below it, top first: what the sandbox holds now.
    #[must_use]
    pub fn layers(&self) -> Vec<PathBuf> {
        [self.upper()].into_iter().chain(self.under()).collect()
    }

    /// The layers of a checkpoint, top first.
    ///
    /// # Errors
    /// When there is no such checkpoint.
    pub fn layers_of(&self, checkpoint: &str) -> Result<Vec<PathBuf>, SandboxError> {
        let number = self.number(checkpoint)?;
        Ok(self.manifest.find(number).map(|record| self.trees(&record.layers)).unwrap_or_default())
    }

    fn trees(&self, places: &[u32]) -> Vec<PathBuf> {
        self.manifest.ids(places).into_iter().rev().map(|id| self.home.tree(id)).collect()
    }

    /// Every layer that it names, with the SHA-256 of its listing.
    #[must_use]
    pub fn digests(&self) -> Vec<(Id, String)> {
        self.manifest.layers.iter().map(|layer| (layer.id, layer.digest.clone())).collect()
    }

    /// The checkpoint of this name, or with this label if only one has it.
    ///
    /// # Errors
    /// When there is none, or several have the label.
    pub fn find(&self, checkpoint: &str) -> Result<Checkpoint, SandboxError> {
        let number = self.number(checkpoint)?;
        self.show(Some(number)).ok_or_else(|| self.missing(checkpoint, Missing::Unknown(Vec::new())))
    }

    /// The checkpoint that the current state came from.
    #[must_use]
    pub fn head(&self) -> Option<Checkpoint> {
        self.show(self.manifest.head)
    }

    /// All checkpoints as a tree: each before those that came from it, older ones first.
    #[must_use]
    pub fn log(&self) -> Vec<Branch> {
        checkpoint::tree(&self.manifest)
    }

    pub(super) fn show(&self, number: Option<u32>) -> Option<Checkpoint> {
        self.manifest.find(number?).map(|record| self.manifest.show(record))
    }

    pub(super) fn number(&self, text: &str) -> Result<u32, SandboxError> {
        checkpoint::find(&self.manifest, text).map_err(|missing| self.missing(text, missing))
    }

    fn missing(&self, text: &str, missing: Missing) -> SandboxError {
        let sandbox = self.name.clone();
        match missing {
            Missing::Unknown(known) => SandboxError::UnknownCheckpoint { sandbox, name: text.to_owned(), known },
            Missing::Ambiguous(names) => SandboxError::AmbiguousLabel { sandbox, label: text.to_owned(), names },
        }
    }

    /// Whether a supervisor lives, so that programs may be running.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub fn is_running(&self) -> Result<bool, SandboxError> {
        supervisor::is_held(&self.folder)
    }

    /// Locks it for a change, waiting for whoever changes it now. What an interrupted change left is completed or undone.
    ///
    /// # Errors
    /// When it was removed meanwhile, its manifest cannot be read, or what was interrupted can be neither completed nor
    /// undone.
    pub fn lock(&mut self) -> Result<Locked<'_>, SandboxError> {
        let name = self.name.clone();
        Locked::take(self, Wait::Yes)?.ok_or(SandboxError::Removed(name))
    }

    /// Locks it as [`Self::lock`] does, unless somebody changes it now; `None` then.
    ///
    /// # Errors
    /// As [`Self::lock`].
    pub fn try_lock(&mut self) -> Result<Option<Locked<'_>>, SandboxError> {
        Locked::take(self, Wait::No)
    }

    /// Waits until everything that the sandbox has written so far would outlive a failure of power. What only the process
    /// that wrote it being killed could endanger needs no waiting.
    ///
    /// # Errors
    /// When the disk cannot be written to.
    pub fn settle(&self) -> Result<(), SandboxError> {
        rustix::fs::syncfs(self.folder.fd()).map_err(|error| self.folder.failed("force to disk", "", error))
    }
}

/// The error for a name that no sandbox has.
pub(super) fn unknown(home: &Home, name: &str) -> Result<SandboxError, SandboxError> {
    Ok(SandboxError::Unknown { name: name.to_owned(), known: names(home)? })
}

/// Names of all sandboxes.
pub(super) fn names(home: &Home) -> Result<Vec<String>, SandboxError> {
    let mut names = home.sandboxes.names()?;
    names.retain(|name| name::check(name).is_ok());
    Ok(names)
}
