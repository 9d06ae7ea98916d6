//! All sandboxes of a state directory.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use super::create::{self, New};
use super::error::SandboxError;
use super::fork::{self, At};
use super::home::Home;
use super::prune::{self, Prune, Pruned};
use super::remove;
use super::sandbox::{self, Sandbox};
use super::tidy::{self, Tidied};
use super::workspace::Workspace;
use crate::state::StateDirectory;

/// The sandboxes of a state directory.
#[derive(Clone, Debug)]
pub struct Sandboxes {
    home: Arc<Home>,
}

/// What a sandbox is, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Its name.
    pub name: String,
    /// What it lies on.
    pub workspace: Workspace,
    /// When it was made, in nanoseconds since 1970.
    pub created: i64,
    /// When it was used last, in nanoseconds since 1970.
    pub used: i64,
    /// Whether it was made for one run that is to be reviewed.
    pub once: bool,
    /// Whether a supervisor lives, so that programs may be running.
    pub running: bool,
    /// How many checkpoints it has.
    pub checkpoints: usize,
    /// The checkpoint that its state came from.
    pub head: Option<Checkpoint>,
}

/// The name of a sandbox, and what it is or why that cannot be told.
pub type Listed = (String, Result<Summary, SandboxError>);

impl Sandboxes {
    /// Opens the state directory's folders for sandboxes, which are made where they are missing.
    ///
    /// # Errors
    /// When they cannot be made, or are not the caller's alone.
    pub fn new(state: &StateDirectory) -> Result<Self, SandboxError> {
        Ok(Self { home: Arc::new(Home::open(state)?) })
    }

    /// Makes a sandbox that holds nothing yet.
    ///
    /// # Errors
    /// When the name is taken or is none, the workspace cannot be used, or the state directory lies in it or on a file system
    /// that cannot hold what a sandbox writes.
    pub fn create(&self, new: New<'_>) -> Result<Sandbox, SandboxError> {
        create::create(&self.home, new)
    }

    /// Opens a sandbox.
    ///
    /// # Errors
    /// When there is none of this name, it is not the caller's alone, or its manifest cannot be understood.
    pub fn open(&self, name: &str) -> Result<Sandbox, SandboxError> {
        Sandbox::open(&self.home, name)
    }

    /// All sandboxes by name, each with what it is or why that cannot be told.
    ///
    /// # Errors
    /// When the state directory cannot be read.
    pub fn list(&self) -> Result<Vec<Listed>, SandboxError> {
        let names = sandbox::names(&self.home)?;
        Ok(names
            .into_iter()
            .map(|name| (name.clone(), self.open(&name).and_then(|sandbox| sandbox.summary())))
            .collect())
    }

    /// Makes a sandbox that goes on from a state of another: with its workspace and settings, and the checkpoints that the
    /// state came from. Where no name is given, it gets one after the workspace.
    ///
    /// # Errors
    /// When one of the names or the checkpoint cannot be used, or programs run in the source and no checkpoint is given.
    pub fn fork(&self, source: &str, at: At<'_>, name: Option<&str>) -> Result<Sandbox, SandboxError> {
        fork::fork(&self.home, source, at, name)
    }

    /// Removes a sandbox, also one that is damaged, and the layers that no other names.
    ///
    /// # Errors
    /// When there is none of this name, programs run in it, or something cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), SandboxError> {
        remove::remove(&self.home, name)
    }

    /// Removes sandboxes that are old or large, or tells which those are. None in which programs run is among them.
    ///
    /// # Errors
    /// When something cannot be read or removed.
    pub fn prune(&self, prune: &Prune) -> Result<Vec<Pruned>, SandboxError> {
        prune::prune(&self.home, prune)
    }

    /// Completes or drops what killed processes left. Waits for nobody, and costs little where nothing was left.
    ///
    /// # Errors
    /// When something cannot be read or removed. What goes wrong with one sandbox is in the result.
    pub fn tidy(&self) -> Result<Tidied, SandboxError> {
        tidy::tidy(&self.home)
    }
}

impl Sandbox {
    fn summary(&self) -> Result<Summary, SandboxError> {
        Ok(Summary {
            name: self.name.clone(),
            workspace: self.workspace().clone(),
            created: self.created(),
            used: self.used()?,
            once: self.is_once(),
            running: self.is_running()?,
            checkpoints: self.manifest.checkpoints.len(),
            head: self.head(),
        })
    }
}
