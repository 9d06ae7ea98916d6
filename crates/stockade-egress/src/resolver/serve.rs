//! Serving the resolver at sockets that are handed in.
//!
//! Whoever asks is hostile: messages are read one by one into fixed buffers, connections are bounded in number, in what
//! they may send at once and in how long they may take, and nothing that a client does ends the loop.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Longest message that is read, in bytes. A question with EDNS and a signature is far shorter.
const MAX_QUERY: usize = 4_096;
/// How long nothing is tried when a socket has failed, as when the process has no descriptor left.
const PAUSE: Duration = Duration::from_millis(100);

/// Bounds on connections to the name server.
#[derive(Clone, Copy, Debug)]
pub struct TcpBounds {
    /// Connections at once; at least 1. Further ones wait to be accepted.
    pub connections: usize,
    /// How long a client may take to send a message, from the end of the one before, and how long to take the response.
    pub patience: Duration,
}

impl Default for TcpBounds {
    /// 64 connections, 10 seconds (RFC 7766, section 6.2.3, leaves the time to the server).
    fn default() -> Self {
        Self { connections: 64, patience: Duration::from_secs(10) }
    }
}

/// What gives the response to a message; `None` is silence. It must not block.
pub trait Respond: Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync + 'static {}

impl<F: Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync + 'static> Respond for F {}

/// Answers datagrams for as long as it is polled; the type says that nothing ends it. To be called in a runtime with I/O and
/// time.
pub async fn serve_udp(socket: UdpSocket, respond: Arc<impl Respond>) -> Infallible {
    // One byte more than may come, so that a longer message is told apart.
    let mut buffer = vec![0; MAX_QUERY + 1];
    loop {
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else {
            // An error that belongs to a datagram sent before (ICMP), or shortage of memory.
            sleep(PAUSE).await;
            continue;
        };
        if length > MAX_QUERY {
            continue;
        }
        if let Some(response) = respond(&buffer[..length]) {
            // A response that finds no room is lost, as any datagram may be; the client asks again. Waiting would let one
            // client hold up all others.
            drop(socket.try_send_to(&response, client));
        }
    }
}

/// Answers what one program sends by a connected socket that keeps messages apart, until it closes its end. To be called in a
/// runtime with I/O.
pub async fn serve_line(socket: UnixDatagram, respond: Arc<impl Respond>) {
    let mut buffer = vec![0; MAX_QUERY + 1];
    loop {
        // An empty message reads like the end, and is taken for it.
        let Ok(length @ 1..) = socket.recv(&mut buffer).await else { return };
        if length > MAX_QUERY {
            continue;
        }
        if let Some(response) = respond(&buffer[..length]) {
            // As with datagrams: what finds no room is lost.
            drop(socket.try_send(&response));
        }
    }
}

/// Answers connections for as long as it is polled (RFC 7766): messages with their length in front, any number one after
/// another, also sent without waiting. To be called in a runtime with I/O and time.
pub async fn serve_tcp(listener: TcpListener, bounds: TcpBounds, respond: Arc<impl Respond>) -> Infallible {
    let places = Arc::new(Semaphore::new(bounds.connections.max(1)));
    let mut connections = JoinSet::new();
    loop {
        // The semaphore is never closed, so waiting for a place fails only if it were.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            sleep(PAUSE).await;
            continue;
        };
        // Those that have ended are forgotten; there are never more than places.
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        let respond = Arc::clone(&respond);
        connections.spawn(async move {
            // Whatever ends a connection, the client sees it end; nobody else is concerned.
            drop(converse(stream, bounds.patience, respond.as_ref()).await);
            drop(place);
        });
    }
}

/// Answers the messages of one connection, in their order, until the client ends it or misbehaves.
async fn converse(mut stream: TcpStream, patience: Duration, respond: &impl Respond) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; MAX_QUERY];
    loop {
        let length = timeout(patience, read_message(&mut stream, &mut buffer)).await??;
        // Of a message that is not answered on a datagram socket, nothing good follows on a connection either.
        let Some(response) = respond(&buffer[..length]) else { return Ok(()) };
        let Ok(size) = u16::try_from(response.len()) else { return Ok(()) };
        let framed = [&size.to_be_bytes(), response.as_slice()].concat();
        timeout(patience, stream.write_all(&framed)).await??;
    }
}

async fn read_message(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let length = usize::from(stream.read_u16().await?);
    let room = buffer.get_mut(..length).ok_or(io::ErrorKind::InvalidData)?;
    stream.read_exact(room).await?;
    Ok(length)
}

#[cfg(test)]
mod tests;
