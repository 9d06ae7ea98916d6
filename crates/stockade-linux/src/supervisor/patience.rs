//! Waiting for the stage, without becoming deaf to whoever wants the launch to end.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::error::LaunchError;
use super::terminal::ENDING;
use crate::stage::channel::Channel;
use crate::sys::signals::{Signals, is_ignored};

/// How long the stage may take. It takes milliseconds, also on a loaded machine; what can hold it up is a file system of
/// the host whose server does not answer.
const LONGEST: Duration = Duration::from_secs(60);

/// How long a launch is waited for, and what ends the waiting.
#[derive(Debug)]
pub(super) struct Patience {
    /// Yields only signals that end a launch; all others stay pending until the command runs.
    ending: Signals,
    until: Instant,
}

impl Patience {
    /// Starts the time. The signals have to be blocked already, so that none is lost before or after.
    pub(super) fn new() -> Result<Self, LaunchError> {
        let mut ending = Vec::with_capacity(ENDING.len());
        for &signal in ENDING {
            // A blocked signal is queued even if it is ignored.
            if !is_ignored(signal).map_err(LaunchError::Signals)? {
                ending.push(signal);
            }
        }
        Ok(Self { ending: Signals::block(&ending).map_err(LaunchError::Signals)?, until: Instant::now() + LONGEST })
    }

    /// Waits until the channel may have something; what it has comes before a signal.
    ///
    /// # Errors
    /// [`LaunchError::Interrupted`], [`LaunchError::TooSlow`], and when waiting fails.
    pub(super) fn wait_for(&self, channel: &Channel) -> Result<(), LaunchError> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(LaunchError::TooSlow(LONGEST));
        }
        let mut set = [
            PollFd::from_borrowed_fd(channel.as_fd(), PollFlags::IN),
            PollFd::new(self.ending.descriptor(), PollFlags::IN),
        ];
        let timeout = Timespec::try_from(left).map_err(|_| LaunchError::TooSlow(LONGEST))?;
        match poll(&mut set, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(LaunchError::Channel(io::Error::from(error))),
        }
        // The command may be running, and have been seen to, before this process gets to hear of it: the signal is its then.
        if !set[0].revents().is_empty() {
            return Ok(());
        }
        match self.ending.next().map_err(LaunchError::Signals)? {
            Some(signal) => Err(LaunchError::Interrupted(signal)),
            None => Ok(()),
        }
    }
}
