//! The command's standard streams, opened inside.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use thiserror::Error;

use crate::relay::{InnerStdio, InnerStream, RelayError, TerminalPair, open_terminal};

/// Why the streams cannot be opened.
#[derive(Debug, Error)]
pub(crate) enum StreamError {
    /// No pseudo-terminal.
    #[error(transparent)]
    Terminal(#[from] RelayError),
    /// No second descriptor of the pseudo-terminal.
    #[error("cannot copy the descriptor of the pseudo-terminal")]
    Copy(#[source] io::Error),
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

    /// Makes them the standard streams of this process, and the pseudo-terminal its controlling terminal. The process
    /// leads its session.
    pub(crate) fn place(&self) -> io::Result<()> {
        if let Some(terminal) = &self.terminal {
            rustix::process::ioctl_tiocsctty(&terminal.slave)?;
        }
        // Copies above 2 first, so that no placement overwrites a source.
        let copies = self.streams.each_ref().map(|stream| rustix::io::fcntl_dupfd_cloexec(stream, 3));
        for (number, copy) in (0..).zip(copies) {
            crate::sys::descriptors::place(copy?.as_fd(), number)?;
        }
        Ok(())
    }
}
