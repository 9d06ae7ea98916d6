//! Both directions of a connection until its end: half-closes one by one, and a break on one side as a break on the other.

use std::io;
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown, recv, shutdown, sockopt};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::pump::Broken;

/// How long a connection may stay closed on one side without a byte moving, and at most twice as long. RFC 1122, section 4.2.2.13
/// sets no bound, but a peer that vanished inside the sandbox, or has forgotten the connection, would hold its place for ever.
const HALF_CLOSED_IDLE: Duration = Duration::from_secs(600);

/// How long a connection is silent before the kernel asks whether its peer still exists (tcp(7), `TCP_KEEPIDLE`).
const SILENCE: Duration = Duration::from_secs(60);

/// Algorithms that do not pace; every kernel has the first one (ip-sysctl.rst, `tcp_congestion_control`).
const UNPACED: [&str; 2] = ["reno", "cubic"];

/// Which direction broke a connection off, and how.
#[derive(Debug)]
pub(crate) enum Break {
    /// The way from the client to the server.
    Up(Broken),
    /// The way back.
    Down(Broken),
    /// Nothing moved on a connection that was closed on one side.
    Idle,
}

/// Runs both directions until both senders have finished, and passes the end of the first on as a half-close. That of the
/// other is told by closing both sockets, which is the caller's.
///
/// # Errors
/// The first break; the other direction is given up then.
pub(crate) async fn run(
    up: impl Future<Output = Result<(), Broken>>,
    down: impl Future<Output = Result<(), Broken>>,
    sockets: (&TcpStream, &TcpStream),
    moved: (&AtomicU64, &AtomicU64),
) -> Result<(), Break> {
    let (client, server) = sockets;
    let (mut up, mut down) = (pin!(up), pin!(down));
    tokio::select! {
        ended = &mut up => {
            ended.and_then(|()| half_close(server)).map_err(Break::Up)?;
            last(down, client, moved.1).await.map_err(|broken| broken.map_or(Break::Idle, Break::Down))
        }
        ended = &mut down => {
            ended.and_then(|()| half_close(client)).map_err(Break::Down)?;
            last(up, server, moved.0).await.map_err(|broken| broken.map_or(Break::Idle, Break::Up))
        }
    }
}

fn half_close(receiver: &TcpStream) -> Result<(), Broken> {
    shutdown(receiver, Shutdown::Write).map_err(|_| Broken::Socket)
}

/// Runs the direction that is left to a socket whose own sending is over. Nothing reads from that socket any more, so its
/// errors are watched for.
async fn last(
    mut direction: std::pin::Pin<&mut impl Future<Output = Result<(), Broken>>>,
    receiver: &TcpStream,
    moved: &AtomicU64,
) -> Result<(), Option<Broken>> {
    loop {
        let before = moved.load(Ordering::Relaxed);
        tokio::select! {
            ended = &mut direction => return ended.map_err(Some),
            _ = receiver.ready(Interest::ERROR) => return Err(Some(Broken::Socket)),
            () = tokio::time::sleep(HALF_CLOSED_IDLE) => {
                if moved.load(Ordering::Relaxed) == before {
                    return Err(None);
                }
            }
        }
    }
}

/// A socket whose closing is a break (RST) for its peer, unless both sides have finished: also where the gate ends first, so that
/// what was cut off cannot pass for complete.
#[derive(Debug)]
pub(crate) struct Ends {
    socket: TcpStream,
    has_finished: bool,
}

impl Ends {
    pub(crate) const fn new(socket: TcpStream) -> Self {
        Self { socket, has_finished: false }
    }

    pub(crate) const fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Has the socket be closed in order.
    pub(crate) const fn finish(&mut self) {
        self.has_finished = true;
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        if !self.has_finished {
            close_with_reset(&self.socket);
        }
    }
}

