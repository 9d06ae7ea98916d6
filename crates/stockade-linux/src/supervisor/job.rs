//! Stopping and going on, as a shell expects of its jobs.

use crate::relay::{Relay, RelayError};

/// When this process stops with its command.
///
/// What runs inside can stop itself at any time. That stops this process, which keeps the command's limits, only where somebody
/// is there to continue it: when the command has a pseudo-terminal of its own, whose keys stop the command and not this process,
/// or when this process was told to stop.
#[derive(Debug, Default)]
pub(super) struct Job {
    /// Whether this process is to stop as soon as the command has.
    is_asked: bool,
    /// Whether the command has stopped, as far as is known.
    is_stopped: bool,
}

impl Job {
    /// This process got SIGTSTP. Whether it stops at once: the command may have stopped long ago.
    pub(super) fn asked(&mut self) -> bool {
        self.is_asked = true;
        self.is_stopped
    }

    /// The command has stopped. Whether this process does, too.
    pub(super) fn command_stopped(&mut self, relay: &Relay) -> bool {
        self.is_stopped = true;
        self.is_asked || relay.has_terminal()
    }

    /// Stops this process until it is continued. The caller's terminal is as it was found meanwhile.
    ///
    /// # Errors
    /// When the terminal cannot be given back or taken.
    pub(super) fn stop(&mut self, relay: &mut Relay) -> Result<(), RelayError> {
        *self = Self::default();
        relay.suspend()?;
        crate::sys::signals::stop_self();
        relay.resume()
    }
}
