//! Standard input: from the caller to a pipe of the command's own.
//!
//! The caller's descriptor is never handed over. A file could be opened again for writing through `/proc/self/fd/0`, and
//! so could a pipe: whoever else reads from it (a shell that takes its script from there) would read what the sandboxed
//! command wrote.
//!
//! What the command does not read stays with the caller, as it would without a sandbox in between: in
//! `while read line; do stockade run -- tool; done <list`, the tool must not eat the list. Files are read ahead and set
//! back at the end. Pipes and sockets are looked at without taking anything out (`tee(2)`, `MSG_PEEK`), one page at a
//! time, and what the command really read is taken out afterwards.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::event::PollFlags;
use rustix::fs::OFlags;
use rustix::fs::{FileType, SeekFrom, Stat, fcntl_setfl, seek};
use rustix::io::{Errno, ioctl_fionread};
use rustix::net::RecvFlags;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice, tee};

use super::error::{RelayError, Stream};

/// Bytes that are in the command's pipe but still with the caller, at most: one page, so that `poll(2)` reports room just
/// when the command has read all of it.
const WINDOW: usize = 4096;

/// Bytes of a file that are read in one step.
const FILE_CHUNK: usize = 64 * 1024;

/// What the caller's input is.
#[derive(Debug)]
enum Source {
    /// A pipe or FIFO; the second descriptor is `/dev/null`, into which what was read is moved.
    Pipe(OwnedFd, File),
    /// A socket.
    Socket(OwnedFd),
    /// A file: where reading goes on, and a second descriptor of the command's end, which tells how much is unread.
    File { file: File, start: u64, next: u64, probe: OwnedFd },
    /// Another device: what is read of it is gone.
    Other(OwnedFd),
}

/// Standard input.
#[derive(Debug)]
pub(super) struct Input {
    source: Source,
    /// Our end of the command's pipe; `None` after the end of the input.
    inner: Option<OwnedFd>,
    /// Bytes in the command's pipe that are still with the caller.
    ahead: usize,
    /// Whether the command has to read first.
    blocked: bool,
}

impl Input {
    /// Makes the command's pipe. The second value is its end.
    pub(super) fn new(host: OwnedFd, stat: &Stat) -> Result<(Self, OwnedFd), RelayError> {
        Self::connect(host, stat).map_err(|source| RelayError::Pipe { stream: Stream::Stdin, source })
    }

    fn connect(host: OwnedFd, stat: &Stat) -> io::Result<(Self, OwnedFd)> {
        let (command, inner) = pipe_with(PipeFlags::CLOEXEC)?;
        fcntl_setfl(&inner, OFlags::NONBLOCK)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind != FileType::RegularFile {
            fcntl_setpipe_size(&inner, WINDOW)?;
        }
        let source = match kind {
            FileType::Fifo => Source::Pipe(host, File::options().write(true).open("/dev/null")?),
            FileType::Socket => Source::Socket(host),
            FileType::RegularFile => {
                let start = seek(&host, SeekFrom::Current(0))?;
                Source::File { file: host.into(), start, next: start, probe: command.try_clone()? }
            }
            _ => Source::Other(host),
        };
        Ok((Self { source, inner: Some(inner), ahead: 0, blocked: false }, command))
    }

