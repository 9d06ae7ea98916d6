//! The caller's terminal: its modes, and whether it may be touched.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::OFlags;
use rustix::process::getpgrp;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr, tcsetwinsize,
};

use super::error::RelayError;

/// The terminal of the person who started the run. Modes that were changed are put back when this is dropped.
#[derive(Debug)]
pub(super) struct CallerTerminal {
    fd: OwnedFd,
    /// The modes to go back to; set while the terminal is raw.
    saved: Option<Termios>,
}

impl CallerTerminal {
    /// Takes over a descriptor of the terminal. It is opened a second time where possible: then reading never blocks,
    /// and the description that the caller shares with others stays as it is. (A terminal of another user, as after
    /// `su`, cannot be opened again; reads then follow `poll(2)`.)
    pub(super) fn new(fd: OwnedFd) -> Self {
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let again = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(i32::try_from(flags.bits()).unwrap_or(0))
            .open(format!("/proc/self/fd/{}", fd.as_raw_fd()));
        Self { fd: again.map_or(fd, OwnedFd::from), saved: None }
    }

    /// Gives the pseudo-terminal the modes of this one. Without `echo`, what is typed is not repeated there: this
    /// terminal does it.
    pub(super) fn copy_modes_to(&self, master: &OwnedFd, echo: bool) -> Result<(), RelayError> {
        // In the background, the modes are those of whoever is in the foreground (the line editor of a shell); the ones
        // that a new pseudo-terminal has are better.
        let model = if self.is_ours() { &self.fd } else { master };
        let mut modes = tcgetattr(model).map_err(failed("read the modes of the caller's terminal"))?;
        if !echo {
            modes.local_modes.remove(LocalModes::ECHO);
        }
        tcsetattr(master, OptionalActions::Now, &modes).map_err(failed("set the modes of the pseudo-terminal"))
    }

    /// Gives the pseudo-terminal the size of this one.
    pub(super) fn copy_size_to(&self, master: &OwnedFd) -> Result<(), RelayError> {
        let size = tcgetwinsize(&self.fd).map_err(failed("read the size of the caller's terminal"))?;
        tcsetwinsize(master, size).map_err(failed("set the size of the pseudo-terminal"))
    }

    /// Whether this process may read the terminal and change its modes. In the background it would be stopped for
    /// that, or disturb whoever is in the foreground. A terminal that is not the controlling one has no foreground.
    pub(super) fn is_ours(&self) -> bool {
        tcgetpgrp(&self.fd).map_or(true, |foreground| foreground == getpgrp())
    }

    /// Whether the terminal collects lines. If not, and it is not raw by our doing, another program has taken it over
    /// (a pager that reads our output).
    pub(super) fn collects_lines(&self) -> bool {
        collects_lines(&self.fd)
    }

    pub(super) const fn is_raw(&self) -> bool {
        self.saved.is_some()
    }

    /// Makes the terminal pass on every key as it is: lines, echo and `Ctrl-C` are the pseudo-terminal's work.
    pub(super) fn make_raw(&mut self) -> Result<(), RelayError> {
        if self.is_raw() || !self.is_ours() {
            return Ok(());
        }
        let saved = tcgetattr(&self.fd).map_err(failed("read the modes of the caller's terminal"))?;
        let mut raw = saved.clone();
        raw.make_raw();
        tcsetattr(&self.fd, OptionalActions::Now, &raw).map_err(failed("set the modes of the caller's terminal"))?;
        self.saved = Some(saved);
        Ok(())
    }

    /// Puts the modes back. In the background nothing is done: the shell that took the terminal has set its own.
    pub(super) fn restore(&mut self) -> Result<(), RelayError> {
        match self.saved.take() {
            Some(saved) if self.is_ours() => tcsetattr(&self.fd, OptionalActions::Now, &saved)
                .map_err(failed("put the modes of the caller's terminal back")),
            _ => Ok(()),
        }
    }
}

impl AsFd for CallerTerminal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for CallerTerminal {
    fn drop(&mut self) {
        if let Err(error) = self.restore() {
            // The terminal was hung up, most likely. Nobody is left to tell.
            drop(error);
        }
    }
}

/// Whether a terminal, or the slave of a pseudo-terminal's master, is in line mode.
pub(super) fn collects_lines(fd: &OwnedFd) -> bool {
    tcgetattr(fd).is_ok_and(|modes| modes.local_modes.contains(LocalModes::ICANON))
}

/// The character that ends the input in line mode, `Ctrl-D` by default.
pub(super) fn end_of_input(fd: &OwnedFd) -> Option<u8> {
    tcgetattr(fd).ok().map(|modes| modes.special_codes[SpecialCodeIndex::VEOF])
}

fn failed(operation: &'static str) -> impl Fn(rustix::io::Errno) -> RelayError {
    move |error| RelayError::Terminal { operation, source: io::Error::from(error) }
}
