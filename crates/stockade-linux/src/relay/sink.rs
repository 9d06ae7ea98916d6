//! The caller's end of an output stream.
//!
//! The open file description behind it is shared with the caller and perhaps with other processes, so its flags are
//! never changed: setting `O_NONBLOCK` would break them. Each kind of file has its own way not to block instead.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::{FileType, OFlags, Stat};
use rustix::io::Errno;
use rustix::net::SendFlags;
use rustix::pipe::{SpliceFlags, splice, tee};

use super::stdio::is_null;

/// A write of at most this many bytes to a pipe on which `poll(2)` reported room does not block (`PIPE_BUF`, pipe(7)).
const PIPE_BUF: usize = 4096;

/// The same for a terminal that could not be opened a second time. There is no guarantee; pseudo-terminals of Linux have
/// room for more than this whenever `poll(2)` reports any, unless another process writes at the same time.
const TERMINAL_WRITE: usize = 256;

/// What lies at the caller's end, as far as writing to it differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SinkKind {
    /// A pipe or FIFO.
    Pipe,
    /// A socket.
    Socket,
    /// A regular file, or `/dev/null`: a write may take long, but never waits for another process.
    File,
    /// A terminal or another device, opened a second time without blocking.
    OwnDevice,
    /// A terminal or another device that could not be opened a second time.
    SharedDevice,
}

/// The caller's end of an output stream.
#[derive(Debug)]
pub(super) struct Sink {
    fd: OwnedFd,
    kind: SinkKind,
}

impl Sink {
    /// Takes over the caller's descriptor, which `stat` describes.
    pub(super) fn new(fd: OwnedFd, stat: &Stat) -> Self {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Fifo => Self { fd, kind: SinkKind::Pipe },
            FileType::Socket => Self { fd, kind: SinkKind::Socket },
            FileType::CharacterDevice if !is_null(stat) => Self::device(fd),
            _ => Self { fd, kind: SinkKind::File },
        }
    }

    /// Opens a device once more, which gives a description of our own. That fails for one that belongs to another user
    /// (after `su`, for example).
    fn device(fd: OwnedFd) -> Self {
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let again = OpenOptions::new()
            .write(true)
            .custom_flags(i32::try_from(flags.bits()).unwrap_or(0))
            .open(format!("/proc/self/fd/{}", fd.as_raw_fd()));
        match again {
            Ok(own) => Self { fd: own.into(), kind: SinkKind::OwnDevice },
            Err(_) => Self { fd, kind: SinkKind::SharedDevice },
        }
    }

    pub(super) const fn kind(&self) -> SinkKind {
        self.kind
    }

    /// Moves up to `length` bytes out of the pipe `source`. 0 at its end; `WouldBlock` where either side has to wait.
    pub(super) fn splice_from(&self, source: BorrowedFd<'_>, length: usize) -> io::Result<usize> {
        Ok(splice(source, None, &self.fd, None, length, SpliceFlags::NONBLOCK | SpliceFlags::MOVE)?)
    }

    /// Copies up to `length` bytes out of the pipe `source` and leaves them there. The caller's end must be a pipe.
    pub(super) fn tee_from(&self, source: BorrowedFd<'_>, length: usize) -> io::Result<usize> {
        Ok(tee(source, &self.fd, length, SpliceFlags::NONBLOCK)?)
    }

    /// Writes what can be written without waiting. `WouldBlock` where that is nothing.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let part = |most: usize| &bytes[..bytes.len().min(most)];
        let written = match self.kind {
            SinkKind::Socket => rustix::net::send(&self.fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL),
            SinkKind::File | SinkKind::OwnDevice => rustix::io::write(&self.fd, bytes),
            SinkKind::Pipe if self.has_room() => rustix::io::write(&self.fd, part(PIPE_BUF)),
            SinkKind::SharedDevice if self.has_room() => rustix::io::write(&self.fd, part(TERMINAL_WRITE)),
            SinkKind::Pipe | SinkKind::SharedDevice => Err(Errno::AGAIN),
        };
        Ok(written?)
    }

    /// Whether this error of writing says that nobody will ever read: a pipe or socket that was closed, or a terminal that
    /// was hung up, which answers with `EIO`.
    pub(super) fn is_closed(&self, error: &io::Error) -> bool {
        match error.kind() {
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::NotConnected => true,
            _ => {
                let device = matches!(self.kind, SinkKind::OwnDevice | SinkKind::SharedDevice);
                device && error.raw_os_error() == Some(Errno::IO.raw_os_error())
            }
        }
    }

    fn has_room(&self) -> bool {
        let mut set = [rustix::event::PollFd::new(&self.fd, rustix::event::PollFlags::OUT)];
        // An error here shows up again, with its reason, in the write that follows.
        rustix::event::poll(&mut set, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 })).map_or(true, |n| n > 0)
    }
}

impl AsFd for Sink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