    /// What to wait for.
    pub(super) fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let inner = self.inner.as_ref()?;
        Some(match &self.source {
            Source::File { .. } => (inner.as_fd(), PollFlags::OUT),
            _ if self.blocked => (inner.as_fd(), PollFlags::OUT),
            Source::Pipe(host, _) | Source::Socket(host) | Source::Other(host) => (host.as_fd(), PollFlags::IN),
        })
    }

    /// Gives the command what it can take.
    ///
    /// # Errors
    ///
    /// [`RelayError::Feed`]; the command's input has ended by then.
    pub(super) fn pump(&mut self) -> Result<(), RelayError> {
        self.settle();
        let Some(inner) = &self.inner else { return Ok(()) };
        match self.source.feed(inner.as_fd()) {
            Ok(0) => self.inner = None,
            Ok(fed) => {
                self.ahead = fed;
                self.blocked = true;
            }
            Err(error) => match error.kind() {
                // A process of the sandbox can fill its own pipe; then nothing fits, however much the caller has.
                ErrorKind::WouldBlock => self.blocked = ioctl_fionread(inner).is_ok_and(|unread| unread > 0),
                ErrorKind::Interrupted => {}
                ErrorKind::BrokenPipe => self.inner = None,
                _ => {
                    self.inner = None;
                    return Err(RelayError::Feed(error));
                }
            },
        }
        Ok(())
    }

    /// Takes out of the caller's input what the command has read.
    fn settle(&mut self) {
        let Some(inner) = &self.inner else { return };
        if self.ahead == 0 {
            return;
        }
        // A process of the sandbox can write into its own pipe or enlarge it, which makes this number wrong; the caller
        // then loses at most one page of input.
        let unread = ioctl_fionread(inner).map_or(0, |unread| usize::try_from(unread).unwrap_or(usize::MAX));
        let read = self.ahead.saturating_sub(unread);
        self.source.take(read);
        self.ahead = 0;
    }

    /// The command ended: what it left unread goes back to the caller.
    ///
    /// # Errors
    ///
    /// [`RelayError::SeekBack`].
    pub(super) fn end(&mut self) -> Result<(), RelayError> {
        self.settle();
        self.inner = None;
        self.source.set_back().map_err(RelayError::SeekBack)
    }
}

impl Source {
    /// Puts bytes into the command's pipe. 0 at the end of the input. Those of a pipe or socket stay with the caller
    /// until [`Source::take`].
    fn feed(&mut self, inner: BorrowedFd<'_>) -> io::Result<usize> {
        match self {
            Self::Pipe(host, _) => Ok(tee(host, inner, WINDOW, SpliceFlags::NONBLOCK)?),
            Self::Socket(host) => {
                let mut page = [0; WINDOW];
                let (peeked, _) = rustix::net::recv(&*host, &mut page[..], RecvFlags::PEEK | RecvFlags::DONTWAIT)?;
                write_some(inner, &page[..peeked])
            }
            Self::File { file, next, .. } => {
                let mut chunk = vec![0; FILE_CHUNK];
                let read = file.read_at(&mut chunk, *next)?;
                let fed = write_some(inner, &chunk[..read])?;
                *next += fed as u64;
                Ok(fed)
            }
            Self::Other(host) => {
                let mut page = [0; WINDOW];
                let read = rustix::io::read(&*host, &mut page)?;
                write_some(inner, &page[..read])
            }
        }
    }

    /// Takes bytes out that the command has read.
    fn take(&mut self, mut bytes: usize) {
        let mut page = [0; WINDOW];
        while bytes > 0 {
            let taken = match self {
                Self::Pipe(host, null) => splice(&*host, None, &*null, None, bytes, SpliceFlags::NONBLOCK),
                Self::Socket(host) => {
                    let part = &mut page[..bytes.min(WINDOW)];
                    rustix::net::recv(&*host, part, RecvFlags::DONTWAIT).map(|(taken, _)| taken)
                }
                Self::File { .. } | Self::Other(_) => return,
            };
            match taken {
                Err(Errno::INTR) => {}
                // Another process that reads from the same pipe or socket took them first.
                Ok(0) | Err(_) => return,
                Ok(taken) => bytes -= taken,
            }
        }
    }

    /// Sets a file to the first byte that the command left unread.
    fn set_back(&mut self) -> io::Result<()> {
        if let Self::File { file, start, next, probe } = self {
            let consumed = next.saturating_sub(ioctl_fionread(&*probe)?).max(*start);
            if consumed != *start {
                seek(&*file, SeekFrom::Start(consumed))?;
            }
            *next = *start;
        }
        Ok(())
    }
}

/// Writes what fits.
fn write_some(inner: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() { Ok(0) } else { Ok(rustix::io::write(inner, bytes)?) }
}
