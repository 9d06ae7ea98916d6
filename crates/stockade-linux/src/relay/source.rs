//! The caller's end of standard input, and how to look at what is in it without taking it out.
//!
//! | kind | looked at by | taken out by |
//! |---|---|---|
//! | pipe | `tee(2)` | `splice(2)` to `/dev/null` |
//! | socket | `MSG_PEEK` (recv(2)) | `recv(2)` |
//! | file | reading at an offset | setting its position at the end |
//! | other device | (not possible) | reading |

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{FileType, SeekFrom, seek};
use rustix::io::{Errno, ioctl_fionread};
use rustix::net::{RecvFlags, recv};
use rustix::pipe::{SpliceFlags, splice, tee};

/// The most that is moved in one step.
const CHUNK: usize = 64 * 1024;

/// The caller's input.
#[derive(Debug)]
pub(super) enum Source {
    /// A pipe or FIFO, and `/dev/null`.
    Pipe(OwnedFd, File),
    /// A socket.
    Socket(OwnedFd),
    /// A regular file.
    File(Ahead),
    /// Another device: what is read of it is gone.
    Other(OwnedFd),
}

/// A file that is read ahead of the command.
#[derive(Debug)]
pub(super) struct Ahead {
    file: File,
    /// Its position at the start.
    start: u64,
    /// Where reading goes on.
    next: u64,
    /// A second descriptor of the command's end, which tells how much is unread even after our end was closed.
    probe: OwnedFd,
}

/// What one step did.
#[derive(Debug)]
pub(super) enum Fed {
    /// This many bytes went into the command's pipe.
    Bytes(usize),
    /// The command's pipe is full.
    Full,
    /// The caller has nothing for now.
    Empty,
    /// The caller's input has ended, or the command has closed its own.
    End,
}

impl Source {
    /// Takes over the caller's descriptor. `command` is the end of the pipe that the command gets.
    pub(super) fn new(host: OwnedFd, kind: FileType, command: &OwnedFd) -> io::Result<Self> {
        Ok(match kind {
            FileType::Fifo => Self::Pipe(host, File::options().write(true).open("/dev/null")?),
            FileType::Socket => Self::Socket(host),
            FileType::RegularFile => {
                let start = seek(&host, SeekFrom::Current(0))?;
                Self::File(Ahead { file: host.into(), start, next: start, probe: command.try_clone()? })
            }
            _ => Self::Other(host),
        })
    }

    /// Puts up to `length` bytes into the command's pipe and leaves them with the caller until [`Source::take`].
    pub(super) fn show(&mut self, inner: BorrowedFd<'_>, length: usize) -> io::Result<Fed> {
        match self {
            Self::Pipe(host, _) => fed_from_pipe(tee(&*host, inner, length, SpliceFlags::NONBLOCK), host),
            Self::Socket(host) => {
                let mut bytes = [0; CHUNK];
                let shown = &mut bytes[..length.min(CHUNK)];
                match recv(&*host, shown, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
                    Ok((peeked, _)) => put(inner, &bytes[..peeked]),
                    Err(error) => nothing_read(error),
                }
            }
            Self::File(ahead) => ahead.feed(inner),
            Self::Other(host) => {
                let mut bytes = [0; CHUNK];
                match rustix::io::read(&*host, &mut bytes[..length.min(CHUNK)]) {
                    Ok(read) => put(inner, &bytes[..read]),
                    Err(error) => nothing_read(error),
                }
            }
        }
    }

    /// Moves as much as fits into the command's pipe.
    pub(super) fn pour(&mut self, inner: BorrowedFd<'_>) -> io::Result<Fed> {
        if let Self::Pipe(host, _) = self {
            return fed_from_pipe(splice(&*host, None, inner, None, CHUNK, SpliceFlags::NONBLOCK), host);
        }
        let fed = self.show(inner, CHUNK)?;
        if let Fed::Bytes(bytes) = fed {
            self.take(bytes);
        }
        Ok(fed)
    }

    /// Takes bytes out that the command has read.
    pub(super) fn take(&mut self, mut bytes: usize) {
        while bytes > 0 {
            let taken = match self {
                Self::Pipe(host, null) => splice(&*host, None, &*null, None, bytes, SpliceFlags::NONBLOCK),
                Self::Socket(host) => {
                    let mut scratch = [0; CHUNK];
                    recv(&*host, &mut scratch[..bytes.min(CHUNK)], RecvFlags::DONTWAIT).map(|(taken, _)| taken)
                }
                Self::File(_) | Self::Other(_) => return,
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
    pub(super) fn set_back(&mut self) -> io::Result<()> {
        match self {
            Self::File(ahead) => ahead.set_back(),
            Self::Pipe(..) | Self::Socket(_) | Self::Other(_) => Ok(()),
        }
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Pipe(host, _) | Self::Socket(host) | Self::Other(host) => host.as_fd(),
            Self::File(ahead) => ahead.file.as_fd(),
        }
    }
}

impl Ahead {
    fn feed(&mut self, inner: BorrowedFd<'_>) -> io::Result<Fed> {
        let mut bytes = [0; CHUNK];
        // Reading no more than what fits: the rest would have to be read again.
        let unread = usize::try_from(ioctl_fionread(&self.probe)?).unwrap_or(CHUNK);
        let room = CHUNK.saturating_sub(unread).max(1);
        let read = self.file.read_at(&mut bytes[..room], self.next)?;
        let fed = put(inner, &bytes[..read])?;
        if let Fed::Bytes(bytes) = fed {
            self.next += bytes as u64;
        }
        Ok(fed)
    }

    fn set_back(&mut self) -> io::Result<()> {
        let consumed = self.next.saturating_sub(ioctl_fionread(&self.probe)?).max(self.start);
        if consumed != self.start {
            seek(&self.file, SeekFrom::Start(consumed))?;
        }
        Ok(())
    }
}

/// The result of `tee(2)` or `splice(2)`, which answer alike whether the caller's pipe is empty or the command's is full.
fn fed_from_pipe(result: Result<usize, Errno>, host: &OwnedFd) -> io::Result<Fed> {
    match result {
        Ok(0) | Err(Errno::PIPE) => Ok(Fed::End),
        Ok(bytes) => Ok(Fed::Bytes(bytes)),
        Err(Errno::INTR) => Ok(Fed::Empty),
        Err(Errno::AGAIN) if ioctl_fionread(host)? > 0 => Ok(Fed::Full),
        Err(Errno::AGAIN) => Ok(Fed::Empty),
        Err(error) => Err(error.into()),
    }
}

fn nothing_read(error: Errno) -> io::Result<Fed> {
    match error {
        Errno::AGAIN | Errno::INTR => Ok(Fed::Empty),
        _ => Err(error.into()),
    }
}

/// Writes what fits.
fn put(inner: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<Fed> {
    if bytes.is_empty() {
        return Ok(Fed::End);
    }
    match rustix::io::write(inner, bytes).map_err(io::Error::from) {
        Ok(written) => Ok(Fed::Bytes(written)),
        Err(error) => match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(Fed::Full),
            ErrorKind::BrokenPipe => Ok(Fed::End),
            _ => Err(error),
        },
    }
}
