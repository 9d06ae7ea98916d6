//! The command's standard streams, opened inside.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use thiserror::Error;

use crate::relay::{InnerStdio, InnerStream, RelayError, TerminalPair, open_terminal};
use crate::sys::signals::Signals;

/// Why the streams cannot be opened.
#[derive(Debug, Error)]
pub(crate) enum StreamError {
    /// No pseudo-terminal.
    #[error(transparent)]
    Terminal(#[from] RelayError),
    /// No second descriptor of the pseudo-terminal.
    #[error("cannot copy the descriptor of the pseudo-terminal")]
    Copy(#[source] io::Error),
    /// No session with the pseudo-terminal.
    #[error("cannot make the pseudo-terminal the controlling terminal")]
    Session(#[source] io::Error),
    /// No `/dev/null`.
    #[error("cannot open /dev/null inside the sandbox")]
    Null(#[source] io::Error),
}

/// The three streams and, where one of them is a terminal, the controlling side of the pseudo-terminal.
#[derive(Debug)]
pub(crate) struct Streams {
    streams: [OwnedFd; 3],
    /// Of the sandbox's own instance of `devpts`, so that it has a name inside.
    terminal: Option<TerminalPair>,
}

impl Streams {
    /// Opens what has to be opened inside.
    pub(crate) fn open(stdio: InnerStdio) -> Result<Self, StreamError> {
        let terminal = if stdio.terminal() { Some(open_terminal(Path::new("/dev/ptmx"))?) } else { None };
        let stream = |stream: InnerStream| match (stream, &terminal) {
            (InnerStream::Descriptor(descriptor), _) => Ok(descriptor),
            (InnerStream::Terminal, Some(terminal)) => terminal.slave.try_clone().map_err(StreamError::Copy),
            (InnerStream::Null | InnerStream::Terminal, _) => {
                rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
                    .map_err(|error| StreamError::Null(error.into()))
            }
        };
        Ok(Self { streams: [stream(stdio.stdin)?, stream(stdio.stdout)?, stream(stdio.stderr)?], terminal })
    }

    /// The controlling side of the pseudo-terminal, for the supervisor.
    pub(crate) fn controller(&self) -> Option<BorrowedFd<'_>> {
        self.terminal.as_ref().map(|terminal| terminal.master.as_fd())
    }

    /// Gives the terminal to the session that this process, which becomes init, leads. The command must not lead it: then
    /// no process of the session would be the parent of its group, and the kernel drops every stop that a terminal asks
    /// of such an orphaned group (`Ctrl-Z`, or reading in the background; signal handling in POSIX, 2.4.3).
    pub(crate) fn give_terminal(&self) -> io::Result<()> {
        if let Some(terminal) = &self.terminal {
            rustix::process::ioctl_tiocsctty(&terminal.slave)?;
        }
        Ok(())
    }

    /// Gives this process, which becomes the command, a process group of its own: in the foreground of the terminal that
    /// init leads, or, without a terminal, in a session of its own.
    pub(crate) fn take_foreground(&self) -> io::Result<()> {
        let Some(terminal) = &self.terminal else {
            rustix::process::setsid()?;
            return Ok(());
        };
        // The new group is in the background until the call has succeeded, and would be stopped for making it.
        let quiet = Signals::block(&[libc::SIGTTOU])?;
        rustix::process::setpgid(None, None)?;
        rustix::termios::tcsetpgrp(&terminal.slave, rustix::process::getpid())?;
        drop(quiet);
        Ok(())
    }

    /// Makes them the standard streams of this process.
    pub(crate) fn place(&self) -> io::Result<()> {
        // Copies above 2 first, so that no placement overwrites a source.
        let copies = self.streams.each_ref().map(|stream| rustix::io::fcntl_dupfd_cloexec(stream, 3));
        for (number, copy) in (0..).zip(copies) {
            crate::sys::descriptors::place(copy?.as_fd(), number)?;
        }
        Ok(())
    }
}
