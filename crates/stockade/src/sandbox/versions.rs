//! Checkpoints of a sandbox, and going back to them.

use serde_json::json;
use stockade_workspace::sandboxes::{
    At, Branch, Checkpoint, Label, Locked, Programs, SandboxError, Take, Taken, Unseen,
};

use super::ask::{Answer, Ask, Status};
use super::conversation::Conversation;
use super::exec::is_gone;
use super::handle::{ATTEMPTS, PAUSE, Sandbox, Sandboxes, out_of_place};
use super::settings::Settings;
use crate::error::Error;

/// What came of going back.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The checkpoint that keeps what the sandbox held before; `None` when nothing would have been lost.
    pub kept: Option<Checkpoint>,
    /// What was ended for it.
    pub stopped: Option<Status>,
}

impl Sandbox {
    /// Keeps the state of its workspace. Programs that run are stopped for a moment, and go on without noticing.
    ///
    /// # Errors
    /// When programs cannot be stopped for a moment, or the state cannot be kept.
    pub fn checkpoint(&mut self, label: Option<Label>) -> Result<Checkpoint, Error> {
        let taken = self.take(label, false)?.checkpoint;
        self.record_checkpoint(&taken)?;
        Ok(taken)
    }

    /// Puts a checkpoint on record.
    pub(super) fn record_checkpoint(&self, taken: &Checkpoint) -> Result<(), Error> {
        self.record("checkpoint", &json!({ "name": taken.name, "label": taken.label, "running": taken.running }))
    }

    /// As [`Self::checkpoint`], where nobody asked for it: when nothing has changed since the last one, it is that one.
    pub(super) fn checkpoint_for(&mut self, label: &str) -> Result<Taken, Error> {
        self.take(label.parse().ok(), true)
    }

    fn take(&mut self, label: Option<Label>, automatic: bool) -> Result<Taken, Error> {
        for _ in 0..ATTEMPTS {
            let taken = match self.freeze()? {
                Held::Frozen(frozen) => self.take_frozen(label.clone(), automatic, frozen)?,
                Held::Stopped => match self.take_stopped(label.clone(), automatic) {
                    // Somebody has started a supervisor meanwhile.
                    Err(SandboxError::Running(_)) => continue,
                    taken => taken?,
                },
                Held::Between => {
                    std::thread::sleep(PAUSE);
                    continue;
                }
            };
            compact(self.kept.lock()?)?;
            return Ok(taken);
        }
        Err(Error::Refused("it neither answers nor ends; try again in a moment".to_owned()))
    }

    fn take_stopped(&mut self, label: Option<Label>, automatic: bool) -> Result<Taken, SandboxError> {
        self.kept.lock()?.checkpoint(Take { label, automatic, programs: Programs::Stopped(None) })
    }

    fn take_frozen(&mut self, label: Option<Label>, automatic: bool, frozen: Frozen) -> Result<Taken, Error> {
        let Frozen { conversation, unseen } = frozen;
        let mut conversation = Some(conversation);
        // They go on when the connection ends.
        let mut thaw = || drop(conversation.take());
        let programs = Programs::Frozen { unseen: &unseen, thaw: &mut thaw };
        Ok(self.kept.lock()?.checkpoint(Take { label, automatic, programs })?)
    }

    /// Has the supervisor stop every process until the connection ends.
    fn freeze(&self) -> Result<Held, Error> {
        let Some(mut conversation) = self.connect()? else {
            // One that begins or ends holds the sandbox, and does not listen.
            return Ok(if self.kept.is_running()? { Held::Between } else { Held::Stopped });
        };
        match conversation.send(&Ask::Freeze, &[]).and_then(|()| conversation.wait()) {
            Ok(Answer::Frozen { unseen }) => Ok(Held::Frozen(Frozen { conversation, unseen: unseen.into() })),
            Ok(other) => Err(out_of_place(&other)),
            Err(error) if is_gone(&error) => Ok(Held::Between),
            Err(error) => Err(Error::Control(error)),
        }
    }

    /// Its checkpoints as a tree: each before those that came from it.
    #[must_use]
    pub fn log(&self) -> Vec<Branch> {
        self.kept.log()
    }

    /// Goes back to a checkpoint, by its name or label. What runs is ended; what the sandbox held is kept as one more
    /// checkpoint.
    ///
    /// # Errors
    /// When there is no such checkpoint, or what runs cannot be ended.
    pub fn restore(&mut self, checkpoint: &str) -> Result<Restored, Error> {
        // Before anything is ended for nothing.
        let found = self.kept.find(checkpoint)?;
        let stopped = self.stop()?;
        let kept = self.kept.lock()?.restore(&found.name, None)?.kept;
        self.record("restored", &json!({ "to": found.name, "kept": kept.as_ref().map(|kept| &kept.name) }))?;
        Ok(Restored { kept, stopped })
    }

    /// Drops every change, so that the sandbox shows the workspace as it is now. What runs is ended; what the sandbox held is
    /// kept as a checkpoint.
    ///
    /// # Errors
    /// When what runs cannot be ended.
    pub fn discard(&mut self) -> Result<Restored, Error> {
        let stopped = self.stop()?;
        let kept = self.kept.lock()?.discard(None)?.kept;
        self.record("discarded", &json!({ "kept": kept.as_ref().map(|kept| &kept.name) }))?;
        Ok(Restored { kept, stopped })
    }
}

impl Sandboxes {
    /// Makes a sandbox that goes on from a checkpoint of another, or from its state now.
    ///
    /// # Errors
    /// When there is no such sandbox or checkpoint, or the name is taken.
    pub fn fork(&self, source: &str, checkpoint: Option<&str>, name: Option<&str>) -> Result<Sandbox, Error> {
        let mut from = self.open(source)?;
        // Before a checkpoint is taken for nothing.
        if let Some(name) = name.filter(|name| self.kept.open(name).is_ok()) {
            return Err(SandboxError::Exists(name.to_owned()).into());
        }
        let at = match checkpoint {
            Some(checkpoint) => from.kept.find(checkpoint)?.name,
            None => from.checkpoint_for("forked")?.checkpoint.name,
        };
        let kept = self.kept.fork(source, At::Checkpoint(&at), name)?;
        let settings = Settings::read(&kept)?;
        let mut recorder = super::recorder::Recorder::create(&self.state, &kept)?;
        recorder.write("created", &json!({ "name": kept.name(), "forked_from": source, "at": at }));
        recorder.finish()?;
        from.record("forked", &json!({ "to": kept.name(), "at": at }))?;
        Ok(self.handle(kept, settings))
    }
}

/// What programs of a sandbox do.
enum Held {
    Frozen(Frozen),
    /// There is no supervisor.
    Stopped,
    /// The supervisor begins or ends just then.
    Between,
}

/// Programs that were stopped for a moment.
struct Frozen {
    conversation: Conversation,
    /// What they may change without its times telling.
    unseen: Unseen,
}

/// Merges layers where there are many. It is put off while programs run.
fn compact(mut locked: Locked<'_>) -> Result<(), Error> {
    if locked.is_deep() && !locked.is_running()? {
        locked.compact(None)?;
    }
    Ok(())
}
