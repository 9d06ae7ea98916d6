//! Asking an upstream HTTP proxy for a tunnel.

use std::io;
use std::net::IpAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::error::DialError;
use super::upstream::Upstream;
use crate::rules::Host;

/// Longest answer's head, in bytes.
const LONGEST_HEAD: usize = 8 * 1024;

/// Asks for a tunnel to `host`, and reads exactly the head of the answer: what follows belongs to the tunnel.
pub(super) async fn ask(socket: &mut TcpStream, upstream: &Upstream, host: &Host, port: u16) -> Result<(), DialError> {
    socket.write_all(request(upstream, host, port).as_bytes()).await.map_err(DialError::Proxy)?;
    let head = read_head(socket).await?;
    match status_of(&head) {
        Some(200..=299) => Ok(()),
        Some(status) => Err(DialError::ProxyStatus(status)),
        None => Err(DialError::ProxyAnswer),
    }
}

fn request(upstream: &Upstream, host: &Host, port: u16) -> String {
    let target = match host {
        Host::Address(IpAddr::V6(address)) => format!("[{address}]:{port}"),
        _ => format!("{host}:{port}"),
    };
    let authorization =
        upstream.authorization().map(|value| format!("Proxy-Authorization: {value}\r\n")).unwrap_or_default();
    format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n")
}

/// Reads up to the empty line and not a byte further, by looking at what is there before taking it.
async fn read_head(socket: &mut TcpStream) -> Result<Vec<u8>, DialError> {
    let mut head = Vec::new();
    let mut seen = [0; 1024];
    while head.len() < LONGEST_HEAD {
        let count = socket.peek(&mut seen).await.map_err(DialError::Proxy)?;
        if count == 0 {
            return Err(DialError::Proxy(io::ErrorKind::UnexpectedEof.into()));
        }
        let before = head.len();
        head.extend_from_slice(&seen[..count]);
        let end = head.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
        let wanted = end.unwrap_or(head.len()) - before;
        socket.read_exact(&mut seen[..wanted]).await.map_err(DialError::Proxy)?;
        if let Some(end) = end {
            head.truncate(end);
            return Ok(head);
        }
    }
    Err(DialError::ProxyAnswer)
}

/// The status of a head: `HTTP/1.1 200 Established`.
fn status_of(head: &[u8]) -> Option<u16> {
    let rest = head.strip_prefix(b"HTTP/1.")?;
    let [b'0' | b'1', b' ', a, b, c, b' ' | b'\r', ..] = rest else { return None };
    let digits = [*a, *b, *c];
    std::str::from_utf8(&digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A proxy that gives `answer` in pieces of `piece` bytes; returns the outcome, what it was asked, and what the tunnel gave.
    fn asked(answer: &'static [u8], piece: usize) -> (Result<(), DialError>, String, Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (mut proxy, _) = listener.accept().await.unwrap();
            let serving = tokio::spawn(async move {
                let mut asked = vec![0; 4096];
                let count = proxy.read(&mut asked).await.unwrap();
                for piece in answer.chunks(piece) {
                    proxy.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
                String::from_utf8(asked[..count].to_vec()).unwrap()
            });
            let upstream = Upstream::new("http://u:p@proxy.example:1", "").unwrap();
            let outcome = ask(&mut socket, &upstream, &"a.example".parse().unwrap(), 22).await;
            let asked = serving.await.unwrap();
            let mut rest = Vec::new();
            if outcome.is_ok() {
                socket.read_to_end(&mut rest).await.unwrap();
            }
            (outcome, asked, rest)
        })
    }

    #[test]
    fn the_tunnel_begins_right_after_the_head() {
        for piece in [1, 3, 1000] {
            let (outcome, asked, rest) = asked(b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\nSSH-2.0-x\r\n", piece);
            outcome.unwrap();
            assert_eq!(rest, b"SSH-2.0-x\r\n");
            let expected =
                "CONNECT a.example:22 HTTP/1.1\r\nHost: a.example:22\r\nProxy-Authorization: Basic dTpw\r\n\r\n";
            assert_eq!(asked, expected);
        }
    }

    #[test]
    fn refusals_and_nonsense_are_told_apart() {
        assert!(matches!(asked(b"HTTP/1.1 407 Who?\r\n\r\n", 100).0, Err(DialError::ProxyStatus(407))));
        assert!(matches!(asked(b"220 mail.example\r\n\r\n", 100).0, Err(DialError::ProxyAnswer)));
        assert!(matches!(asked(b"HTTP/1.1 2", 100).0, Err(DialError::Proxy(_))));
        static ENDLESS: [u8; 10_000] = [b'a'; 10_000];
        assert!(matches!(asked(&ENDLESS, 1000).0, Err(DialError::ProxyAnswer)));
    }

    #[test]
    fn addresses_of_ipv6_are_in_brackets() {
        let upstream = Upstream::new("http://proxy.example:1", "").unwrap();
        let request = request(&upstream, &"2001:db8::1".parse().unwrap(), 443);
        assert!(
            request.starts_with("CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n"),
            "{request}"
        );
    }
}
