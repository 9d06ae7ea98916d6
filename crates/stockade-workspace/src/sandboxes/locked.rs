//! A sandbox that nobody else changes meanwhile, and what an interrupted change left.

use std::ops::Deref;

use rustix::fs::AtFlags;

use super::error::SandboxError;
use super::folder::{Lock, Wait};
use super::home::{Home, TREE};
use super::manifest::{self, Durable, Manifest};
use super::pending::{Pending, Step};
use super::sandbox::Sandbox;
use super::supervisor::{self, Supervisor};
use super::upper::{self, NEXT, UPPER};
use super::{bases, removal, window};
use crate::fault;

pub(super) const LOCK: &str = "lock";

/// A sandbox, locked for a change until this is dropped.
#[derive(Debug)]
pub struct Locked<'a> {
    pub(super) sandbox: &'a mut Sandbox,
    /// Whether something that was interrupted was completed or undone.
    pub(super) recovered: bool,
    _lock: Lock,
}

impl Deref for Locked<'_> {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        self.sandbox
    }
}

impl<'a> Locked<'a> {
    /// Locks a sandbox; `None` when somebody else has and there is no waiting.
    pub(super) fn take(sandbox: &'a mut Sandbox, wait: Wait) -> Result<Option<Self>, SandboxError> {
        let removed = || SandboxError::Removed(sandbox.name.clone());
        let lock = match sandbox.folder.lock_alone(LOCK, wait) {
            Ok(Some(lock)) if sandbox.folder.is_named() => lock,
            Ok(None) => return Ok(None),
            Err(error) if sandbox.folder.is_named() => return Err(error),
            Ok(Some(_)) | Err(_) => return Err(removed()),
        };
        sandbox.manifest = Manifest::read(&sandbox.folder)?.ok_or_else(removed)?;
        let mut locked = Self { sandbox, recovered: false, _lock: lock };
        locked.recovered = locked.recover()?;
        Ok(Some(locked))
    }

    /// Becomes its supervisor; `None` when it has one. Programs may run in it for as long as this is held.
    ///
    /// # Errors
    /// When the lock's file cannot be written to.
    pub fn hold_supervisor(&self) -> Result<Option<Supervisor>, SandboxError> {
        let held = supervisor::hold(&self.folder, self.id())?;
        if let Some(held) = &held {
            supervisor::sign(held, &self.folder)?;
        }
        Ok(held)
    }

    /// Sees to it that no program runs in it, until what this gives is dropped.
    pub(super) fn stopped(&self, own: Option<&Supervisor>) -> Result<Option<Supervisor>, SandboxError> {
        if own.is_some_and(|own| own.is_of(self.id())) {
            return Ok(None);
        }
        let held = supervisor::hold(&self.folder, self.id())?;
        held.map(Some).ok_or_else(|| SandboxError::Running(self.name.clone()))
    }

    /// Replaces what its user keeps with it.
    ///
    /// # Errors
    /// When the manifest cannot be written.
    pub fn set_settings(&mut self, settings: serde_json::Value) -> Result<(), SandboxError> {
        let mut manifest = self.manifest.clone();
        manifest.settings = settings;
        self.write(manifest)
    }

    /// Keeps it for more than the run that it was made for.
    ///
    /// # Errors
    /// When the manifest cannot be written.
    pub fn keep(&mut self) -> Result<(), SandboxError> {
        let mut manifest = self.manifest.clone();
        manifest.once = false;
        self.write(manifest)
    }

    /// Says that from now on the sandbox may see what the host has: call it before programs start, when none has run since
    /// the last call of [`Self::note_bases`].
    ///
    /// # Errors
    /// When that cannot be kept.
    pub fn begin_window(&mut self) -> Result<(), SandboxError> {
        window::begin(&self.folder, window::now())
    }

    /// Replaces the manifest by one of the next generation. This is the moment at which a change takes place.
    pub(super) fn write(&mut self, mut manifest: Manifest) -> Result<(), SandboxError> {
        manifest.generation = self.manifest.generation + 1;
        let drops = manifest.drop_unused();
        if drops {
            self.home.mark_unnamed()?;
        }
        let folder = &self.folder;
        manifest.write_temporary(folder, manifest::TEMPORARY, Durable::Yes)?;
        fault::place();
        folder.rename(manifest::TEMPORARY, folder, manifest::FILE)?;
        if drops {
            self.home.mark_unnamed()?;
        }
        self.sandbox.manifest = manifest;
        fault::place();
        Ok(())
    }

    /// Carries a change out, of which a first part can be undone, and everything is up to the manifest being written.
    pub(super) fn change<T>(
        &mut self,
        pending: &Pending,
        until_written: impl FnOnce(&mut Self) -> Result<T, SandboxError>,
    ) -> Result<T, SandboxError> {
        pending.begin(&self.folder)?;
        fault::place();
        let result = until_written(self).and_then(|made| self.finish(pending).map(|()| made));
        if result.is_err() {
            // Why it failed is what there is to tell. Where not even this succeeds, the next one to lock it tries again.
            drop(self.recover());
        }
        result
    }

    /// Completes or undoes what was interrupted; gives whether there was anything.
    pub(super) fn recover(&mut self) -> Result<bool, SandboxError> {
        let Some(pending) = Pending::read(&self.folder)? else { return Ok(false) };
        if self.manifest.generation >= pending.generation {
            self.finish(&pending)?;
        } else {
            self.undo(&pending)?;
        }
        Ok(true)
    }

    /// Does what is left after the manifest was written. Each part may have been done before.
    fn finish(&self, pending: &Pending) -> Result<(), SandboxError> {
        let folder = &self.folder;
        if let (Some(mode), Some(layer)) = (pending.mode, pending.layer) {
            upper::set_mode(&self.home.layer(layer)?, TREE, mode)?;
        }
        if pending.step != Step::Make {
            if folder.has(NEXT)? {
                folder.rename(NEXT, folder, UPPER)?;
                fault::place();
            }
            // Of an upper that nothing is left in; those of a sealed one have moved with it.
            removal::remove(folder, bases::FOLDER)?;
            window::begin(folder, window::now())?;
            fault::place();
        }
        Pending::end(folder)
    }

    /// Puts everything back. Each part may never have been done, or undone before.
    fn undo(&self, pending: &Pending) -> Result<(), SandboxError> {
        let folder = &self.folder;
        let layer = pending.layer.map(|id| self.home.layers.child(&id.to_string())).transpose()?.flatten();
        if let (Step::Seal, Some(layer)) = (pending.step, &layer) {
            if layer.has(TREE)? {
                if let Some(mode) = pending.mode {
                    upper::set_mode(layer, TREE, mode | 0o700)?;
                }
                layer.rename(TREE, folder, UPPER)?;
                fault::place();
            }
            if layer.has(bases::FOLDER)? {
                layer.rename(bases::FOLDER, folder, bases::FOLDER)?;
                fault::place();
            }
        }
        if let Some(mode) = pending.mode {
            upper::set_mode(folder, UPPER, mode)?;
        }
        folder.unlink(NEXT, AtFlags::REMOVEDIR)?;
        if let (Some(id), Some(_)) = (pending.layer, layer) {
            Home::remove(&self.home.layers, &id.to_string())?;
        }
        fault::place();
        Pending::end(folder)
    }
}
