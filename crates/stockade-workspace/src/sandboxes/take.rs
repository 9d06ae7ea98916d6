//! Takes checkpoints.

use std::os::fd::AsFd;

use super::checkpoint::Checkpoint;
use super::error::SandboxError;
use super::home::TREE;
use super::id::Id;
use super::locked::Locked;
use super::manifest::{About, LayerRecord, MAX_CHECKPOINTS};
use super::mirror::{Mirror, Previous, Unseen};
use super::name::Label;
use super::pending::{Pending, Step};
use super::supervisor::Supervisor;
use super::upper::{self, UPPER};
use super::{bases, listing, window};
use crate::fault;

/// Layers below `upper` at which it is not put off any longer to merge some: `lowerdir` of overlayfs takes a path for each.
const MAX_UNDER: usize = 48;

/// What programs of the sandbox do while it is changed.
pub enum Programs<'a> {
    /// There are none. A supervisor whose last program has ended gives its own lock; everybody else gives none, and is
    /// refused while a supervisor lives.
    Stopped(Option<&'a Supervisor>),
    /// They are frozen: none of them runs until `thaw` is called, which it is as soon as their files are not needed any
    /// longer. It may be called not at all when something fails.
    Frozen {
        /// Files that must not be taken for unchanged by their times.
        unseen: &'a Unseen,
        /// Lets the programs go on.
        thaw: &'a mut dyn FnMut(),
    },
}

impl std::fmt::Debug for Programs<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Stopped(_) => "Stopped",
            Self::Frozen { .. } => "Frozen",
        })
    }
}

/// A checkpoint that is to be taken.
#[derive(Debug)]
pub struct Take<'a> {
    /// What to call it.
    pub label: Option<Label>,
    /// Whether nobody asked for it. If nothing has changed since the last one, that one is given instead.
    pub automatic: bool,
    /// What programs do meanwhile.
    pub programs: Programs<'a>,
}

/// The checkpoint of the state that the sandbox is in.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// Whether it was not there before.
    pub is_new: bool,
}

impl Locked<'_> {
    /// Keeps the state that the sandbox is in.
    ///
    /// # Errors
    /// When programs run that were said to be stopped, or something cannot be read or written.
    pub fn checkpoint(&mut self, take: Take<'_>) -> Result<Taken, SandboxError> {
        let Take { label, automatic, programs } = take;
        self.check_room()?;
        match programs {
            Programs::Stopped(own) => {
                let _held = self.stopped(own)?;
                self.checkpoint_stopped(About { label, automatic, running: false })
            }
            Programs::Frozen { unseen, thaw } => {
                self.checkpoint_frozen(About { label, automatic, running: true }, unseen, thaw)
            }
        }
    }

    /// Checks that there may be one more checkpoint.
    pub(super) fn check_room(&self) -> Result<(), SandboxError> {
        if self.manifest.checkpoints.len() < MAX_CHECKPOINTS {
            return Ok(());
        }
        Err(SandboxError::TooMany {
            sandbox: self.name.clone(),
            limit: MAX_CHECKPOINTS,
            what: "checkpoints",
            remedy: "fork it at an earlier one, or create another sandbox",
        })
    }

    /// Keeps the state, while it is seen to that no program runs.
    pub(super) fn checkpoint_stopped(&mut self, about: About) -> Result<Taken, SandboxError> {
        self.note_bases()?;
        if self.manifest.under.len() >= MAX_UNDER {
            self.compact_stopped()?;
        }
        if self.is_upper_unchanged()? {
            return self.checkpoint_as_is(about);
        }
        self.replace_upper(|manifest, place| {
            manifest.under.extend(place);
            let chain = manifest.under.clone();
            Taken { checkpoint: manifest.add_checkpoint(chain, window::now(), about), is_new: true }
        })
    }

    /// A checkpoint of the layers below an `upper` that holds nothing.
    fn checkpoint_as_is(&mut self, about: About) -> Result<Taken, SandboxError> {
        let head = self.manifest.head.and_then(|head| self.manifest.find(head));
        if let Some(head) = head.filter(|head| about.automatic && head.layers == self.manifest.under) {
            return Ok(Taken { checkpoint: self.manifest.show(head), is_new: false });
        }
        let mut manifest = self.manifest.clone();
        let chain = manifest.under.clone();
        let checkpoint = manifest.add_checkpoint(chain, window::now(), about);
        self.write(manifest)?;
        Ok(Taken { checkpoint, is_new: true })
    }

    fn checkpoint_frozen(
        &mut self,
        about: About,
        unseen: &Unseen,
        thaw: &mut dyn FnMut(),
    ) -> Result<Taken, SandboxError> {
        if self.is_upper_unchanged()? {
            thaw();
            return self.checkpoint_as_is(about);
        }
        let home = std::sync::Arc::clone(&self.home);
        let _layers = home.share_layers()?;
        let id = Id::random().map_err(|error| self.folder.failed("name a layer of", "", error))?;
        let generation = self.manifest.generation + 1;
        let pending = Pending { step: Step::Make, generation, layer: Some(id), mode: None };
        self.change(&pending, |locked| {
            let record = locked.mirror(id, unseen, thaw)?;
            let mut manifest = locked.manifest.clone();
            let overflow = |error| locked.folder.failed("name a layer of", "", error);
            let place = manifest.add_layer(record).map_err(overflow)?;
            let chain = [&manifest.under[..], &[place]].concat();
            manifest.mirror = Some(place);
            let checkpoint = manifest.add_checkpoint(chain, window::now(), about);
            locked.write(manifest)?;
            Ok(Taken { checkpoint, is_new: true })
        })
    }

    /// Makes a layer that holds what `upper` holds.
    fn mirror(&mut self, id: Id, unseen: &Unseen, thaw: &mut dyn FnMut()) -> Result<LayerRecord, SandboxError> {
        let upper = upper::open(&self.folder, UPPER)?;
        let previous = match self.manifest.mirror.map(|place| self.manifest.ids(&[place])) {
            Some(ids) => ids.first().map(|id| Previous::open(&self.home, *id, upper.as_fd())).transpose()?.flatten(),
            None => None,
        };
        let layer = self.home.layers.make_child(&id.to_string())?;
        layer.make_child(TREE)?;
        fault::place();
        let tree = upper::open(&layer, TREE)?;
        if previous.is_some() {
            listing::set_linked(&layer)?;
        }
        let sources = Mirror::new(upper.as_fd(), tree.as_fd(), previous, unseen).fill()?;
        fault::place();
        thaw();
        self.note_bases()?;
        bases::copy(&self.folder, &layer)?;
        fault::place();
        let listing::Summary { digest, entries } = listing::write(&layer, &sources)?;
        fault::place();
        Ok(LayerRecord { id, digest, entries, preserved: false })
    }
}
