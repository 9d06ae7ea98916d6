//! What crosses the socket service: the supervisor asks init for a socket inside, and init answers.
//!
//! Messages have one length each, and one form: whatever can be decoded encodes to the same bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::message::MessageError;

/// Length of a request, in bytes.
pub const REQUEST_LENGTH: usize = 24;
/// Length of an answer, in bytes.
pub const ANSWER_LENGTH: usize = 8;

/// The largest error number (`MAX_ERRNO` of the kernel's `include/linux/err.h`).
const MAX_ERRNO: i32 = 4095;

const LISTEN: u8 = 1;
const CONNECT: u8 = 2;
const V4: u8 = 4;
const V6: u8 = 6;

/// What the socket is for. It is a TCP socket in both cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It listens at the address.
    Listen,
    /// It is connected to the address, or is about to be.
    Connect,
}

/// To init: make a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Tells this request's answer from that of an earlier one.
    pub number: u32,
    /// What for.
    pub wanted: Wanted,
    /// The address. Flow label and scope of IPv6 do not cross: nothing inside has use for them.
    pub address: SocketAddr,
}

/// From init.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The request's number.
    pub number: u32,
    /// The system's error number; 0 means that the socket accompanies the answer.
    pub errno: i32,
}

impl Request {
    /// The packet: kind, number, family, address padded with zeros, port.
    #[must_use]
    pub fn encode(&self) -> [u8; REQUEST_LENGTH] {
        let mut packet = [0; REQUEST_LENGTH];
        packet[0] = match self.wanted {
            Wanted::Listen => LISTEN,
            Wanted::Connect => CONNECT,
        };
        packet[1..5].copy_from_slice(&self.number.to_le_bytes());
        match self.address.ip() {
            IpAddr::V4(address) => {
                packet[5] = V4;
                packet[6..10].copy_from_slice(&address.octets());
            }
            IpAddr::V6(address) => {
                packet[5] = V6;
                packet[6..22].copy_from_slice(&address.octets());
            }
        }
        packet[22..].copy_from_slice(&self.address.port().to_le_bytes());
        packet
    }

    /// The request in a packet.
    ///
    /// # Errors
    /// When the packet is no request.
    pub fn decode(packet: &[u8]) -> Result<Self, MessageError> {
        let &[kind, n0, n1, n2, n3, family, ref address @ .., p0, p1] = packet else {
            return Err(MessageError::WrongLength(packet.len()));
        };
        let address = <[u8; 16]>::try_from(address).map_err(|_| MessageError::WrongLength(packet.len()))?;
        let wanted = match kind {
            LISTEN => Wanted::Listen,
            CONNECT => Wanted::Connect,
            tag => return Err(MessageError::UnknownTag(tag)),
        };
        let address = match (family, address) {
            (V4, [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]) => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            (V6, octets) => IpAddr::V6(Ipv6Addr::from(octets)),
            _ => return Err(MessageError::Impossible),
        };
        let number = u32::from_le_bytes([n0, n1, n2, n3]);
        Ok(Self { number, wanted, address: SocketAddr::new(address, u16::from_le_bytes([p0, p1])) })
    }
}

impl Answer {
    /// The packet: number, error number.
    #[must_use]
    pub fn encode(&self) -> [u8; ANSWER_LENGTH] {
        let mut packet = [0; ANSWER_LENGTH];
        packet[..4].copy_from_slice(&self.number.to_le_bytes());
        packet[4..].copy_from_slice(&self.errno.to_le_bytes());
        packet
    }

    /// The answer in a packet.
    ///
    /// # Errors
    /// When the packet is no answer.
    pub fn decode(packet: &[u8]) -> Result<Self, MessageError> {
        let &[n0, n1, n2, n3, e0, e1, e2, e3] = packet else {
            return Err(MessageError::WrongLength(packet.len()));
        };
        let errno = i32::from_le_bytes([e0, e1, e2, e3]);
        if !(0..=MAX_ERRNO).contains(&errno) {
            return Err(MessageError::Impossible);
        }
        Ok(Self { number: u32::from_le_bytes([n0, n1, n2, n3]), errno })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_way() {
        for address in ["198.18.0.5:443", "[fd00::5]:65535", "0.0.0.0:0", "[::ffff:198.18.0.5]:1"] {
            for wanted in [Wanted::Listen, Wanted::Connect] {
                let address = address.parse().expect("an address");
                let request = Request { number: 0xffff_fffe, wanted, address };
                assert_eq!(Request::decode(&request.encode()), Ok(request));
            }
        }
        for errno in [0, libc::EADDRINUSE, MAX_ERRNO] {
            let answer = Answer { number: 9, errno };
            assert_eq!(Answer::decode(&answer.encode()), Ok(answer));
        }
    }

    #[test]
    fn malformed_packets_are_errors() {
        let request = Request { number: 1, wanted: Wanted::Listen, address: SocketAddr::from(([198, 18, 0, 5], 443)) };
        let whole = request.encode();
        for length in 0..REQUEST_LENGTH {
            assert!(Request::decode(&whole[..length]).is_err(), "{length} bytes");
        }
        assert!(Request::decode(&[&whole[..], &[0]].concat()).is_err());
        for (at, value) in [(0, 0), (0, 3), (5, 0), (5, 5), (21, 1)] {
            let mut packet = whole;
            packet[at] = value;
            assert!(Request::decode(&packet).is_err(), "byte {at} is {value}");
        }
        for packet in [&[0; 7][..], &[0; 9], &[0, 0, 0, 0, 0, 0, 0, 0x80], &[0, 0, 0, 0, 0, 0x10, 0, 0]] {
            assert!(Answer::decode(packet).is_err(), "{packet:?}");
        }
    }
}
