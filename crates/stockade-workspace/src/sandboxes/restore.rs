//! Goes back to a checkpoint, or to the host's workspace. What was written since the last checkpoint is kept as one more.

use super::checkpoint::Checkpoint;
use super::error::SandboxError;
use super::folder::Wait;
use super::garbage;
use super::locked::Locked;
use super::manifest::About;
use super::supervisor::Supervisor;
use super::window;

/// What [`Locked::restore`] and [`Locked::discard`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The checkpoint that keeps what the sandbox held before; `None` when it held nothing that was not kept already.
    pub kept: Option<Checkpoint>,
}

impl Locked<'_> {
    /// Goes back to a checkpoint, by its name or label. A supervisor whose last program has ended gives its own lock.
    ///
    /// # Errors
    /// When there is no such checkpoint, programs run, or something cannot be read or written.
    pub fn restore(&mut self, checkpoint: &str, own: Option<&Supervisor>) -> Result<Restored, SandboxError> {
        let number = self.number(checkpoint)?;
        let _held = self.stopped(own)?;
        self.go_to(Some(number))
    }

    /// Drops everything that the sandbox changed, so that it sees the host's workspace as it is now.
    ///
    /// # Errors
    /// When programs run, or something cannot be read or written.
    pub fn discard(&mut self, own: Option<&Supervisor>) -> Result<Restored, SandboxError> {
        let _held = self.stopped(own)?;
        self.go_to(None)
    }

    fn go_to(&mut self, head: Option<u32>) -> Result<Restored, SandboxError> {
        let target = head.and_then(|head| self.manifest.find(head));
        let under = target.map(|record| record.layers.clone()).unwrap_or_default();
        let unchanged = self.is_upper_unchanged()?;
        if unchanged && self.manifest.head == head && self.manifest.under == under {
            return Ok(Restored { kept: None });
        }
        if !unchanged {
            self.check_room()?;
        }
        self.note_bases()?;
        let kept = self.replace_upper(|manifest, place| {
            let kept = place.map(|place| {
                let chain = [&manifest.under[..], &[place]].concat();
                let about = About { automatic: true, ..About::default() };
                manifest.add_checkpoint(chain, window::now(), about)
            });
            manifest.under = under;
            manifest.head = head;
            kept
        })?;
        Ok(Restored { kept })
    }

    /// Drops a checkpoint, by its name or label. Those that came from it come from the one before it then. The current state
    /// stays as it is.
    ///
    /// # Errors
    /// When there is no such checkpoint, or something cannot be read or written.
    pub fn forget(&mut self, checkpoint: &str) -> Result<(), SandboxError> {
        let number = self.number(checkpoint)?;
        let mut manifest = self.manifest.clone();
        let parent = manifest.find(number).and_then(|record| record.parent);
        manifest.checkpoints.retain(|record| record.number != number);
        let children = manifest.checkpoints.iter_mut().map(|record| &mut record.parent);
        for from in children.chain([&mut manifest.head]).filter(|from| **from == Some(number)) {
            *from = parent;
        }
        self.write(manifest)?;
        // Layers that somebody works with now go with the next tidying.
        garbage::collect(&self.home, Wait::No).map(drop)
    }
}
