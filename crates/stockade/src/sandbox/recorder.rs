//! What is written to a sandbox's record.

use serde::Serialize;
use serde_json::{Value, json};
use stockade_spec::Policy;
use stockade_workspace::StateDirectory;
use stockade_workspace::record::{Key, Writer};
use stockade_workspace::sandboxes::Sandbox;

use crate::error::Error;

/// Writes events of a sandbox. One that cannot be written is told once, at the end, and keeps nothing from happening.
#[derive(Debug)]
pub(super) struct Recorder {
    writer: Writer,
    failed: Option<Error>,
}

impl Recorder {
    /// Begins the record of a new sandbox.
    pub(super) fn create(state: &StateDirectory, sandbox: &Sandbox) -> Result<Self, Error> {
        let key = Key::load_or_create(state)?;
        let writer = Writer::create(sandbox.path(), &sandbox.id().to_string(), key)?;
        Ok(Self { writer, failed: None })
    }

    /// Goes on with the record of a sandbox.
    pub(super) fn open(state: &StateDirectory, sandbox: &Sandbox) -> Result<Self, Error> {
        let key = Key::load_or_create(state)?;
        let writer = Writer::open(sandbox.path(), &sandbox.id().to_string(), key)?;
        Ok(Self { writer, failed: None })
    }

    /// Writes an event.
    pub(super) fn write(&mut self, event: &str, payload: &impl Serialize) {
        let payload = serde_json::to_value(payload).unwrap_or(Value::Null);
        if let Err(error) = self.writer.append(event, &payload) {
            self.failed.get_or_insert(error.into());
        }
    }

    /// Signs what was written.
    pub(super) fn sign(&mut self) {
        if let Err(error) = self.writer.sign() {
            self.failed.get_or_insert(error.into());
        }
    }

    /// Ends; whether all was written.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        self.sign();
        self.failed.map_or(Ok(()), Err)
    }
}

/// A policy as it is recorded: of variables that it sets, the names, since values may be secrets.
pub(super) fn shown(policy: &Policy) -> Value {
    let mut shown = serde_json::to_value(policy).unwrap_or(Value::Null);
    if let Some(set) = shown.pointer_mut("/environment/set") {
        let names: Vec<&String> = policy.environment.set.keys().collect();
        *set = json!(names);
    }
    shown
}
