//! The caller's side of one command in a sandbox that lasts: streams, terminal and signals, while somebody else supervises.
//!
//! The streams are relayed here, in the process that asked for the command, so that the supervisor need not wait for any of
//! its callers.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use stockade_spec::report::OutputSizes;
use stockade_spec::request::Terminal;
use thiserror::Error;

use super::job::Job;
use super::terminal::FORWARDED;
use crate::relay::{HostStdio, InnerStdio, Relay, RelayError, RelayEvent};
use crate::sys::signals::Signals;

/// Who supervises the command.
pub trait Peer {
    /// Becomes readable when there is news.
    fn descriptor(&self) -> BorrowedFd<'_>;
    /// The next news, without waiting for it.
    ///
    /// # Errors
    /// When the peer cannot be understood any more.
    fn next(&mut self) -> io::Result<Option<PeerNews>>;
    /// Has the command signalled.
    ///
    /// # Errors
    /// When the peer cannot be told.
    fn signal(&mut self, signal: i32) -> io::Result<()>;
    /// Has the command killed, because it printed more than it may.
    ///
    /// # Errors
    /// When the peer cannot be told.
    fn end(&mut self) -> io::Result<()>;
}

/// What a peer says.
#[derive(Debug)]
pub enum PeerNews {
    /// The controlling side of the command's pseudo-terminal.
    Terminal(OwnedFd),
    /// Nothing that concerns the streams.
    Nothing,
    /// The command was stopped.
    Stopped,
    /// The command has ended.
    Ended,
}

/// One command's streams.
#[derive(Debug)]
pub struct Attached {
    relay: Relay,
    signals: Option<Signals>,
    job: Job,
    /// Whether output was cut off.
    exceeded: bool,
    failures: Vec<RelayError>,
}

/// What went through.
#[derive(Debug)]
pub struct Passed {
    /// Bytes of output.
    pub output: OutputSizes,
    /// The end of standard error.
    pub stderr_tail: Vec<u8>,
    /// Whether the command printed more than it may.
    pub exceeded: bool,
    /// Streams of the caller that could not be read or written; at most one failure for each.
    pub failures: Vec<RelayError>,
}

