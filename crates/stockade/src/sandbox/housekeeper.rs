//! What the supervisor does about its sandbox on disk while commands run.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use serde_json::json;
use stockade_linux::freeze::Freezer;
use stockade_spec::plan::Command;
use stockade_spec::report::Outcome;
use stockade_workspace::sandboxes::Sandbox;

use super::ask::Ended;
use super::control::{Held, Keeper};
use super::disk::DiskBound;
use super::recorder::Recorder;

/// Keeps the record, takes note of what the host had, and holds programs still.
#[derive(Debug)]
pub(super) struct Housekeeper {
    kept: Sandbox,
    recorder: Rc<RefCell<Recorder>>,
    freezer: Freezer,
    disk: DiskBound,
    workspace: PathBuf,
}

impl Housekeeper {
    pub(super) const fn new(
        kept: Sandbox,
        recorder: Rc<RefCell<Recorder>>,
        freezer: Freezer,
        disk: DiskBound,
        workspace: PathBuf,
    ) -> Self {
        Self { kept, recorder, freezer, disk, workspace }
    }
}

impl Keeper for Housekeeper {
    fn started(&mut self, id: u32, command: &Command) {
        let words: Vec<_> = command.arguments.iter().map(|word| word.to_string_lossy()).collect();
        let directory = command.directory.to_string_lossy();
        self.recorder.borrow_mut().write("command", &json!({ "id": id, "command": words, "directory": directory }));
    }

    fn ended(&mut self, id: u32, ended: &Ended) {
        let Ended { outcome, usage, .. } = ended;
        self.recorder.borrow_mut().write("command-ended", &json!({ "id": id, "outcome": outcome, "usage": usage }));
    }

    fn idle(&mut self) {
        self.recorder.borrow_mut().sign();
        // Somebody who changes the sandbox now takes note of it as well, and may be waiting for this process to answer.
        if let Ok(Some(mut locked)) = self.kept.try_lock() {
            // What is not noted is called uncertain later, which is safe.
            drop(locked.note_bases());
        }
    }

    fn look(&mut self) -> Option<Outcome> {
        self.disk.look(&self.kept).then_some(Outcome::DiskLimit)
    }

    fn freeze(&mut self) -> Result<Held, String> {
        let frozen = self.freezer.freeze(&[]).map_err(|error| error.to_string())?;
        let unseen = self.freezer.unseen(&self.workspace).map_err(|error| error.to_string())?;
        Ok(Held { frozen: Box::new(frozen), unseen: unseen.into() })
    }
}
