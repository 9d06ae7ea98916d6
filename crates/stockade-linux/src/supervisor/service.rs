//! The supervisor's side of the socket service: sockets inside the sandbox's network namespace, made by init.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use thiserror::Error;

use crate::stage::channel::{Channel, Received};
use crate::stage::message::MessageError;
use crate::stage::service_message::{Answer, Request, Wanted};

/// How long init may take for one socket. It takes microseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Makes TCP sockets inside. One is made at a time; threads that share the service wait for each other.
#[derive(Debug)]
pub struct SocketService(Mutex<Line>);

#[derive(Debug)]
struct Line {
    channel: Channel,
    /// The number of the last request.
    last: u32,
}

/// Why a socket was not made inside.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The kernel refused it, inside.
    #[error("cannot {} {address} inside the sandbox", words(*wanted))]
    Refused {
        /// What the socket was for.
        wanted: Wanted,
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Init does not answer.
    #[error("the first process of the sandbox made no socket within {0:?}; is it stopped, or the machine overloaded?")]
    Silent(Duration),
    /// Init has ended: the run is over, or about to be.
    #[error("the sandbox has ended")]
    Gone,
    /// The channel to init failed.
    #[error("cannot talk to the first process of the sandbox")]
    Channel(#[source] io::Error),
    /// Init sent what is no answer.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// Init sent an answer without its socket.
    #[error("the first process of the sandbox sent an answer without a socket")]
    NoSocket,
}

const fn words(wanted: Wanted) -> &'static str {
    match wanted {
        Wanted::Listen => "listen at",
        Wanted::Connect => "connect to",
    }
}

impl From<ServiceError> for io::Error {
    /// Keeps the kernel's error number, by which callers tell refusals apart.
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Refused { source, .. } | ServiceError::Channel(source) => source,
            ServiceError::Silent(_) => Self::new(io::ErrorKind::TimedOut, error),
            ServiceError::Gone => Self::new(io::ErrorKind::BrokenPipe, error),
            ServiceError::Message(_) | ServiceError::NoSocket => Self::new(io::ErrorKind::InvalidData, error),
        }
    }
}

impl SocketService {
    /// A service, and the end of it that is init's.
    pub(crate) fn pair() -> io::Result<(Self, Channel)> {
        let (ours, theirs) = Channel::pair()?;
        // A full queue means that nothing is answered.
        set_socket_timeout(&ours, Timeout::Send, Some(PATIENCE))?;
        Ok((Self(Mutex::new(Line { channel: ours, last: 0 })), theirs))
    }

    /// A socket that listens at exactly that address and port; it does not block, and is closed on exec.
    ///
    /// # Errors
    /// See [`ServiceError`]; `EADDRINUSE` where a program inside listens at that port of every address.
    pub fn listen(&self, at: SocketAddr) -> Result<OwnedFd, ServiceError> {
        self.ask(Wanted::Listen, at)
    }

    /// A socket that connects to an address inside; it does not block, and is closed on exec. It is still connecting, also
    /// to loopback: it becomes writable when that is decided, and `SO_ERROR` says how (`connect(2)`, `EINPROGRESS`).
    ///
    /// # Errors
    /// See [`ServiceError`].
    pub fn connect(&self, to: SocketAddr) -> Result<OwnedFd, ServiceError> {
        self.ask(Wanted::Connect, to)
    }

    fn ask(&self, wanted: Wanted, address: SocketAddr) -> Result<OwnedFd, ServiceError> {
        let mut line = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = line.last.wrapping_add(1);
        line.last = number;
        line.channel.send(&Request { number, wanted, address }.encode(), &[]).map_err(channel_failed)?;
        let until = Instant::now() + PATIENCE;
        loop {
            let (packet, mut sockets) = next(&line.channel, until)?;
            let answer = Answer::decode(&packet)?;
            match (answer.errno, sockets.pop()) {
                // To a request whose answer was not waited for any longer; its socket is closed here.
                _ if answer.number != number => {}
                (0, Some(socket)) => return Ok(socket),
                (0, None) => return Err(ServiceError::NoSocket),
                (errno, _) => {
                    let source = io::Error::from_raw_os_error(errno);
                    return Err(ServiceError::Refused { wanted, address, source });
                }
            }
        }
    }
}

