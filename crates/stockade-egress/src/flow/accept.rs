//! Accepting connections, also where descriptors are used up.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};

use super::pair;

/// How long is waited after an error that would come again at once.
const PAUSE: Duration = Duration::from_millis(20);

/// Connections that are broken off before the others get their turn.
const SHED_AT_ONCE: usize = 64;

/// A descriptor that is kept in order to be able to accept a connection, and break it off, when no other is left.
///
/// Without it the connection would stay in the queue, where its program waits for ever, and the listening socket would stay
/// readable, so that the gate would try again and again.
#[derive(Debug)]
pub(crate) struct Spare {
    descriptor: Mutex<Option<OwnedFd>>,
}

impl Spare {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { descriptor: Mutex::new(Some(placeholder()?)) })
    }

    /// Accepts what waits with the spare descriptor, and breaks it off. Whether there was something.
    fn shed(&self, listener: &TcpListener) -> bool {
        let mut descriptor = self.descriptor.lock().unwrap_or_else(PoisonError::into_inner);
        drop(descriptor.take());
        let mut count = 0;
        while count < SHED_AT_ONCE && self::shed(listener) {
            count += 1;
        }
        // Where another thread was faster, the next one tries again.
        *descriptor = placeholder().ok();
        count > 0
    }
}

/// Breaks off one connection that waits. The listening socket does not block.
fn shed(listener: &TcpListener) -> bool {
    rustix::net::accept(listener.as_fd()).map(pair::close_with_reset).is_ok()
}

fn placeholder() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::CLOEXEC)?)
}

/// What came of accepting.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// A connection.
    Socket(TcpStream),
    /// A connection was broken off, because descriptors are used up.
    Shed,
}

/// The next connection. Errors of a single connection (accept(2)) are passed over; those that would come again are waited out.
pub(crate) async fn next(listener: &TcpListener, spare: &Spare) -> Accepted {
    loop {
        let error = match listener.accept().await {
            Ok((socket, _)) => return Accepted::Socket(socket),
            Err(error) => error,
        };
        match Errno::from_io_error(&error) {
            Some(Errno::CONNABORTED | Errno::INTR | Errno::PROTO) => {}
            Some(Errno::MFILE | Errno::NFILE) => {
                let was_there = spare.shed(listener);
                tokio::time::sleep(PAUSE).await;
                if was_there {
                    return Accepted::Shed;
                }
            }
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
}
