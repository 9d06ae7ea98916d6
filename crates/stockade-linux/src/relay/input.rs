//! Standard input: from the caller to a pipe of the command's own.
//!
//! The caller's descriptor is never handed over. A file could be opened again for writing through `/proc/self/fd/0`, and
//! so could a pipe: whoever else reads from it (a shell that takes its script from there) would read what the sandboxed
//! command wrote.
//!
//! What the command does not read stays with the caller, as it would without a sandbox in between: in
//! `while read line; do stockade run -- tool; done <list`, the tool must not eat the list. [`super::source`] says how. A
//! command that has read [`EXACT_BYTES`] of a pipe or socket is taken to read the rest as well: from there on input is
//! passed on ahead of its reading, four times as fast, and at the end up to one pipe's content is lost to the caller.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::PollFlags;
use rustix::fs::{FileType, OFlags, Stat, fcntl_setfl};
use rustix::io::ioctl_fionread;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

use super::error::{RelayError, Stream};
use super::source::{Fed, Source};

/// The command's pipe holds one page while input stays with the caller until it was read, so that `poll(2)` reports room
/// just when the command has read all of it.
const PAGE: usize = 4096;

/// The usual size of a pipe (pipe(7)).
const PIPE_BYTES: usize = 64 * 1024;

/// Bytes of a pipe or socket of which none is taken before the command reads it.
const EXACT_BYTES: usize = 256 * 1024;

/// Standard input.
#[derive(Debug)]
pub(super) struct Input {
    source: Source,
    /// Our end of the command's pipe; `None` after the end of the input.
    inner: Option<OwnedFd>,
    /// Bytes in the command's pipe that are still with the caller.
    ahead: usize,
    /// Bytes that the command has read while none was taken ahead of it.
    exact: usize,
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
        fcntl_setfl(&inner, OFlags::WRONLY | OFlags::NONBLOCK)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind != FileType::RegularFile {
            fcntl_setpipe_size(&inner, PAGE)?;
        }
        let source = Source::new(host, kind, &command)?;
        Ok((Self { source, inner: Some(inner), ahead: 0, exact: 0, blocked: false }, command))
    }

    /// What to wait for.
    pub(super) fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let inner = self.inner.as_ref()?;
        Some(if self.blocked { (inner.as_fd(), PollFlags::OUT) } else { (self.source.as_fd(), PollFlags::IN) })
    }

    /// Gives the command what it can take.
    ///
    /// # Errors
    ///
    /// [`RelayError::Feed`]; the command's input has ended by then.
    pub(super) fn pump(&mut self) -> Result<(), RelayError> {
        self.settle();
        let Some(inner) = &self.inner else { return Ok(()) };
        let bulk = self.exact >= EXACT_BYTES;
        let fed = if bulk { self.source.pour(inner.as_fd()) } else { self.source.show(inner.as_fd(), PAGE) };
        match fed {
            Ok(Fed::Bytes(bytes)) => {
                self.ahead = if bulk { 0 } else { bytes };
                self.blocked = !bulk;
            }
            Ok(Fed::Full) => self.blocked = true,
            Ok(Fed::Empty) => self.blocked = false,
            Ok(Fed::End) => self.inner = None,
            Err(error) => {
                self.inner = None;
                return Err(RelayError::Feed(error));
            }
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
        self.exact += read;
        // Where a pipe of this size is refused (the user has too many), it goes on page by page.
        if self.exact >= EXACT_BYTES && fcntl_setpipe_size(inner, PIPE_BYTES).is_err() {
            self.exact = 0;
        }
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
