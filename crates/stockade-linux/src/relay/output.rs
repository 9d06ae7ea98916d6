//! One output stream: from the command's pipe (or pseudo-terminal) to the caller.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::PollFlags;
use rustix::io::{Errno, ioctl_fionread};

use super::budget::Budget;
use super::error::{RelayError, Stream};
use super::sink::{Sink, SinkKind};
use super::tail::Tail;

/// Bytes that are moved in one step, and the most that is held in memory for one stream.
const CHUNK: usize = 64 * 1024;
/// Bytes that are read at first: a stream that is closed unwritten, as standard error mostly is, is not worth a larger buffer.
const FIRST_READ: usize = 1024;

/// Steps before the other streams get their turn.
const STEPS: usize = 16;

/// Most bytes that are taken from a pseudo-terminal after the command ended.
const TERMINAL_REST: u64 = 1024 * 1024;

/// How bytes get from the command's end to the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    /// `splice(2)`: they never enter this process.
    Splice,
    /// `tee(2)` to the caller's pipe, then read here: they are needed for the tail.
    Tee,
    /// Read and written.
    Copy,
}

/// What one step did.
enum Step {
    /// Bytes were moved.
    Moved,
    /// There is nothing to read for now.
    Empty,
    /// The caller's end takes nothing for now.
    Blocked,
    /// The command's end, or the caller's, is closed.
    Closed,
}

/// One output stream.
#[derive(Debug)]
pub(super) struct Output {
    stream: Stream,
    /// The command's end; `None` when nothing more comes from it.
    source: Option<OwnedFd>,
    sink: Sink,
    method: Method,
    /// What was read; allocated at the first need.
    buffer: Vec<u8>,
    /// The part of `buffer` that still has to be written.
    pending: std::ops::Range<usize>,
    /// Whether the caller's end has to become writable first.
    blocked: bool,
    tail: Option<Tail>,
    /// Bytes passed on.
    passed: u64,
    /// After the command ended: bytes that are still taken from its end.
    rest: Option<u64>,
}

impl Output {
    /// A stream from a non-blocking `source`. With `keep_tail`, its last bytes are kept.
    pub(super) fn new(stream: Stream, source: OwnedFd, sink: Sink, keep_tail: bool) -> Self {
        let method = match (stream, sink.kind(), keep_tail) {
            (Stream::Terminal, ..) => Method::Copy,
            (_, SinkKind::Pipe, true) => Method::Tee,
            // On kernels before 6.5 splicing to a socket waits, whatever the flags say; so a socket gets copies.
            (_, SinkKind::Pipe | SinkKind::File | SinkKind::OwnDevice, false) => Method::Splice,
            _ => Method::Copy,
        };
        Self {
            stream,
            source: Some(source),
            sink,
            method,
            buffer: Vec::new(),
            pending: 0..0,
            blocked: false,
            tail: keep_tail.then(Tail::default),
            passed: 0,
            rest: None,
        }
    }

    pub(super) const fn stream(&self) -> Stream {
        self.stream
    }

    pub(super) const fn passed(&self) -> u64 {
        self.passed
    }

    pub(super) fn tail(&self) -> Option<&[u8]> {
        self.tail.as_ref().map(Tail::as_bytes)
    }

    /// Whether everything was passed on that will be.
    pub(super) fn is_done(&self) -> bool {
        self.source.is_none() && self.pending.is_empty()
    }

