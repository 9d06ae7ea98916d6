//! Bringing a sandbox's changes to its workspace.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;
use stockade_spec::compile::protected_patterns;
use stockade_workspace::StateDirectory;
use stockade_workspace::apply::{self, Applied, ApplyError, Options, Progress, Request, Seen, Selection};
use stockade_workspace::layers::{Stack, changes};
use stockade_workspace::sandboxes::{self, Bases, Locked, Taken};

use super::handle::Sandbox;
use super::recorder::Recorder;
use crate::error::Error;
use crate::protected::rules;

/// The folder of an apply that is under way, in a sandbox's own.
const FOLDER: &str = "apply";

/// What came of applying.
#[derive(Clone, Debug, Serialize)]
pub struct Application {
    /// What was applied, refused and held back.
    #[serde(flatten)]
    pub applied: Applied,
    /// The checkpoint whose state it was.
    pub checkpoint: String,
    /// Where the sandbox's versions are: the layers that conflicts name by number.
    #[serde(skip)]
    pub layers: Vec<PathBuf>,
}

impl Sandbox {
    /// Brings changes to the workspace: all, or those at some paths. What the host changed meanwhile is refused file by file,
    /// protected files are held back, and the rest is applied. A checkpoint is taken first, and its state is what is applied.
    /// `tell` is called now and then when it takes longer than a second.
    ///
    /// # Errors
    /// When there is nothing to apply, or nothing could be applied at all; nothing has changed then.
    pub fn apply(
        &mut self,
        selection: &Selection,
        options: &Options,
        tell: &mut dyn FnMut(Progress),
    ) -> Result<Application, Error> {
        self.kept.open_workspace()?;
        let Taken { checkpoint, is_new } = self.checkpoint_for("before apply")?;
        let checkpoint = checkpoint.name;
        let workspace = self.workspace().to_owned();
        let rules = rules(&protected_patterns(&self.settings.policy))?;
        // Held to the end, so that nobody takes this apply for an interrupted one.
        let mut locked = self.kept.lock()?;
        let layers = locked.layers_of(&checkpoint)?;
        let stack = Stack::open(&layers, &workspace)?;
        let changes = changes(&stack)?;
        let bases = locked.bases_at(&checkpoint)?;
        let request = Request {
            workspace: &workspace,
            changes: &changes,
            selection,
            rules: &rules,
            home: &self.settings.request.home,
            bases: &|path| seen(&bases, path),
            options,
        };
        let plan = match apply::plan(&stack, &request) {
            Ok(plan) => plan,
            Err(error) => {
                // It was taken for nothing, unless it was there before.
                if is_new {
                    locked.forget(&checkpoint)?;
                }
                return Err(error.into());
            }
        };
        let applied = apply::perform(&plan, &locked.path().join(FOLDER), tell)?;
        conclude(&mut locked, &self.all.state, &applied, Some(&checkpoint))?;
        Ok(Application { applied, checkpoint, layers })
    }

    /// Finishes an apply whose process was killed.
    pub(super) fn finish_interrupted(&mut self) -> Result<(), Error> {
        let folder = self.kept.path().join(FOLDER);
        if !folder.exists() {
            return Ok(());
        }
        // Somebody who has it locked may be applying now.
        let Some(mut locked) = self.kept.try_lock()? else { return Ok(()) };
        match apply::resume(&folder) {
            Ok(Some(applied)) => conclude(&mut locked, &self.all.state, &applied, None),
            Ok(None) => Ok(apply::close(&folder)?),
            // Another sandbox is changing the workspace: the next command finishes it.
            Err(ApplyError::Busy(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Keeps what the host had, so that older checkpoints go on to show their trees, and ends the apply.
fn conclude(
    locked: &mut Locked<'_>,
    state: &StateDirectory,
    applied: &Applied,
    checkpoint: Option<&str>,
) -> Result<(), Error> {
    if let Some(old) = &applied.old {
        let renewed: Vec<_> = applied.done.iter().map(|done| (done.path.clone(), done.entry)).collect();
        let preserving = locked.preserve()?;
        preserving.adopt(old)?;
        locked.finish_preserving(preserving, renewed)?;
    }
    let paths = |paths: &mut dyn Iterator<Item = &PathBuf>| -> Vec<String> {
        paths.map(|path| path.to_string_lossy().into_owned()).collect()
    };
    let event = json!({
        "checkpoint": checkpoint,
        "resumed": checkpoint.is_none(),
        "done": paths(&mut applied.done.iter().map(|done| &done.path)),
        "conflicts": paths(&mut applied.conflicts.iter().map(|conflict| &conflict.path)),
        "held_back": paths(&mut applied.held_back.iter().map(|held| &held.path)),
        "failed": paths(&mut applied.failed.iter().map(|failed| &failed.path)),
    });
    let mut recorder = Recorder::open(state, locked)?;
    recorder.write("applied", &event);
    recorder.finish()?;
    Ok(apply::close(&locked.path().join(FOLDER))?)
}

fn seen(bases: &Bases, path: &Path) -> Seen {
    match bases.of(path) {
        sandboxes::Seen::Known { entry, copy } => Seen::Known { entry: *entry, copy: copy.clone() },
        sandboxes::Seen::Uncertain => Seen::Uncertain,
    }
}