/// Why a command cannot be followed any more.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The streams cannot be made or used.
    #[error("cannot connect the command's standard streams")]
    Relay(#[from] RelayError),
    /// Signals cannot be received.
    #[error("cannot receive signals")]
    Signals(#[source] io::Error),
    /// Waiting failed.
    #[error("cannot wait for the command")]
    Wait(#[source] io::Error),
    /// The supervisor is gone or cannot be understood.
    #[error("cannot talk to the supervisor of the sandbox")]
    Peer(#[source] io::Error),
}

impl Attached {
    /// Connects the caller's streams, and says what the command gets. `limit` bounds all output together. With
    /// `take_signals`, signals to this process go to the command instead, and the command's stops stop this process, as a
    /// shell expects of a job; that is for programs which do nothing else.
    ///
    /// # Errors
    /// [`AttachError::Relay`], [`AttachError::Signals`].
    pub fn new(
        stdio: HostStdio,
        terminal: Terminal,
        limit: Option<u64>,
        take_signals: bool,
    ) -> Result<(Self, InnerStdio), AttachError> {
        let (relay, inner) = Relay::new(stdio, terminal, limit)?;
        let signals = take_signals.then(|| Signals::block(FORWARDED)).transpose().map_err(AttachError::Signals)?;
        Ok((Self { relay, signals, job: Job::default(), exceeded: false, failures: Vec::new() }, inner))
    }

    /// Follows the command to its end, and passes on what it left in its pipes.
    ///
    /// # Errors
    /// See [`AttachError`].
    pub fn follow(mut self, peer: &mut dyn Peer) -> Result<Passed, AttachError> {
        while !self.take_news(peer)? {
            self.wait(peer)?;
        }
        let ended = self.relay.end();
        self.relayed(ended, None)?;
        while !self.relay.is_done() {
            if self.wait_for_output()? {
                break;
            }
        }
        self.relay.suspend()?;
        Ok(Passed {
            output: self.relay.sizes(),
            stderr_tail: self.relay.stderr_tail().to_vec(),
            exceeded: self.exceeded,
            failures: self.failures,
        })
    }

    /// Whether the command has ended.
    fn take_news(&mut self, peer: &mut dyn Peer) -> Result<bool, AttachError> {
        while let Some(news) = peer.next().map_err(AttachError::Peer)? {
            match news {
                PeerNews::Terminal(master) => self.relay.attach_terminal(master)?,
                PeerNews::Nothing => {}
                PeerNews::Stopped => self.command_stopped(peer)?,
                PeerNews::Ended => return Ok(true),
            }
        }
        Ok(false)
    }

    fn wait(&mut self, peer: &mut dyn Peer) -> Result<(), AttachError> {
        let mut set = vec![PollFd::from_borrowed_fd(peer.descriptor(), PollFlags::IN)];
        set.extend(self.signals.iter().map(|signals| PollFd::new(signals.descriptor(), PollFlags::IN)));
        let own = set.len();
        self.relay.interests(&mut set);
        let revents = polled(&mut set)?;
        drop(set);
        if self.signals.is_some() && revents.get(1).is_some_and(|flags| !flags.is_empty()) {
            self.take_signals(peer)?;
        }
        let relayed = revents.get(own..).unwrap_or_default();
        if relayed.iter().any(|flags| !flags.is_empty()) {
            let event = self.relay.ready(relayed);
            self.relayed(event, Some(peer))?;
        }
        Ok(())
    }

    /// Whether the caller wants no more of what is left.
    fn wait_for_output(&mut self) -> Result<bool, AttachError> {
        let mut set: Vec<PollFd<'_>> =
            self.signals.iter().map(|signals| PollFd::new(signals.descriptor(), PollFlags::IN)).collect();
        let own = set.len();
        self.relay.interests(&mut set);
        let revents = polled(&mut set)?;
        drop(set);
        while let Some(signal) = self.signals.as_ref().map_or(Ok(None), Signals::next).map_err(AttachError::Signals)? {
            if matches!(signal, libc::SIGINT | libc::SIGTERM | libc::SIGHUP | libc::SIGQUIT) {
                return Ok(true);
            }
        }
        let event = self.relay.ready(revents.get(own..).unwrap_or_default());
        self.relayed(event, None)?;
        Ok(false)
    }

    /// Takes note of what the relay said. A stream that failed is closed, as it would be natively, and the command goes on.
    fn relayed(
        &mut self,
        event: Result<RelayEvent, RelayError>,
        peer: Option<&mut dyn Peer>,
    ) -> Result<(), AttachError> {
        match event {
            Ok(RelayEvent::OutputLimit) => {
                self.exceeded = true;
                peer.map_or(Ok(()), Peer::end).map_err(AttachError::Peer)
            }
            Ok(RelayEvent::Nothing) => Ok(()),
            Err(error) => {
                self.failures.push(error);
                Ok(())
            }
        }
    }

    fn take_signals(&mut self, peer: &mut dyn Peer) -> Result<(), AttachError> {
        while let Some(signal) = self.signals.as_ref().map_or(Ok(None), Signals::next).map_err(AttachError::Signals)? {
            match signal {
                libc::SIGWINCH => self.relay.window_changed()?,
                libc::SIGTSTP => self.asked_to_stop(peer)?,
                libc::SIGCONT => self.relay.resume()?,
                other => peer.signal(other).map_err(AttachError::Peer)?,
            }
        }
        Ok(())
    }

    /// Stops the command, then this process.
    fn asked_to_stop(&mut self, peer: &mut dyn Peer) -> Result<(), AttachError> {
        peer.signal(libc::SIGSTOP).map_err(AttachError::Peer)?;
        if self.job.asked() { self.stop(peer) } else { Ok(()) }
    }

    /// Stops as well, where this process is the caller's job.
    fn command_stopped(&mut self, peer: &mut dyn Peer) -> Result<(), AttachError> {
        let stops = self.job.command_stopped(&self.relay) && self.signals.is_some();
        if stops { self.stop(peer) } else { Ok(()) }
    }

    /// Stops this process; when it goes on, so does the command.
    fn stop(&mut self, peer: &mut dyn Peer) -> Result<(), AttachError> {
        self.job.stop(&mut self.relay)?;
        peer.signal(libc::SIGCONT).map_err(AttachError::Peer)
    }
}

fn polled(set: &mut [PollFd<'_>]) -> Result<Vec<PollFlags>, AttachError> {
    match poll(set, None) {
        Ok(_) | Err(Errno::INTR) => Ok(set.iter().map(PollFd::revents).collect()),
        Err(error) => Err(AttachError::Wait(error.into())),
    }
}
