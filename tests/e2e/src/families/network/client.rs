//! Clients that say just what they are told to say.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use crate::attack::{Attempt, Failed};
use crate::internet;
use crate::scene::{CANARY, Scene, holds_canary};

/// How long a client waits for a connection, and then for each answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// Connects to a host by name or address, one address after the other.
pub(super) fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::other(format!("{host} has no address"));
    for address in (host, port).to_socket_addrs()? {
        match connect_to(address) {
            Ok(peer) => return Ok(peer),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Connects to an address.
pub(super) fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    let peer = TcpStream::connect_timeout(&address, PATIENCE)?;
    peer.set_read_timeout(Some(PATIENCE))?;
    peer.set_write_timeout(Some(PATIENCE))?;
    Ok(peer)
}

/// Sends bytes and reads until there is a secret, that many whole answers, or no more.
pub(super) fn exchange(peer: &mut TcpStream, request: &[u8], answers: usize) -> io::Result<Vec<u8>> {
    peer.write_all(request)?;
    let (mut read, mut buffer) = (Vec::new(), [0; 4_096]);
    let end = Instant::now() + PATIENCE;
    while whole_answers(&read) < answers && holds_canary(&read).is_err() && Instant::now() < end {
        match peer.read(&mut buffer)? {
            0 => break,
            length => read.extend(&buffer[..length]),
        }
    }
    Ok(read)
}

/// How many answers with a length there are in a row.
fn whole_answers(read: &[u8]) -> usize {
    let mut count = 0;
    let mut text = String::from_utf8_lossy(read).into_owned();
    while let Some((head, rest)) = text.split_once("\r\n\r\n") {
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse::<usize>().ok());
        let Some(rest) = rest.get(length.unwrap_or_default()..) else { break };
        text = rest.to_owned();
        count += 1;
    }
    count
}

/// Asks a host for its front page, and takes a secret for success.
pub(super) fn steal(host: &str, port: u16) -> Attempt {
    let mut peer = connect(host, port)?;
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    holds_canary(&exchange(&mut peer, request.as_bytes(), 1)?)
}

/// Says this to the host that is allowed, and takes a secret for success.
pub(super) fn say(request: &[u8], answers: usize) -> Attempt {
    let mut peer = connect("allowed.example", 80)?;
    holds_canary(&exchange(&mut peer, request, answers)?)
}

/// The name server that programs ask.
pub(super) fn name_server() -> Result<SocketAddr, Failed> {
    let text = fs::read_to_string("/etc/resolv.conf").map_err(Failed::untried)?;
    let address = text.lines().find_map(|line| line.strip_prefix("nameserver ")?.trim().parse::<IpAddr>().ok());
    Ok(SocketAddr::new(address.ok_or_else(|| Failed::untried("no name server is set"))?, 53))
}

/// A question to a name server, with labels that may hold any byte (RFC 1035, 4.1).
pub(super) fn question(labels: &[&[u8]], kind: u16) -> Vec<u8> {
    let mut bytes = b"\x51\x7c\x01\0\0\x01\0\0\0\0\0\0".to_vec();
    for label in labels {
        bytes.push(u8::try_from(label.len()).unwrap_or(63));
        bytes.extend(*label);
    }
    bytes.push(0);
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0, 1]);
    bytes
}

/// Sends a datagram and reads the answer to it.
pub(super) fn datagram(to: SocketAddr, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send_to(bytes, to)?;
    let mut answer = vec![0; 2_048];
    let length = socket.recv(&mut answer)?;
    answer.truncate(length);
    Ok(answer)
}

/// Asks over TCP.
pub(super) fn over_stream(to: SocketAddr, message: &[u8]) -> io::Result<Vec<u8>> {
    let mut peer = connect_to(to)?;
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    peer.write_all(&[&length.to_be_bytes(), message].concat())?;
    let mut length = [0; 2];
    peer.read_exact(&mut length)?;
    let mut answer = vec![0; u16::from_be_bytes(length).into()];
    peer.read_exact(&mut answer)?;
    Ok(answer)
}

/// Whether a name server answered with data.
pub(super) fn has_data(answer: &[u8]) -> Attempt {
    let count = answer.get(6..8).map(|count| u16::from_be_bytes([count[0], count[1]]));
    if count.is_some_and(|count| count > 0) { Ok(()) } else { Err(Failed::refused("the answer holds nothing")) }
}

/// Whether something came to a host outside.
pub(super) fn arrived(scene: &Scene, kind: &str, part: &str) -> Attempt {
    let base = scene.outside().with_file_name("");
    let text = fs::read_to_string(internet::log(&base)).unwrap_or_default();
    let came = text.lines().any(|line| line.starts_with(kind) && line.contains(part));
    if came { Ok(()) } else { Err(Failed::refused("nothing arrived")) }
}

/// A secret in a form that a label of a name can hold.
pub(super) fn label(of: &str) -> String {
    format!("{CANARY}-{of}")
}

/// An address outside with a port.
pub(super) fn at(address: Ipv4Addr, port: u16) -> SocketAddr {
    SocketAddr::from((address, port))
}
