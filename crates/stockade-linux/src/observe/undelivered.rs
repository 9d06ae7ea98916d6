//! Datagrams that reached nobody, seen by the notices that the kernel sends back.
//!
//! Connecting a UDP socket sends nothing, and programs do it to learn their own address (RFC 6724, as `getaddrinfo(3)`
//! does for every answer), so that is no attempt worth a record. What is sent afterwards does not pass the filter with an
//! address. But where the gate answers for an address, nobody listens to datagrams, and the kernel says so with a message
//! that quotes the datagram (RFC 792, RFC 4443 section 3.1). Only loopback leads anywhere, so each message is about
//! something inside.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{RecvFlags, recv};
use stockade_spec::report::Area;

use super::address::is_local;
use crate::Watch;
use crate::denials::{Attempt, DenialLog};

/// Messages that are read at a time. A program that floods the socket loses records of its own.
const MAX_MESSAGES: usize = 64;
/// Bytes of a message that matter: two headers of IPv4 with all options, and those of ICMP and UDP.
const MAX_MESSAGE: usize = 160;

/// `IPPROTO_UDP`.
const UDP: u8 = 17;

/// Records datagrams of one family that reached nobody.
pub struct Undelivered {
    socket: OwnedFd,
    describe: Box<dyn Fn(SocketAddr) -> String>,
}

impl fmt::Debug for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Undelivered").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Undelivered {
    /// Takes over a raw socket for ICMP or ICMPv6 of a gate's network namespace.
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self { socket, describe: Box::new(|address| address.to_string()) }
    }

    /// Gives addresses another text in the records, such as the name for which they stand.
    #[must_use]
    pub fn described_by(self, describe: impl Fn(SocketAddr) -> String + 'static) -> Self {
        Self { describe: Box::new(describe), ..self }
    }

    /// Reads what has come.
    fn read(&self, log: &mut DenialLog<'_>) {
        let mut message = [0; MAX_MESSAGE];
        for _ in 0..MAX_MESSAGES {
            // An error is that nothing is there; there is none that would matter to the run.
            let Ok((length, _)) = recv(&self.socket, &mut message, RecvFlags::DONTWAIT) else { return };
            if let Some(address) = destination(&message[..length.min(MAX_MESSAGE)])
                && !is_local(address.ip())
            {
                log.record(Attempt::new(Area::Network, "send", format!("{} (udp)", (self.describe)(address))));
            }
        }
    }
}

impl Watch for Undelivered {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn ready(&mut self, denials: &mut DenialLog<'_>) {
        self.read(denials);
    }

    fn over(&mut self, denials: &mut DenialLog<'_>) {
        self.read(denials);
    }
}

/// Where the datagram was to go that a message quotes; `None` for messages about anything else.
///
/// Raw sockets of IPv4 get messages with their header, which begins with its version (`raw(7)`), those of IPv6 without
/// (`ipv6(7)`): there the first byte is the kind of message, which for this one is 1.
fn destination(message: &[u8]) -> Option<SocketAddr> {
    if message.first()? >> 4 == 4 { destination_v4(message) } else { destination_v6(message) }
}

fn destination_v4(message: &[u8]) -> Option<SocketAddr> {
    let (_, icmp) = split_header(message)?;
    // Destination unreachable, port unreachable.
    let &[3, 3, _, _, _, _, _, _, ref quoted @ ..] = icmp else { return None };
    let (header, udp) = split_header(quoted)?;
    let &[_, _, _, _, _, _, _, _, _, protocol, _, _, _, _, _, _, a, b, c, d, ..] = header else { return None };
    port(protocol, udp).map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), port))
}

fn destination_v6(message: &[u8]) -> Option<SocketAddr> {
    // Destination unreachable, port unreachable.
    let &[1, 4, _, _, _, _, _, _, ref quoted @ ..] = message else { return None };
    let (header, udp) = quoted.split_first_chunk::<40>()?;
    let address = Ipv6Addr::from(*header[24..].first_chunk::<16>()?);
    port(header[6], udp).map(|port| SocketAddr::new(IpAddr::V6(address), port))
}

/// Splits a header of IPv4 off, whose first byte gives its length in words.
fn split_header(packet: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = usize::from(packet.first()? & 0xf) * 4;
    if length < 20 { None } else { packet.split_at_checked(length) }
}

/// The port to which a datagram of UDP was sent.
fn port(protocol: u8, udp: &[u8]) -> Option<u16> {
    let &[_, _, p0, p1, ..] = udp else { return None };
    (protocol == UDP).then(|| u16::from_be_bytes([p0, p1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4() -> Vec<u8> {
        let mut header = vec![0x45; 20];
        header[9] = UDP;
        header[16..].copy_from_slice(&[198, 18, 0, 5]);
        [&vec![0x46; 24][..], &[3, 3, 0, 0, 0, 0, 0, 0], &header, &[0x30, 0x39, 0x01, 0xbb, 0, 0, 0, 0]].concat()
    }

    fn v6() -> Vec<u8> {
        let mut header = vec![0; 40];
        header[6] = UDP;
        header[24..].copy_from_slice(&"fd00::5".parse::<Ipv6Addr>().expect("an address").octets());
        [&[1, 4, 0, 0, 0, 0, 0, 0][..], &header, &[0x30, 0x39, 0x01, 0xbb, 0, 0, 0, 0]].concat()
    }

    #[test]
    fn the_quoted_datagram_is_found() {
        assert_eq!(destination(&v4()), Some("198.18.0.5:443".parse().expect("an address")));
        assert_eq!(destination(&v6()), Some("[fd00::5]:443".parse().expect("an address")));
    }

    #[test]
    fn every_length_is_answered() {
        for (message, least) in [(v4(), 56), (v6(), 52)] {
            for length in 0..=message.len() {
                assert_eq!(destination(&message[..length]).is_some(), length >= least, "{length} bytes");
            }
        }
    }

    #[test]
    fn other_messages_are_passed_over() {
        // An echo request, another reason, a datagram of another protocol; a header shorter than the least.
        for (message, at, value) in [
            (v4(), 24, 8),
            (v4(), 25, 1),
            (v4(), 32 + 9, 6),
            (v4(), 0, 0x41),
            (v6(), 0, 128),
            (v6(), 1, 3),
            (v6(), 14, 6),
        ] {
            let mut changed = message;
            changed[at] = value;
            assert_eq!(destination(&changed), None, "byte {at} is {value}");
        }
    }
}
