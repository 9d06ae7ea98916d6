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

    /// Accepts a connection with the spare descriptor, and breaks it off. Whether there was one.
    fn shed(&self, listener: &TcpListener) -> bool {
        let mut descriptor = self.descriptor.lock().unwrap_or_else(PoisonError::into_inner);
        drop(descriptor.take());
        let shed = rustix::net::accept(listener.as_fd());
        let was_there = shed.is_ok();
        if let Ok(socket) = shed {
            pair::close_with_reset(&socket);
        }
        // Where another thread was faster, the next one tries again.
        *descriptor = placeholder().ok();
        was_there
    }
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