    /// What to wait for.
    pub(super) fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        if self.blocked {
            return Some((self.sink.as_fd(), PollFlags::OUT));
        }
        self.source.as_ref().map(|source| (source.as_fd(), PollFlags::IN))
    }

    /// Moves bytes until one side has to wait, or the other streams' turn has come.
    ///
    /// # Errors
    ///
    /// [`RelayError::Read`] or [`RelayError::PassOn`]; the stream is closed by then. A caller's end that was closed is no
    /// error: the command's end is closed too, so that the command gets `SIGPIPE` as it would without us.
    pub(super) fn pump(&mut self, budget: &mut Budget) -> Result<(), RelayError> {
        self.blocked = false;
        for _ in 0..STEPS {
            match self.step(budget) {
                Ok(Step::Moved) => {}
                Ok(Step::Empty) if self.rest.is_none() => break,
                Ok(Step::Blocked) => {
                    self.blocked = true;
                    break;
                }
                Ok(Step::Empty | Step::Closed) => {
                    self.close();
                    break;
                }
                Err(error) => {
                    self.close();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// The command ended: from here on only what it left behind is passed on, and a process that outlived it and still
    /// writes holds nothing up.
    pub(super) fn end(&mut self, budget: &mut Budget) -> Result<(), RelayError> {
        let Some(source) = &self.source else { return Ok(()) };
        self.rest = Some(match self.stream {
            Stream::Terminal => TERMINAL_REST,
            _ => ioctl_fionread(source).map_err(|error| self.unreadable(error.into()))?,
        });
        while !self.blocked && self.source.is_some() {
            self.pump(budget)?;
        }
        Ok(())
    }

    fn close(&mut self) {
        self.source = None;
        self.pending = 0..0;
        self.blocked = false;
    }

    fn step(&mut self, budget: &mut Budget) -> Result<Step, RelayError> {
        if !self.pending.is_empty() {
            return self.flush();
        }
        let wanted = self.rest.map_or(CHUNK, |rest| usize::try_from(rest).map_or(CHUNK, |rest| rest.min(CHUNK)));
        if wanted == 0 {
            return Ok(Step::Closed);
        }
        match budget.allow(wanted) {
            0 => self.discard(budget),
            allowed => match self.method {
                Method::Splice => self.splice(allowed, budget),
                Method::Tee => self.tee(allowed, budget),
                Method::Copy => self.copy(allowed, budget),
            },
        }
    }

    fn splice(&mut self, length: usize, budget: &mut Budget) -> Result<Step, RelayError> {
        let Some(source) = &self.source else { return Ok(Step::Closed) };
        match self.sink.splice_from(source.as_fd(), length) {
            Ok(moved) => Ok(self.moved(moved, budget)),
            // Files opened for appending, and some file systems, know no splicing.
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                self.method = Method::Copy;
                Ok(Step::Moved)
            }
            Err(error) => self.unmoved(error),
        }
    }

    fn tee(&mut self, length: usize, budget: &mut Budget) -> Result<Step, RelayError> {
        let Some(source) = &self.source else { return Ok(Step::Closed) };
        let copied = match self.sink.tee_from(source.as_fd(), length) {
            Ok(copied) => copied,
            Err(error) => return self.unmoved(error),
        };
        let mut left = copied;
        while left > 0 {
            match self.read(left)? {
                // Processes of the sandbox may read from their own pipe; then the tail lacks what they took.
                None | Some(0) => break,
                Some(read) => {
                    self.keep(0..read);
                    left -= read;
                }
            }
        }
        Ok(self.moved(copied, budget))
    }

    fn copy(&mut self, length: usize, budget: &mut Budget) -> Result<Step, RelayError> {
        match self.read(length)? {
            None => Ok(Step::Empty),
            Some(0) => Ok(Step::Closed),
            Some(read) => {
                self.keep(0..read);
                self.pending = 0..read;
                budget.take(read);
                self.rest = self.rest.map(|rest| rest.saturating_sub(read as u64));
                self.flush()
            }
        }
    }

    fn discard(&mut self, budget: &mut Budget) -> Result<Step, RelayError> {
        match self.read(CHUNK)? {
            None => Ok(Step::Empty),
            Some(0) => Ok(Step::Closed),
            Some(read) => {
                budget.exceed();
                self.rest = self.rest.map(|rest| rest.saturating_sub(read as u64));
                Ok(Step::Moved)
            }
        }
    }

    fn flush(&mut self) -> Result<Step, RelayError> {
        match self.sink.write(&self.buffer[self.pending.clone()]) {
            Ok(written) => {
                self.pending.start += written;
                self.passed += written as u64;
                Ok(Step::Moved)
            }
            Err(error) => self.unwritten(error),
        }
    }

    fn keep(&mut self, part: std::ops::Range<usize>) {
        if let Some(tail) = &mut self.tail {
            tail.push(&self.buffer[part]);
        }
    }

    /// Counts what the kernel moved; nothing means that the command's end is closed.
    fn moved(&mut self, moved: usize, budget: &mut Budget) -> Step {
        budget.take(moved);
        self.passed += moved as u64;
        self.rest = self.rest.map(|rest| rest.saturating_sub(moved as u64));
        if moved == 0 { Step::Closed } else { Step::Moved }
    }

    /// Nothing was moved: finds out which side has to wait.
    fn unmoved(&self, error: io::Error) -> Result<Step, RelayError> {
        if error.kind() != ErrorKind::WouldBlock {
            return self.unwritten(error);
        }
        let Some(source) = &self.source else { return Ok(Step::Closed) };
        match ioctl_fionread(source) {
            Ok(0) => Ok(Step::Empty),
            Ok(_) => Ok(Step::Blocked),
            Err(error) => Err(self.unreadable(error.into())),
        }
    }

    fn unwritten(&self, error: io::Error) -> Result<Step, RelayError> {
        match error.kind() {
            ErrorKind::WouldBlock => Ok(Step::Blocked),
            ErrorKind::Interrupted => Ok(Step::Moved),
            _ if self.sink.is_closed(&error) => Ok(Step::Closed),
            _ => Err(RelayError::PassOn { stream: self.stream, source: error }),
        }
    }

    /// Reads from the command's end into the buffer. `None` when there is nothing for now, 0 at its end.
    fn read(&mut self, length: usize) -> Result<Option<usize>, RelayError> {
        if self.buffer.len() < length {
            self.buffer.resize(if self.buffer.is_empty() { FIRST_READ } else { CHUNK }, 0);
        }
        let Some(source) = &self.source else { return Ok(Some(0)) };
        let length = length.min(self.buffer.len());
        loop {
            return match rustix::io::read(source, &mut self.buffer[..length]) {
                Ok(read) => Ok(Some(read)),
                Err(Errno::AGAIN) => Ok(None),
                Err(Errno::INTR) => continue,
                // The last process that had the pseudo-terminal open closed it.
                Err(Errno::IO) if self.stream == Stream::Terminal => Ok(Some(0)),
                Err(error) => Err(self.unreadable(error.into())),
            };
        }
    }

    fn unreadable(&self, source: io::Error) -> RelayError {
        RelayError::Read { stream: self.stream, source }
    }
}
