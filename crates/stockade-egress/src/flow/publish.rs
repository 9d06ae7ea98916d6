//! Published ports: connections of the host's programs to a server inside.
//!
//! They come from the host's loopback only, and what they carry is not looked at: whoever connects decides what to send.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};

use super::accept::{self, Accepted};
use super::limits::Slot;
use super::pair::{self, Ends};
use super::pump::Leg;
use super::record::Record;
use crate::event::{Direction, End};
use crate::gate::Shared;

/// How long a server inside may take to accept.
const WITHIN: Duration = Duration::from_secs(5);

/// Accepts at one address of the host for as long as it is polled. What is beyond the bound on connections at once is broken off.
pub(crate) async fn publish(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let Accepted::Socket(client) = accept::next(&listener, &shared.spare).await else { continue };
        if shared.events.is_full() {
            pair::close_with_reset(&client);
            continue;
        }
        match shared.published.open(Instant::now()) {
            Ok(slot) => drop(tokio::spawn(run(Arc::clone(&shared), client, slot))),
            Err(_) => pair::close_with_reset(&client),
        }
    }
}

async fn run(shared: Arc<Shared>, client: TcpStream, slot: Slot) {
    let (Ok(peer), Ok(local)) = (client.peer_addr(), client.local_addr()) else { return };
    let record = Record::new(&shared.events, Direction::Published, peer.ip().to_string(), local.port());
    record.set_cause("published", None);
    let mut client = Ends::new(client);
    match connect(&shared, local.port()).await {
        Err(error) => record.set_end(End::Unreachable(error.to_string())),
        Ok((server, address)) => {
            record.set_address(Some(address.ip()));
            let mut server = Ends::new(server);
            if carry(&shared, client.socket(), server.socket(), &record).await {
                client.finish();
                server.finish();
                record.set_end(End::Closed);
            } else {
                record.set_end(End::Reset);
            }
        }
    }
    drop(slot);
}

/// Connects inside: by IPv4, and where nothing listens there, by IPv6.
async fn connect(shared: &Arc<Shared>, port: u16) -> io::Result<(TcpStream, SocketAddr)> {
    let mut failure = None;
    for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
        let address = SocketAddr::new(ip, port);
        match tokio::time::timeout(WITHIN, connect_to(shared, address)).await {
            Ok(Ok(socket)) => return Ok((socket, address)),
            Ok(Err(error)) => failure = failure.or(Some(error)),
            Err(_) => failure = failure.or(Some(io::ErrorKind::TimedOut.into())),
        }
    }
    Err(failure.unwrap_or_else(|| io::ErrorKind::ConnectionRefused.into()))
}

async fn connect_to(shared: &Arc<Shared>, address: SocketAddr) -> io::Result<TcpStream> {
    let shared = Arc::clone(shared);
    let connecting = tokio::task::spawn_blocking(move || shared.inside().connect(address));
    let socket = std::net::TcpStream::from(connecting.await.map_err(io::Error::other)??);
    socket.set_nonblocking(true)?;
    let socket = TcpStream::from_std(socket)?;
    socket.writable().await?;
    match socket.take_error()? {
        Some(error) => Err(error),
        None => Ok(socket),
    }
}

/// Moves bytes both ways. Whether both sides ended in order.
async fn carry(shared: &Shared, client: &TcpStream, server: &TcpStream, record: &Record) -> bool {
    if pair::set_prompt(server).is_err() {
        return false;
    }
    let pipes = &shared.pipes;
    let up = Leg { from: client, to: server, meter: None, moved: &record.sent, pipes };
    let down = Leg { from: server, to: client, meter: None, moved: &record.received, pipes };
    pair::run(up.run(), down.run(), (client, server), (&record.sent, &record.received)).await.is_ok()
}
