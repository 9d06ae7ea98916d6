//! What a sandbox changed, to be looked at before it is applied.
//!
//! The live state is read, without stopping programs that run: looking must not disturb them. What they change meanwhile
//! may be told as it was before or as it is afterwards, and a file that is gone again cannot be read; [`Sandbox::apply`]
//! works on a sealed state instead.

use stockade_workspace::layers::{Change, FileStat, LayerError, Stack, changes, find_renames, stat, unified};
use stockade_workspace::sandboxes;

use super::ask::Status;
use super::handle::{Sandbox, Sandboxes};
use crate::error::Error;

/// What differs from the workspace, by path.
#[derive(Debug)]
pub struct Changes {
    stack: Stack,
    list: Vec<Change>,
}

impl Changes {
    fn read(kept: &sandboxes::Sandbox, checkpoint: Option<&str>) -> Result<Self, Error> {
        kept.open_workspace()?;
        let layers = match checkpoint {
            Some(checkpoint) => kept.layers_of(checkpoint)?,
            None => kept.layers(),
        };
        let stack = Stack::open(&layers, &kept.workspace().path)?;
        let list = changes(&stack)?;
        Ok(Self { stack, list })
    }

    fn with_renames(self) -> Result<Self, Error> {
        let Self { stack, list } = self;
        let list = find_renames(&stack, list)?;
        Ok(Self { stack, list })
    }

    /// The changes, each directory before what is in it.
    #[must_use]
    pub fn list(&self) -> &[Change] {
        &self.list
    }

    /// Leaves only those for which this holds.
    pub fn retain(&mut self, wanted: impl FnMut(&Change) -> bool) {
        self.list.retain(wanted);
    }

    /// How much of one path changed.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn stat(&self, change: &Change) -> Result<FileStat, LayerError> {
        stat(&self.stack, change)
    }

    /// One change as a unified diff in git's form, with lines for what that has none for; nothing of a directory of the usual
    /// mode of which what is in it tells.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn unified(&self, change: &Change) -> Result<Vec<u8>, LayerError> {
        let next = self.list.partition_point(|other| other.path <= change.path);
        let holds = self.list.get(next).is_some_and(|next| next.path.starts_with(&change.path));
        unified(&self.stack, change, holds)
    }
}

impl Sandbox {
    /// What it changed, or had changed at a checkpoint, compared with the workspace as it is now. Renames are found.
    ///
    /// # Errors
    /// When there is no such checkpoint, the workspace is gone or another, or something cannot be read.
    pub fn changes(&self, checkpoint: Option<&str>) -> Result<Changes, Error> {
        Changes::read(&self.kept, checkpoint)?.with_renames()
    }

    /// Whether it differs from the workspace.
    pub(super) fn is_changed(&self) -> Result<bool, Error> {
        Ok(!Changes::read(&self.kept, None)?.list.is_empty())
    }
}

/// What there is to see of a sandbox without using it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// At how many paths it differs from its workspace.
    pub changes: usize,
    /// What runs in it; `None` where it has no supervisor.
    pub status: Option<Status>,
}

impl Sandboxes {
    /// Looks at a sandbox. Nothing that was interrupted is finished, and nothing is started.
    ///
    /// # Errors
    /// As [`Sandbox::changes`].
    pub fn look(&self, name: &str) -> Result<Look, Error> {
        let sandbox = self.as_it_is(name)?;
        let changes = Changes::read(&sandbox.kept, None)?.list.len();
        Ok(Look { changes, status: sandbox.status()? })
    }
}
