//! Messages of `rtnetlink(7)`: routes and addresses are added, and what the kernel answers is read.
//!
//! Layouts are those of `include/uapi/linux/netlink.h` and `rtnetlink.h`; numbers are in the machine's byte order, and
//! every part begins at a multiple of four bytes.

use std::net::IpAddr;

use rustix::io::Errno;
use rustix::net::AddressFamily;

const HEADER: usize = 16;
/// `NLMSG_ERROR`, which is also how success is told.
const ERROR: u16 = 2;
/// `RTM_NEWROUTE`.
const NEW_ROUTE: u16 = 24;
/// `NLM_F_REQUEST` and `NLM_F_CREATE`.
const CREATE: u16 = 0x001 | 0x400;
/// `RTM_NEWADDR`.
const NEW_ADDRESS: u16 = 20;
/// `RTA_DST` and `RTA_OIF`.
const ROUTE_DESTINATION: u16 = 1;
const ROUTE_INTERFACE: u16 = 4;
/// `IFA_ADDRESS` and `IFA_LOCAL`.
const ADDRESS_ADDRESS: u16 = 1;
const ADDRESS_LOCAL: u16 = 2;
/// `IFA_F_NODAD`.
const NO_DUPLICATE_DETECTION: u8 = 0x02;
/// `RTPROT_STATIC`: who added the route.
const STATIC: u8 = 4;

/// A request to add something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Addition {
    /// A route.
    Route(Route),
    /// An address of an interface, with all of its bits.
    Address(IpAddr, u32),
}

/// A route, in the kernel's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) destination: IpAddr,
    /// Bits of the destination that count; 0 for everything.
    pub(super) prefix: u8,
    /// `rtm_table`, `rtm_scope` and `rtm_type`.
    pub(super) table: u8,
    pub(super) scope: u8,
    pub(super) kind: u8,
    /// Index of the interface, where the route has one.
    pub(super) interface: Option<u32>,
}

impl Addition {
    /// The address that it is about.
    pub(super) const fn address(&self) -> IpAddr {
        match self {
            Self::Route(route) => route.destination,
            Self::Address(address, _) => *address,
        }
    }
}

/// Appends the request. Only an error is answered, with `sequence`.
pub(super) fn put(packet: &mut Vec<u8>, sequence: u32, addition: &Addition) {
    let start = packet.len();
    let kind = match addition {
        Addition::Route(_) => NEW_ROUTE,
        Addition::Address(..) => NEW_ADDRESS,
    };
    packet.extend([0; 4]);
    packet.extend(kind.to_ne_bytes());
    packet.extend(CREATE.to_ne_bytes());
    packet.extend(sequence.to_ne_bytes());
    packet.extend([0; 4]);
    match addition {
        Addition::Route(route) => put_route(packet, route),
        Addition::Address(address, interface) => put_interface_address(packet, *address, *interface),
    }
    // A request takes far less than 4 GiB.
    let length = u32::try_from(packet.len() - start).unwrap_or(u32::MAX);
    packet[start..start + 4].copy_from_slice(&length.to_ne_bytes());
}

/// `struct rtmsg` and its attributes.
fn put_route(packet: &mut Vec<u8>, route: &Route) {
    let Route { destination, prefix, table, scope, kind, interface } = *route;
    packet.extend([family(destination), prefix, 0, 0, table, STATIC, scope, kind]);
    packet.extend([0; 4]);
    if prefix > 0 {
        put_address(packet, ROUTE_DESTINATION, destination);
    }
    if let Some(interface) = interface {
        put_attribute(packet, ROUTE_INTERFACE, &interface.to_ne_bytes());
    }
}

/// `struct ifaddrmsg` and its attributes. Whether others have the address is not asked: there are none.
fn put_interface_address(packet: &mut Vec<u8>, address: IpAddr, interface: u32) {
    let bits = if address.is_ipv4() { 32 } else { 128 };
    packet.extend([family(address), bits, NO_DUPLICATE_DETECTION, 0]);
    packet.extend(interface.to_ne_bytes());
    put_address(packet, ADDRESS_LOCAL, address);
    put_address(packet, ADDRESS_ADDRESS, address);
}

fn family(of: IpAddr) -> u8 {
    let family = if of.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let [low, _] = family.as_raw().to_le_bytes();
    low
}

fn put_address(packet: &mut Vec<u8>, kind: u16, address: IpAddr) {
    match address {
        IpAddr::V4(address) => put_attribute(packet, kind, &address.octets()),
        IpAddr::V6(address) => put_attribute(packet, kind, &address.octets()),
    }
}

