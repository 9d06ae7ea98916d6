//! Datagrams that reached nobody, seen by the notices that the kernel sends back.
//!
//! Connecting a UDP socket sends nothing, and programs do it to learn their own address (RFC 6724, as `getaddrinfo(3)`
//! does for every answer), so that is no attempt worth a record. What is sent afterwards does not pass the filter with an
//! address. But where the gate answers for an address, nobody listens to datagrams, and the kernel says so with a message
//! that quotes the datagram (RFC 792, RFC 4443 section 3.1). Only loopback leads anywhere, so each message is about
//! something inside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, RecvFlags, recv, sockopt};
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
#[derive(Debug)]
pub struct Undelivered {
    socket: OwnedFd,
    name: fn(&[u8]) -> Option<SocketAddr>,
}

impl Undelivered {
    /// Takes over a raw socket for ICMP or ICMPv6 of a gate's network namespace.
    pub(crate) fn new(socket: OwnedFd) -> rustix::io::Result<Self> {
        let is_ipv4 = sockopt::socket_domain(&socket)? == AddressFamily::INET;
        Ok(Self { socket, name: if is_ipv4 { destination_v4 } else { destination_v6 } })
    }

    /// Reads what has come.
    fn read(&self, log: &mut DenialLog<'_>) {
        let mut message = [0; MAX_MESSAGE];
        for _ in 0..MAX_MESSAGES {
            // An error is that nothing is there; there is none that would matter to the run.
            let Ok((length, _)) = recv(&self.socket, &mut message, RecvFlags::DONTWAIT) else { return };
            if let Some(address) = (self.name)(&message[..length.min(MAX_MESSAGE)])
                && !is_local(address.ip())
            {
                log.record(Attempt::new(Area::Network, "send", format!("{address} (udp)")));
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

/// Where the datagram was to go that an ICMP message quotes; `None` for other messages. Raw sockets of IPv4 get messages
/// with their own header (`raw(7)`).
fn destination_v4(message: &[u8]) -> Option<SocketAddr> {
    let (_, icmp) = split_header(message)?;
    // Destination unreachable, port unreachable.
    let &[3, 3, _, _, _, _, _, _, ref quoted @ ..] = icmp else { return None };
    let (header, udp) = split_header(quoted)?;
    let &[_, _, _, _, _, _, _, _, _, protocol, _, _, _, _, _, _, a, b, c, d, ..] = header else { return None };
    destination(protocol, udp, IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
}

/// The same for ICMPv6, whose messages come without a header of their own.
fn destination_v6(message: &[u8]) -> Option<SocketAddr> {
    // Destination unreachable, port unreachable.
    let &[1, 4, _, _, _, _, _, _, ref quoted @ ..] = message else { return None };
    let (header, udp) = quoted.split_first_chunk::<40>()?;
    let address = Ipv6Addr::from(*header[24..].first_chunk::<16>()?);
    destination(header[6], udp, IpAddr::V6(address))
}

/// Splits a header of IPv4 off, whose first byte gives its length in words.
fn split_header(packet: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = usize::from(packet.first()? & 0xf) * 4;
    if length < 20 { None } else { packet.split_at_checked(length) }
}

fn destination(protocol: u8, udp: &[u8], address: IpAddr) -> Option<SocketAddr> {
    let &[_, _, p0, p1, ..] = udp else { return None };
    (protocol == UDP).then(|| SocketAddr::new(address, u16::from_be_bytes([p0, p1])))
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
        assert_eq!(destination_v4(&v4()), Some("198.18.0.5:443".parse().expect("an address")));
        assert_eq!(destination_v6(&v6()), Some("[fd00::5]:443".parse().expect("an address")));
    }

    #[test]
    fn other_messages_are_passed_over_whatever_their_length() {
        for (message, read, least) in [(v4(), destination_v4 as fn(&[u8]) -> _, 56), (v6(), destination_v6, 52)] {
            for length in 0..=message.len() {
                assert_eq!(read(&message[..length]).is_some(), length >= least, "{length} bytes");
            }
            for at in 0..message.len() {
                let mut changed = message.clone();
                changed[at] = 0xff;
                assert!(read(&changed).is_none_or(|address| address.port() != 0 || at > 0));
            }
        }
        let mut echo = v4();
        echo[24] = 8;
        assert_eq!(destination_v4(&echo), None);
        let mut tcp = v6();
        tcp[8 + 6] = 6;
        assert_eq!(destination_v6(&tcp), None);
    }
}
