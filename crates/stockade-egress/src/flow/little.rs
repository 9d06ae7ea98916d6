//! What is little is copied: two calls, where a way by a pipe takes three and holds a pipe meanwhile.

use std::io;
use std::sync::atomic::Ordering;

use rustix::net::{RecvFlags, SendFlags, recv, send};
use tokio::io::Interest;

use super::pump::{Broken, Filled, Leg};

/// Bytes that are copied at once. What comes in larger pieces is spliced.
pub(super) const LITTLE: usize = 4 << 10;

/// Pieces that are copied one after the other. A sender that goes on is served by pipe, with turns for the others.
const PIECES: usize = 16;

/// What waited.
pub(super) enum Waited {
    /// No more than was moved.
    Little,
    /// There may be more.
    Much,
    /// The sender has finished.
    End,
}

/// What one call read.
enum Read {
    /// As many bytes, all of which went on.
    Passed(usize),
    /// As many bytes, of which these wait until the receiver takes more.
    Left(usize, Vec<u8>),
}

impl Leg<'_> {
    /// Moves what waits, for as long as it is little.
    pub(super) async fn copy(&self) -> Result<Waited, Broken> {
        for _ in 0..PIECES {
            let count = match self.copy_some() {
                Ok(Read::Passed(count)) => count,
                Ok(Read::Left(count, left)) => {
                    self.write(&left).await?;
                    count
                }
                Err(Filled::Nothing) => return Ok(Waited::Little),
                Err(Filled::Broken(broken)) => return Err(broken),
            };
            match count {
                0 => return Ok(Waited::End),
                LITTLE => return Ok(Waited::Much),
                // Fewer need not be all that waits: there may be an urgent mark (tcp(7)) behind them.
                _ => {}
            }
        }
        Ok(Waited::Much)
    }

    /// One read, and one write of what it gave. Bytes are in user space only in between, unless the receiver is slow.
    fn copy_some(&self) -> Result<Read, Filled> {
        let mut buffer = [0; LITTLE];
        let count = self.read(&mut buffer)?;
        let bytes = &buffer[..count];
        let passed = match self.send(bytes) {
            Ok(passed) => passed,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(_) => return Err(Filled::Broken(Broken::Socket)),
        };
        Ok(if passed == count { Read::Passed(count) } else { Read::Left(count, bytes[passed..].to_vec()) })
    }

    /// Reads what waits and may be moved; 0 where the sender has finished.
    pub(super) fn read(&self, buffer: &mut [u8]) -> Result<usize, Filled> {
        let allowed = self.meter.map_or(buffer.len(), |meter| meter.take(buffer.len()));
        if allowed == 0 {
            return self.is_finished();
        }
        let receive = || Ok(recv(self.from, &mut buffer[..allowed], RecvFlags::DONTWAIT)?.0);
        let outcome = self.from.try_io(Interest::READABLE, receive);
        if let Some(meter) = self.meter {
            meter.give_back(allowed - outcome.as_ref().map_or(0, |count| *count));
        }
        Ok(outcome?)
    }

    /// Writes everything, and counts it.
    pub(super) async fn write(&self, mut bytes: &[u8]) -> Result<(), Broken> {
        while !bytes.is_empty() {
            match self.to.try_io(Interest::WRITABLE, || self.send(bytes)) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.to.writable().await.map_err(|_| Broken::Socket)?;
                }
                Err(_) => return Err(Broken::Socket),
            }
        }
        Ok(())
    }

    /// Writes what fits, and counts it. Also for a socket of which the event loop has not been told yet that it takes bytes.
    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let count = send(self.to, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?;
        self.moved.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
