//! One direction of a connection: from one kernel socket to the other, by way of a pipe and without a copy in user space where
//! there is much to move.
//!
//! `splice(2)` moves references to the pages that the bytes lie in. A direction waits in one of two places: until there is
//! something to read, holding nothing; or until the receiver takes more, holding what is in one pipe (at most 16 buffers).
//! A sender that is faster than its receiver thus fills the kernel's socket buffers and is then slowed down by TCP itself.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::net::{RecvFlags, recv};
use rustix::pipe::{SpliceFlags, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::limits::Meter;
use super::little::{LITTLE, Waited};
use super::pipes::{Pipe, Pool, USUAL};
use crate::event::Reason;

/// What one call moves at most. More than a pipe of 16 buffers usually holds; the pipe is the bound.
const AT_ONCE: usize = 1 << 20;

/// Bytes after which other connections get their turn. A call that moves less than a pipe usually holds counts as if it moved as
/// much.
const TURN: usize = 4 << 20;

/// A direction.
#[derive(Debug)]
pub(crate) struct Leg<'a> {
    pub(crate) from: &'a TcpStream,
    pub(crate) to: &'a TcpStream,
    /// What the whole run may still move this way; `None` where nothing counts it.
    pub(crate) meter: Option<&'a Meter>,
    /// What this connection has moved this way.
    pub(crate) moved: &'a AtomicU64,
    pub(crate) pipes: &'a Pool,
}

/// Why a direction ended before its sender had finished.
#[derive(Debug)]
pub(crate) enum Broken {
    /// A socket failed: the peer sent RST, or vanished.
    Socket,
    /// The run's bytes this way are used up.
    UsedUp,
    /// There was no pipe to be had.
    NoPipe(io::Error),
    /// What the client said is not allowed.
    Refused(Reason),
}

impl Leg<'_> {
    /// Moves everything until the sender has finished.
    pub(crate) async fn run(&self) -> Result<(), Broken> {
        let mut is_stream = false;
        loop {
            self.from.readable().await.map_err(|_| Broken::Socket)?;
            if !is_stream {
                match self.copy().await? {
                    Waited::End => return Ok(()),
                    Waited::Little => continue,
                    Waited::Much => {}
                }
            }
            // A pipe is taken here, where data or the end waits, and not earlier: idle connections hold none.
            let mut pipe = self.pipes.take().map_err(Broken::NoPipe)?;
            let Burst { moved, is_finished } = self.burst(&mut pipe).await?;
            self.pipes.give_back(pipe);
            if is_finished {
                return Ok(());
            }
            is_stream = moved > LITTLE;
        }
    }

    /// Moves what waits, and leaves the pipe empty.
    async fn burst(&self, pipe: &mut Pipe) -> Result<Burst, Broken> {
        let (mut moved, mut since_turn) = (0, 0);
        loop {
            match self.fill(pipe) {
                Ok(0) => return Ok(Burst { moved, is_finished: true }),
                Ok(count) => {
                    self.empty(pipe, count).await?;
                    if count >= USUAL {
                        self.pipes.enlarge(pipe);
                    }
                    moved += count;
                    since_turn += count.max(USUAL);
                }
                Err(Filled::Nothing) => return Ok(Burst { moved, is_finished: false }),
                Err(Filled::Broken(broken)) => return Err(broken),
            }
            if since_turn >= TURN {
                tokio::task::yield_now().await;
                since_turn = 0;
            }
        }
    }

    /// One `splice(2)` into the empty pipe. That it is empty matters: otherwise `EAGAIN` could also mean that it is full.
    fn fill(&self, pipe: &Pipe) -> Result<usize, Filled> {
        let allowed = self.meter.map_or(AT_ONCE, |meter| meter.take(AT_ONCE));
        if allowed == 0 {
            return self.is_finished();
        }
        let moved = self.from.try_io(Interest::READABLE, || move_some(self.from, &pipe.input, allowed));
        if let Some(meter) = self.meter {
            meter.give_back(allowed - moved.as_ref().map_or(0, |count| *count));
        }
        moved.map_err(Filled::from)
    }

    /// With nothing left to spend (0 is the only value then), a sender that has finished may still say so; one that has more may not.
    pub(super) fn is_finished(&self) -> Result<usize, Filled> {
        let mut byte = [0];
        let peek = || Ok(recv(self.from, &mut byte[..], RecvFlags::PEEK | RecvFlags::DONTWAIT)?.0);
        match self.from.try_io(Interest::READABLE, peek) {
            Ok(0) => Ok(0),
            Ok(_) => Err(Filled::Broken(Broken::UsedUp)),
            Err(error) => Err(error.into()),
        }
    }

    /// Moves the `count` bytes of the pipe on, waiting for the receiver where it has to.
    async fn empty(&self, pipe: &Pipe, mut count: usize) -> Result<(), Broken> {
        while count > 0 {
            match self.to.try_io(Interest::WRITABLE, || move_some(&pipe.output, self.to, count)) {
                Ok(0) => return Err(Broken::Socket),
                Ok(moved) => {
                    count -= moved;
                    self.moved.fetch_add(moved as u64, Ordering::Relaxed);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.to.writable().await.map_err(|_| Broken::Socket)?;
                }
                Err(_) => return Err(Broken::Socket),
            }
        }
        Ok(())
    }
}

/// What was moved until nothing waited.
struct Burst {
    /// Bytes.
    moved: usize,
    /// Whether the sender has finished.
    is_finished: bool,
}

/// Why nothing was taken from the sender.
pub(super) enum Filled {
    Nothing,
    Broken(Broken),
}

impl From<io::Error> for Filled {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::WouldBlock { Self::Nothing } else { Self::Broken(Broken::Socket) }
    }
}

/// One `splice(2)`, repeated where a signal interrupted it.
fn move_some(from: impl AsFd, to: impl AsFd, most: usize) -> io::Result<usize> {
    let call = || splice(from.as_fd(), None, to.as_fd(), None, most, SpliceFlags::MOVE | SpliceFlags::NONBLOCK);
    Ok(rustix::io::retry_on_intr(call)?)
}