/// Makes the closing of a socket send RST in place of FIN (socket(7), `SO_LINGER`), so that its peer can tell a break from an end.
pub(crate) fn close_with_reset(socket: impl AsFd) {
    // Fails on nothing but a descriptor that is no socket. Were it to, the peer would see an end, no more.
    let outcome = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
    debug_assert!(outcome.is_ok(), "{outcome:?}");
}

/// Whether bytes wait already.
pub(crate) fn has_spoken(socket: &TcpStream) -> bool {
    recv(socket, &mut [0][..], RecvFlags::PEEK | RecvFlags::DONTWAIT).is_ok_and(|(count, _)| count > 0)
}

/// Sets what both sockets of a connection need: no delay of small packets, since the sender has already decided what to send
/// together. A socket that listens hands it on to those that are accepted from it. Unix sockets, which some sandboxes have in
/// the place of those of TCP, know no delay.
pub(crate) fn set_prompt(socket: impl AsFd) -> io::Result<()> {
    match sockopt::set_tcp_nodelay(socket, true) {
        Err(Errno::OPNOTSUPP) => Ok(()),
        outcome => Ok(outcome?),
    }
}

/// Sets what a socket to another host needs besides: probes while it is silent, since hosts vanish without a word.
pub(crate) fn set_probing(socket: &TcpStream) -> io::Result<()> {
    sockopt::set_socket_keepalive(socket, true)?;
    Ok(sockopt::set_tcp_keepidle(socket, SILENCE)?)
}

/// Sets what a socket needs besides that leads to the host itself: no pacing. Memory has no congestion to avoid, and an algorithm
/// that paces what is sent (BBR, where a host has chosen it) takes as long for that as copying takes.
pub(crate) fn set_unpaced(socket: &TcpStream) {
    static IS_PACED: OnceLock<bool> = OnceLock::new();
    if *IS_PACED.get_or_init(|| sockopt::tcp_congestion(socket).map_or(true, |usual| paces(&usual))) {
        // It works with pacing, too.
        unpace(socket).ok();
    }
}

/// Whether an algorithm may pace.
fn paces(algorithm: &str) -> bool {
    !UNPACED.contains(&algorithm)
}

fn unpace(socket: &TcpStream) -> io::Result<()> {
    Ok(sockopt::set_tcp_congestion(socket, UNPACED[0])?)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[test]
    fn every_kernel_has_the_algorithm_that_does_not_pace() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            unpace(&socket).unwrap();
            assert!(!paces(&sockopt::tcp_congestion(&socket).unwrap()) && paces("bbr"));
        });
    }

    #[test]
    fn who_has_spoken_is_seen_without_taking_anything() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (server, _) = listener.accept().await.unwrap();
            assert!(!has_spoken(&server));
            rustix::net::send(&client, b"x", rustix::net::SendFlags::empty()).unwrap();
            server.readable().await.unwrap();
            assert!(has_spoken(&server) && has_spoken(&server));
            shutdown(&server, Shutdown::Write).unwrap();
            client.readable().await.unwrap();
            assert!(!has_spoken(&client), "an end is nothing said");
        });
    }

    #[test]
    fn a_connection_that_is_closed_half_ends_when_nothing_moves_any_more() {
        // Time stands still but for the sleeps, and jumps from one to the next.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (server, _) = listener.accept().await.unwrap();
            let (sent, received) = (AtomicU64::new(0), AtomicU64::new(0));
            let begun = tokio::time::Instant::now();
            // For an hour and some, something comes back every four minutes.
            let down = async {
                for _ in 0..16 {
                    tokio::time::sleep(Duration::from_secs(240)).await;
                    received.fetch_add(1, Ordering::Relaxed);
                }
                pending().await
            };
            let outcome = run(ready(Ok(())), down, (&client, &server), (&sent, &received)).await;
            assert!(matches!(outcome, Err(Break::Idle)), "{outcome:?}");
            let minutes = begun.elapsed().as_secs() / 60;
            // The last byte comes after 64 minutes; the bound is reached between one and two of its lengths later.
            assert!((74..85).contains(&minutes), "after {minutes} minutes");
        });
    }
}
