//! The last steps, in the process that becomes the command: what binds it, its streams, and the program.
//!
//! Until it executes the program it may use init's memory, while init waits. So it has the stage by a shared reference, and keeps
//! what it opens to itself.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use stockade_spec::plan::Operation;

use super::command::Command;
use super::message::FromStage;
use super::streams::Streams;
use super::view::View;
use super::{Failure, Stage, spawner};
use crate::seccomp::Architecture;
use crate::sys::clone::exit_now;

/// What the process that becomes the command works with.
pub(super) struct LastSteps<'s, 'p> {
    pub(super) stage: &'s Stage<'p>,
    /// The plan's steps that bind the command and not init.
    pub(super) own: &'s [usize],
    /// What it becomes; `None` where it becomes the spawner of a sandbox that lasts.
    pub(super) command: Option<Command>,
    pub(super) streams: Streams,
    /// The sandbox's `/proc`, for the supervisor.
    pub(super) proc: Option<OwnedFd>,
}

impl LastSteps<'_, '_> {
    /// Carries them out. Never returns.
    pub(super) fn become_command(&self) -> ! {
        let mut listener = None;
        for &index in self.own {
            let operation = &self.stage.plan.steps[index].operation;
            let bound = crate::fault::step(index).map_err(Failure::from).and_then(|()| bind(operation, &mut listener));
            self.stage.answer_for(index, bound);
        }
        self.tell_ready(listener.as_ref());
        // Only the supervisor has it now, so that nothing waits for an answer when the supervisor is gone.
        drop(listener);
        let Some(command) = &self.command else { self.become_spawner() };
        let error = command.become_program(&self.streams, self.stage.mask);
        self.stage.tell(&FromStage::ExecFailed { errno: error.raw_os_error().unwrap_or(libc::EINVAL) });
        exit_now(127)
    }

    /// Serves commands in a process with memory of its own. Whatever else it inherited, the end of the supervisor shows in the
    /// channel of commands, and it must not keep streams or the private store open.
    fn become_spawner(&self) -> ! {
        let channel = self.stage.commands.as_ref().and_then(|commands| commands.try_clone().ok());
        let closed = channel.as_ref().map(|channel| crate::sys::descriptors::close_all_but(&[channel.as_fd()]));
        match (channel, closed) {
            (Some(channel), Some(Ok(()))) => spawner::run(channel, self.stage.mask),
            _ => exit_now(1),
        }
    }

    fn tell_ready(&self, listener: Option<&OwnedFd>) {
        let stage = self.stage;
        let store = stage.view.as_ref().map(View::store);
        let terminal = self.streams.controller();
        let [name_servers, notices] = stage.gate.counts();
        let message = FromStage::Ready {
            listener: listener.is_some(),
            proc: self.proc.is_some(),
            store: store.is_some(),
            terminal: terminal.is_some(),
            name_servers,
            notices,
        };
        let all = [listener.map(AsFd::as_fd), self.proc.as_ref().map(AsFd::as_fd), store, terminal];
        let descriptors: Vec<BorrowedFd<'_>> = all.into_iter().flatten().chain(stage.gate.descriptors()).collect();
        if stage.channel.send(&message.encode(), &descriptors).is_err() {
            exit_now(1);
        }
    }
}

/// Carries out a step that binds this process and what it starts.
fn bind(operation: &Operation, listener: &mut Option<OwnedFd>) -> Result<(), Failure> {
    match operation {
        Operation::Landlock { ruleset } => crate::sys::landlock::restrict(ruleset)?,
        Operation::SystemCalls { filter } => {
            let architecture = Architecture::native().ok_or_else(|| io::Error::from_raw_os_error(libc::ENOSYS))?;
            // Which the filter keeps as it is.
            crate::limits::rlimits::no_core_dumps()?;
            let program = crate::seccomp::program(architecture, filter);
            *listener = crate::sys::seccomp::install(&program, filter.notify)?;
        }
        // What it says is done once the supervisor has been told that all else is.
        Operation::ServeCommands => {}
        _ => return Err(io::Error::from_raw_os_error(libc::ENOSYS).into()),
    }
    Ok(())
}