/// The next packet, with its descriptors.
fn next(channel: &Channel, until: Instant) -> Result<(Vec<u8>, Vec<OwnedFd>), ServiceError> {
    loop {
        match channel.receive().map_err(channel_failed)? {
            Received::Packet(packet, descriptors) => return Ok((packet, descriptors)),
            Received::Closed => return Err(ServiceError::Gone),
            Received::Nothing => {}
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ServiceError::Silent(PATIENCE));
        }
        // Rounded up, so that the time has really come when poll returns.
        let timeout = Timespec::try_from(left + Duration::from_micros(100)).ok();
        match poll(&mut [PollFd::new(channel, PollFlags::IN)], timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(ServiceError::Channel(error.into())),
        }
    }
}

fn channel_failed(error: io::Error) -> ServiceError {
    match error.raw_os_error() {
        Some(libc::EPIPE | libc::ECONNRESET) => ServiceError::Gone,
        Some(libc::EAGAIN) => ServiceError::Silent(PATIENCE),
        _ => ServiceError::Channel(error),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsFd;
    use std::thread;

    use super::*;
    use crate::stage::gate::serve;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    /// Answers like init, until the service is gone.
    fn init(channel: &Channel) {
        while serve(channel).expect("the channel works") {
            poll(&mut [PollFd::new(channel, PollFlags::IN)], None).expect("it can be polled");
        }
    }

    #[test]
    fn sockets_are_made_and_refusals_have_their_number() {
        let (service, theirs) = SocketService::pair().expect("a pair");
        thread::scope(|scope| {
            scope.spawn(|| init(&theirs));
            let listener = TcpListener::from(service.listen(address("127.0.0.1:0")).expect("it listens"));
            let at = listener.local_addr().expect("it has an address");
            let flags = rustix::fs::fcntl_getfl(&listener).expect("it has flags");
            assert!(flags.contains(rustix::fs::OFlags::NONBLOCK));
            let closed = rustix::io::fcntl_getfd(&listener).expect("it has flags");
            assert!(closed.contains(rustix::io::FdFlags::CLOEXEC));
            let client = service.connect(at).expect("it connects");
            poll(&mut [PollFd::new(&listener, PollFlags::IN)], None).expect("somebody connects");
            let (_, peer) = listener.accept().expect("somebody has connected");
            assert_eq!(std::net::TcpStream::from(client).local_addr().expect("connected"), peer);
            let refused = service.listen(at).expect_err("it is taken");
            assert!(matches!(refused, ServiceError::Refused { wanted: Wanted::Listen, .. }), "{refused}");
            assert_eq!(io::Error::from(refused).raw_os_error(), Some(libc::EADDRINUSE));
            drop(service);
        });
    }

    #[test]
    fn silence_ends_and_late_answers_are_not_mistaken() {
        let (service, theirs) = SocketService::pair().expect("a pair");
        let started = Instant::now();
        assert!(matches!(service.listen(address("127.0.0.1:0")), Err(ServiceError::Silent(_))));
        assert!((PATIENCE..PATIENCE * 3).contains(&started.elapsed()), "{:?}", started.elapsed());
        // The answer to the first request comes now, before that to the second.
        thread::scope(|scope| {
            scope.spawn(|| init(&theirs));
            assert!(matches!(service.listen(address("192.0.2.1:0")), Err(ServiceError::Refused { .. })));
            drop(service);
        });
    }

    #[test]
    fn nonsense_and_the_end_of_init_are_errors() {
        let (service, theirs) = SocketService::pair().expect("a pair");
        theirs.send(b"nonsense!", &[]).expect("it is sent");
        assert!(matches!(service.listen(address("127.0.0.1:0")), Err(ServiceError::Message(_))));
        theirs.send(&Answer { number: 2, errno: 0 }.encode(), &[]).expect("it is sent");
        assert!(matches!(service.listen(address("127.0.0.1:0")), Err(ServiceError::NoSocket)));
        let other = Answer { number: 2, errno: 0 };
        theirs.send(&other.encode(), &[theirs.as_fd()]).expect("it is sent");
        drop(theirs);
        assert!(matches!(service.listen(address("127.0.0.1:0")), Err(ServiceError::Gone)));
    }
}
