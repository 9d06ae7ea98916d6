//! Connecting to one of several addresses, the way of "happy eyeballs" (RFC 8305).
//!
//! The families take turns, beginning with the resolver's first choice, and each address gets 250 ms before the next one is
//! tried beside it. The first that answers wins; the others are given up. A host whose IPv6 is broken thus costs a quarter of
//! a second, not a timeout.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::error::DialError;

/// Addresses that are tried.
const MOST: usize = 8;

/// The "Connection Attempt Delay" of RFC 8305, section 5.
const STAGGER: Duration = Duration::from_millis(250);

/// The order in which addresses are tried, and how many: families in turn (RFC 8305, section 4).
pub(super) fn in_order(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let begins_with_ipv6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (mut one, mut other): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|address| address.is_ipv6() == begins_with_ipv6);
    one.dedup();
    other.dedup();
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut ordered = Vec::new();
    loop {
        let before = ordered.len();
        ordered.extend(one.next());
        ordered.extend(other.next());
        if ordered.len() == before || ordered.len() >= MOST {
            ordered.truncate(MOST);
            return ordered;
        }
    }
}

/// The first connection that is made. `speaks_first` says that there is something to send on it at once.
///
/// # Errors
/// That of the address that failed first, when all fail. The caller bounds the time.
pub(super) async fn first(
    addresses: Vec<SocketAddr>,
    speaks_first: bool,
) -> Result<(TcpStream, SocketAddr), DialError> {
    if let [only] = addresses[..] {
        return connect(only, speaks_first).await.map_err(DialError::Connect);
    }
    let mut waiting = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut failure = None;
    loop {
        if let Some(address) = waiting.next() {
            attempts.spawn(connect(address, false));
        }
        match next(&mut attempts, waiting.len() > 0).await {
            Progress::Connected(connected) => return Ok(connected),
            Progress::Failed(error) => failure = failure.or(Some(error)),
            Progress::Waited => {}
            Progress::NothingLeft => {
                return Err(DialError::Connect(failure.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into())));
            }
        }
    }
}

/// Connects to one address, and says which.
async fn connect(to: SocketAddr, speaks_first: bool) -> io::Result<(TcpStream, SocketAddr)> {
    let family = if to.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    if speaks_first {
        // What is sent first acknowledges the server's answer, which takes no packet of its own then. The kernel waits for it a
        // fifth of a second at most.
        sockopt::set_tcp_quickack(&socket, false)?;
    }
    let is_connected = begin(&socket, to)?;
    let socket = TcpStream::from_std(socket.into())?;
    if !is_connected {
        socket.writable().await?;
        if let Some(error) = socket.take_error()? {
            return Err(error);
        }
    }
    Ok((socket, to))
}

/// Begins to connect; whether it is done. From this host the answer has come by the time that the call returns, although it says
/// that it has not waited for it, and a second call says so: this saves one round of the event loop.
fn begin(socket: &OwnedFd, to: SocketAddr) -> io::Result<bool> {
    let mut outcome = rustix::net::connect(socket, &to);
    if outcome == Err(Errno::INPROGRESS) && to.ip().is_loopback() {
        outcome = rustix::net::connect(socket, &to);
    }
    match outcome {
        Ok(()) => Ok(true),
        Err(Errno::INPROGRESS | Errno::ALREADY | Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

enum Progress {
    Connected((TcpStream, SocketAddr)),
    Failed(io::Error),
    Waited,
    NothingLeft,
}

/// Waits for an attempt to end, and where more addresses wait, no longer than theirs.
async fn next(attempts: &mut JoinSet<io::Result<(TcpStream, SocketAddr)>>, more_wait: bool) -> Progress {
    let ended = if more_wait {
        match tokio::time::timeout(STAGGER, attempts.join_next()).await {
            Ok(ended) => ended,
            Err(_) => return Progress::Waited,
        }
    } else {
        attempts.join_next().await
    };
    match ended {
        Some(Ok(Ok(connected))) => Progress::Connected(connected),
        Some(Ok(Err(error))) => Progress::Failed(error),
        Some(Err(ended)) => Progress::Failed(io::Error::other(ended)),
        None if more_wait => Progress::Waited,
        None => Progress::NothingLeft,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_and_only_eight_are_tried() {
        let found = addresses(&["[2001:db8::1]:1", "[2001:db8::2]:1", "192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"]);
        let ordered = addresses(&["[2001:db8::1]:1", "192.0.2.1:1", "[2001:db8::2]:1", "192.0.2.2:1", "192.0.2.3:1"]);
        assert_eq!(in_order(found), ordered);
        assert_eq!(in_order((0..60).map(|n| SocketAddr::from(([192, 0, 2, n], 1))).collect()).len(), MOST);
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn a_refused_address_does_not_wait_for_the_stagger() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        let bad = SocketAddr::from(([127, 0, 0, 9], good.port()));
        let begun = Instant::now();
        let (socket, address) = run(first(vec![bad, good], true)).unwrap();
        assert_eq!((socket.peer_addr().unwrap(), address), (good, good));
        assert!(begun.elapsed() < STAGGER);
    }

    #[test]
    fn an_address_that_does_not_answer_costs_a_quarter_of_a_second() {
        // A listener with a full backlog does not answer.
        let silent = rustix_listener();
        let address = silent.local_addr().unwrap();
        let _fill: Vec<_> = (0..4).map(|_| nonblocking_connect(address)).collect();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        let begun = Instant::now();
        let (socket, _) = run(first(vec![address, good], true)).unwrap();
        assert_eq!(socket.peer_addr().unwrap(), good);
        assert!(begun.elapsed() >= STAGGER && begun.elapsed() < STAGGER * 4, "{:?}", begun.elapsed());
    }

    fn rustix_listener() -> std::net::TcpListener {
        use rustix::net::{AddressFamily, SocketType, bind, listen, socket};
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        listen(&socket, 1).unwrap();
        socket.into()
    }

    fn nonblocking_connect(to: SocketAddr) -> std::os::fd::OwnedFd {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::NONBLOCK, None).unwrap();
        assert_eq!(connect(&socket, &to), Err(rustix::io::Errno::INPROGRESS));
        socket
    }
}
