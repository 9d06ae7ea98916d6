//! What is little is copied: two calls, where a way by a pipe takes three and holds a pipe meanwhile.

use std::io;
use std::sync::atomic::Ordering;

use rustix::net::{RecvFlags, SendFlags, recv, send};
use tokio::io::Interest;

use super::pump::{Broken, Filled, Leg};

/// Bytes that are copied at once. What comes in larger pieces is spliced.
pub(super) const LITTLE: usize = 4 << 10;

/// Reads that are made for one write. A sender that goes on is served by pipe, with turns for the others.
const READS: usize = 16;

/// What waited.
pub(super) enum Waited {
    /// No more than was moved.
    Little,
    /// There may be more.
    Much,
    /// The sender has finished.
    End,
}

/// Bytes of one write.
struct Gathered {
    /// How many.
    count: usize,
    /// What comes after them.
    then: Result<Waited, Broken>,
}

impl Leg<'_> {
    /// Moves what waits, if it is little.
    pub(super) async fn copy(&self) -> Result<Waited, Broken> {
        let (then, left) = self.copy_some()?;
        self.write(&left).await?;
        then
    }

    /// Some reads, and one write of what they gave: what is left waits until the receiver takes more. Otherwise bytes are in user
    /// space within this call only, so that an idle connection has no buffer.
    fn copy_some(&self) -> Result<(Result<Waited, Broken>, Vec<u8>), Broken> {
        let mut buffer = [0; LITTLE];
        let Gathered { count, then } = self.gather(&mut buffer);
        let bytes = &buffer[..count];
        // The end is told right after, by the same packet.
        let more = if matches!(then, Ok(Waited::End)) { SendFlags::MORE } else { SendFlags::empty() };
        let passed = match self.send(bytes, more) {
            Ok(passed) => passed,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(_) => return Err(Broken::Socket),
        };
        Ok((then, bytes[passed..].to_vec()))
    }

    /// Reads until nothing waits. One read need not give all that does: it ends at an urgent mark (tcp(7)).
    fn gather(&self, buffer: &mut [u8; LITTLE]) -> Gathered {
        let mut count = 0;
        for _ in 0..READS {
            let then = match self.read(&mut buffer[count..]) {
                Ok(0) => Ok(Waited::End),
                Ok(more) => {
                    count += more;
                    if count < LITTLE {
                        continue;
                    }
                    Ok(Waited::Much)
                }
                Err(Filled::Nothing) => Ok(Waited::Little),
                Err(Filled::Broken(broken)) => Err(broken),
            };
            return Gathered { count, then };
        }
        Gathered { count, then: Ok(Waited::Much) }
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
            match self.to.try_io(Interest::WRITABLE, || self.send(bytes, SendFlags::empty())) {
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
    fn send(&self, bytes: &[u8], more: SendFlags) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let count = send(self.to, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT | more)?;
        self.moved.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
