//! A connection to the user manager's private socket, where no bus daemon is in between.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::error::ScopeError;
use super::message::{self, Incoming};

/// The longest line of the authentication.
const MAX_LINE: usize = 512;

/// An authenticated connection; nothing on it takes longer than until its deadline.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    path: PathBuf,
    deadline: Instant,
    received: Vec<u8>,
}

impl Connection {
    /// Connects and authenticates as the user that this process is (`EXTERNAL`: the manager asks the kernel).
    pub(super) fn open(path: &Path, timeout: Duration) -> Result<Self, ScopeError> {
        let stream = UnixStream::connect(path).map_err(|source| ScopeError::Socket {
            operation: "connect to",
            path: path.to_owned(),
            source,
        })?;
        let deadline = Instant::now() + timeout;
        let mut connection = Self { stream, path: path.to_owned(), deadline, received: Vec::new() };
        let uid = rustix::process::geteuid().as_raw().to_string();
        let digits: String = uid.bytes().map(|byte| format!("{byte:02x}")).collect();
        connection.send(format!("\0AUTH EXTERNAL {digits}\r\nBEGIN\r\n").as_bytes())?;
        let answer = connection.line()?;
        if answer.starts_with("OK ") { Ok(connection) } else { Err(ScopeError::NotAuthenticated(answer)) }
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), ScopeError> {
        let result = self.remaining().and_then(|time| {
            self.stream.set_write_timeout(Some(time))?;
            self.stream.write_all(bytes)
        });
        result.map_err(|source| self.failed("write to", source))
    }

    /// The next message.
    pub(super) fn receive(&mut self) -> Result<Incoming, ScopeError> {
        self.fill(message::FIXED)?;
        let length = message::length(self.received.get(..message::FIXED).unwrap_or_default())?;
        self.fill(length)?;
        let parsed = message::parse(self.received.get(..length).unwrap_or_default());
        self.received.drain(..length);
        parsed
    }

    fn line(&mut self) -> Result<String, ScopeError> {
        loop {
            if let Some(end) = self.received.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.received.drain(..end + 2).take(end).collect();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            if self.received.len() > MAX_LINE {
                return Err(ScopeError::Malformed("a line without an end"));
            }
            self.fill(self.received.len() + 1)?;
        }
    }

    /// Reads until at least `count` bytes have been received.
    fn fill(&mut self, count: usize) -> Result<(), ScopeError> {
        let mut chunk = [0; 4096];
        while self.received.len() < count {
            let read = self.remaining().and_then(|time| {
                self.stream.set_read_timeout(Some(time))?;
                self.stream.read(&mut chunk)
            });
            match read {
                Ok(0) => return Err(self.failed("read from", io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => self.received.extend_from_slice(chunk.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed("read from", error)),
            }
        }
        Ok(())
    }

    fn remaining(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }

    fn failed(&self, operation: &'static str, source: io::Error) -> ScopeError {
        // A timeout of the socket is reported as "would block".
        let timed_out = source.kind() == io::ErrorKind::WouldBlock;
        let source = if timed_out { io::ErrorKind::TimedOut.into() } else { source };
        ScopeError::Socket { operation, path: self.path.clone(), source }
    }
}
