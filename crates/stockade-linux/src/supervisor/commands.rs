//! The supervisor's side of a sandbox that lasts: commands inside, started by the spawner.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::MemfdFlags;
use stockade_spec::plan;
use thiserror::Error;

use crate::limits::sampler::processes::numbered;
use crate::relay::{InnerStdio, InnerStream};
use crate::stage::channel::{Channel, Received};
use crate::stage::message::MessageError;
use crate::stage::spawner::message::{FromSpawner, StreamKind, ToSpawner};

/// Starts commands inside a sandbox, and hears of them.
#[derive(Debug)]
pub struct CommandService {
    channel: Channel,
    last: u32,
    /// The sandbox's `/proc`.
    proc: Option<OwnedFd>,
}

/// What the spawner said, with the descriptor that came along: the controlling side of a command's pseudo-terminal.
pub type News = (FromSpawner, Option<OwnedFd>);

/// Why a command was not started, or nothing is heard of commands any more.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The command cannot be passed on.
    #[error("cannot pass the command on to the sandbox")]
    Pass(#[source] io::Error),
    /// The channel failed.
    #[error("cannot talk to the spawner of the sandbox")]
    Channel(#[source] io::Error),
    /// The spawner has ended: something inside killed it, or the sandbox is ending.
    #[error("the sandbox has ended")]
    Gone,
    /// The spawner is held up and takes nothing more.
    #[error("what starts the sandbox's commands is held up, and takes no more orders")]
    Full,
    /// The spawner sent what is no message.
    #[error(transparent)]
    Message(#[from] MessageError),
}

impl CommandService {
    /// Both ends.
    pub(super) fn pair() -> io::Result<(Self, Channel)> {
        let (channel, theirs) = Channel::pair()?;
        Ok((Self { channel, last: 0, proc: None }, theirs))
    }

    pub(super) fn look_at(&mut self, proc: OwnedFd) {
        self.proc = Some(proc);
    }

    /// How many processes there are inside besides init and the spawner.
    ///
    /// # Errors
    /// When the sandbox's `/proc` cannot be read.
    pub fn processes(&self) -> io::Result<usize> {
        let Some(proc) = &self.proc else { return Ok(0) };
        Ok(numbered(proc)?.len().saturating_sub(2))
    }

    /// Starts a command with these streams. Its number, which all news of it bears: no other command of this sandbox has it.
    ///
    /// # Errors
    /// When it cannot be passed on. That the program cannot be executed is news.
    pub fn start(&mut self, command: &plan::Command, streams: InnerStdio) -> Result<u32, CommandError> {
        let id = self.last.wrapping_add(1);
        self.last = id;
        let text = serde_json::to_vec(command).map_err(|error| CommandError::Pass(error.into()))?;
        // A command may be longer than any message: its environment alone may have 2 MB.
        let file = written(&text).map_err(CommandError::Pass)?;
        let all = [streams.stdin, streams.stdout, streams.stderr];
        let kinds = all.each_ref().map(|stream| match stream {
            InnerStream::Descriptor(_) => StreamKind::Descriptor,
            InnerStream::Null => StreamKind::Null,
            InnerStream::Terminal => StreamKind::Terminal,
        });
        let mut descriptors = vec![file.as_fd()];
        descriptors.extend(all.iter().filter_map(|stream| match stream {
            InnerStream::Descriptor(descriptor) => Some(descriptor.as_fd()),
            _ => None,
        }));
        self.send(ToSpawner::Start { id, streams: kinds }, &descriptors)?;
        Ok(id)
    }

    /// Sends a signal to a command's process group. One that has ended is passed over.
    ///
    /// # Errors
    /// When the spawner cannot be told.
    pub fn signal(&self, id: u32, signal: i32) -> Result<(), CommandError> {
        self.send(ToSpawner::Signal { id, signal }, &[])
    }

    /// Kills a command, with its descendants and its session.
    ///
    /// # Errors
    /// As [`Self::signal`].
    pub fn end(&self, id: u32) -> Result<(), CommandError> {
        self.send(ToSpawner::End { id }, &[])
    }

    /// The next news, if there is any.
    ///
    /// # Errors
    /// When there will be none any more.
    pub fn next(&self) -> Result<Option<News>, CommandError> {
        match self.channel.receive().map_err(CommandError::Channel)? {
            Received::Packet(packet, descriptors) => {
                Ok(Some((FromSpawner::decode(&packet)?, descriptors.into_iter().next())))
            }
            Received::Nothing => Ok(None),
            Received::Closed => Err(CommandError::Gone),
        }
    }

    fn send(&self, message: ToSpawner, descriptors: &[BorrowedFd<'_>]) -> Result<(), CommandError> {
        self.channel.try_send(&message.encode(), descriptors).map_err(|error| match error.raw_os_error() {
            Some(libc::EPIPE | libc::ECONNRESET) => CommandError::Gone,
            Some(libc::EAGAIN) => CommandError::Full,
            _ => CommandError::Channel(error),
        })
    }
}

impl AsFd for CommandService {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

/// A file in memory that holds the text.
fn written(text: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(rustix::fs::memfd_create(c"command", MemfdFlags::CLOEXEC)?);
    file.write_all(text)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spawner_that_reads_nothing_holds_nobody_up() {
        let (service, theirs) = CommandService::pair().expect("a pair");
        let refused = (0..100_000).find_map(|_| service.signal(1, libc::SIGUSR1).err());
        assert!(matches!(refused, Some(CommandError::Full)), "{refused:?}");
        assert!(matches!(service.end(1), Err(CommandError::Full)));
        drop(theirs);
        assert!(matches!(service.end(1), Err(CommandError::Gone)));
    }
}
