//! A sandbox for one command, which is kept for as long as there is something to review in it.

use stockade_linux::relay::HostStdio;
use stockade_spec::Policy;

use super::exec::{Exec, Executed};
use super::handle::{Sandbox, Sandboxes};
use super::settings::Options;
use crate::error::Error;
use crate::job::Job;

/// What came of a run that is to be reviewed.
#[derive(Debug)]
pub struct Reviewed {
    /// How the command ended.
    pub executed: Executed,
    /// The sandbox with what it changed; `None` where it changed nothing, and nothing is left.
    pub sandbox: Option<Sandbox>,
}

impl Sandboxes {
    /// Makes a sandbox, runs one command in it, ends everything that the command left running, and keeps what it changed.
    ///
    /// # Errors
    /// When the sandbox cannot be made, or the command was not run; the sandbox is removed again then.
    pub fn review(&self, job: &Job<'_>, exec: &Exec, stdio: &HostStdio) -> Result<Reviewed, Error> {
        let sandbox = self.create(None, job, &Options { once: true, ..Options::default() })?;
        let executed = match sandbox.exec(exec, stdio) {
            Ok(executed) => executed,
            Err(error) => {
                // Why it was not run is what there is to tell.
                drop(self.remove(sandbox.name(), true));
                return Err(error);
            }
        };
        sandbox.stop()?;
        Ok(Reviewed { executed, sandbox: sandbox.reviewed()? })
    }
}

impl Sandbox {
    /// Whether it was made for one run that is to be reviewed.
    #[must_use]
    pub const fn is_once(&self) -> bool {
        self.kept.is_once()
    }

    /// The policy that it was made with.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.settings.policy
    }

    /// Ends a review: a sandbox that was made for one, and differs from its workspace no longer, is removed. Others are given
    /// back.
    ///
    /// # Errors
    /// When something cannot be read or removed.
    pub fn reviewed(self) -> Result<Option<Self>, Error> {
        if !self.is_once() || self.is_changed()? {
            return Ok(Some(self));
        }
        self.all.remove(self.name(), true)?;
        Ok(None)
    }
}