/// Appends an attribute whose value is a multiple of four bytes long.
fn put_attribute(packet: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    packet.extend(length.to_ne_bytes());
    packet.extend(kind.to_ne_bytes());
    packet.extend_from_slice(value);
}

/// What the kernel said of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) sequence: u32,
    pub(super) result: Result<(), Errno>,
}

/// The verdicts in a packet from the kernel; `None` when it is malformed. Other messages are passed over.
pub(super) fn verdicts(mut packet: &[u8]) -> Option<Vec<Verdict>> {
    let mut found = Vec::new();
    while !packet.is_empty() {
        let length = usize::try_from(u32::from_ne_bytes(*packet.first_chunk()?)).ok()?;
        let message = packet.get(..length).filter(|message| message.len() >= HEADER)?;
        if u16::from_ne_bytes(*message[4..].first_chunk()?) == ERROR {
            let sequence = u32::from_ne_bytes(*message[8..].first_chunk()?);
            let error = i32::from_ne_bytes(*message[HEADER..].first_chunk()?);
            let result = match error {
                0 => Ok(()),
                -4095..0 => Err(Errno::from_raw_os_error(-error)),
                _ => return None,
            };
            found.push(Verdict { sequence, result });
        }
        packet = packet.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(destination: &str, prefix: u8) -> Addition {
        let destination = destination.parse().expect("an address");
        Addition::Route(Route { destination, prefix, table: 255, scope: 254, kind: 2, interface: Some(1) })
    }

    fn verdict(sequence: u32, error: i32) -> Vec<u8> {
        let mut packet = 36_u32.to_ne_bytes().to_vec();
        packet.extend(2_u16.to_ne_bytes());
        packet.extend([0; 2]);
        packet.extend(sequence.to_ne_bytes());
        packet.extend([0; 4]);
        packet.extend(error.to_ne_bytes());
        packet.extend([0; 16]);
        packet
    }

    #[test]
    fn a_route_is_written_as_the_kernel_reads_it() {
        let mut packet = Vec::new();
        put(&mut packet, 7, &route("198.18.0.0", 15));
        let mut expected = Vec::new();
        expected.extend(44_u32.to_ne_bytes());
        expected.extend(24_u16.to_ne_bytes());
        expected.extend(0x401_u16.to_ne_bytes());
        expected.extend(7_u32.to_ne_bytes());
        expected.extend([0, 0, 0, 0, 2, 15, 0, 0, 255, 4, 254, 2, 0, 0, 0, 0]);
        expected.extend(8_u16.to_ne_bytes());
        expected.extend(1_u16.to_ne_bytes());
        expected.extend([198, 18, 0, 0]);
        expected.extend(8_u16.to_ne_bytes());
        expected.extend(4_u16.to_ne_bytes());
        expected.extend(1_u32.to_ne_bytes());
        assert_eq!(packet, expected);
        put(&mut packet, 8, &route("fd00::", 64));
        assert_eq!(packet.len(), 44 + 56, "messages follow each other");
    }

    #[test]
    fn an_address_is_written_as_the_kernel_reads_it() {
        let mut packet = Vec::new();
        put(&mut packet, 1, &Addition::Address(IpAddr::from([198, 18, 0, 1]), 1));
        let mut expected = vec![2, 32, 2, 0];
        expected.extend(1_u32.to_ne_bytes());
        for kind in [2_u16, 1] {
            expected.extend(8_u16.to_ne_bytes());
            expected.extend(kind.to_ne_bytes());
            expected.extend([198, 18, 0, 1]);
        }
        assert_eq!(packet[HEADER..], expected);
        assert_eq!(packet[4..6], 20_u16.to_ne_bytes());
    }

    #[test]
    fn verdicts_are_read() {
        let packet = [verdict(3, -17), verdict(4, 0)].concat();
        let expected = [Verdict { sequence: 3, result: Err(Errno::EXIST) }, Verdict { sequence: 4, result: Ok(()) }];
        assert_eq!(verdicts(&packet).expect("well formed"), expected);
        assert_eq!(verdicts(&[]), Some(Vec::new()));
    }

    #[test]
    fn malformed_packets_are_none() {
        let whole = verdict(3, -17);
        for length in 1..whole.len() {
            assert_eq!(verdicts(&whole[..length]), None, "{length} bytes");
        }
        assert_eq!(verdicts(&[0; 16]), None, "a message without length must not loop");
        assert_eq!(verdicts(&verdict(3, 17)), None);
        assert_eq!(verdicts(&verdict(3, i32::MIN)), None);
    }
}
