//! Whether an address is one of the host's own.
//!
//! The kernel is asked for the route that it would take: it is of type "local" exactly where packets do not leave the host,
//! for addresses of interfaces, but also for ranges that a load balancer has put on `lo`. Lists of addresses
//! (`/proc/net/fib_trie`, `getifaddrs(3)`) lack the latter, and trying to bind to the address answers wrongly where
//! `net.ipv4.ip_nonlocal_bind` is set. The question is rtnetlink's `RTM_GETROUTE` (rtnetlink(7)); it needs no privilege and
//! sends nothing.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

/// Length of a netlink header (`struct nlmsghdr`).
const HEADER: usize = 16;
/// Length of the route part of a message (`struct rtmsg`).
const ROUTE: usize = 12;

/// `NLMSG_ERROR` of `linux/netlink.h`.
const MESSAGE_ERROR: u16 = 2;
/// `RTM_NEWROUTE` and `RTM_GETROUTE` of `linux/rtnetlink.h`.
const NEW_ROUTE: u16 = 24;
const GET_ROUTE: u16 = 26;
/// `NLM_F_REQUEST` of `linux/netlink.h`.
const REQUEST: u16 = 1;
/// `RTA_DST` of `linux/rtnetlink.h`.
const DESTINATION: u16 = 1;
/// `RTN_UNICAST` of `linux/rtnetlink.h`: a route that leads away.
const LEADS_AWAY: u8 = 1;
/// Where the type of a route is in `struct rtmsg`.
const TYPE_AT: usize = HEADER + 7;

/// Whether packets to this address do not leave the host, or are for more than one host.
///
/// Where the kernel has no route at all the answer is no: nothing can be sent there.
///
/// # Errors
/// Those of the netlink socket; answers that are not understood.
pub(super) fn is_own(address: IpAddr) -> io::Result<bool> {
    let socket = open()?;
    let question = question(address);
    send(&socket, &question, SendFlags::empty())?;
    // The kernel answers within `send`, so that this cannot wait.
    let mut answer = [0; 4096];
    let (length, _) = recv(&socket, &mut answer[..], RecvFlags::DONTWAIT)?;
    read(&answer[..length])
}

fn open() -> io::Result<OwnedFd> {
    // `NETLINK_ROUTE`, the family of netlink that is asked, is protocol 0.
    Ok(socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?)
}

/// The message: which route leads to `address`?
fn question(address: IpAddr) -> Vec<u8> {
    let (family, bytes) = match address {
        IpAddr::V4(address) => (AddressFamily::INET, address.octets().to_vec()),
        IpAddr::V6(address) => (AddressFamily::INET6, address.octets().to_vec()),
    };
    let attribute = 4 + u8::try_from(bytes.len()).unwrap_or(0);
    let length = HEADER + ROUTE + usize::from(attribute);
    let mut message = Vec::with_capacity(length);
    message.extend(u32::try_from(length).unwrap_or(0).to_ne_bytes());
    message.extend(GET_ROUTE.to_ne_bytes());
    message.extend(REQUEST.to_ne_bytes());
    message.extend([0; 8]);
    let bits = (attribute - 4) * 8;
    message.extend([u8::try_from(family.as_raw()).unwrap_or(0), bits, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    message.extend(u16::from(attribute).to_ne_bytes());
    message.extend(DESTINATION.to_ne_bytes());
    message.extend(bytes);
    message
}

fn read(answer: &[u8]) -> io::Result<bool> {
    let kind = answer.get(4..6).map(|bytes| u16::from_ne_bytes([bytes[0], bytes[1]]));
    match kind {
        Some(NEW_ROUTE) => answer.get(TYPE_AT).map(|kind| *kind != LEADS_AWAY).ok_or_else(malformed),
        Some(MESSAGE_ERROR) => refused(answer),
        _ => Err(malformed()),
    }
}

/// An error for an answer: there is no such route, or the question failed.
fn refused(answer: &[u8]) -> io::Result<bool> {
    let bytes = answer.get(HEADER..HEADER + 4).ok_or_else(malformed)?;
    let number = i32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]).saturating_neg();
    match rustix::io::Errno::from_raw_os_error(number) {
        // No route, and the routes that say "unreachable", "prohibit" and "blackhole".
        rustix::io::Errno::NETUNREACH
        | rustix::io::Errno::HOSTUNREACH
        | rustix::io::Errno::ACCESS
        | rustix::io::Errno::INVAL => Ok(false),
        error => Err(error.into()),
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer about a route is not understood")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(text: &str) -> bool {
        is_own(text.parse().unwrap()).unwrap()
    }

    #[test]
    fn the_hosts_addresses_are_known_and_others_are_not() {
        assert!(own("127.0.0.1"));
        assert!(own("127.200.3.4"), "the whole range is local");
        assert!(own("255.255.255.255"));
        assert!(own("224.0.0.251") || !own("192.0.2.77"), "multicast has its own type where it has a route");
        assert!(!own("1.1.1.1"));
        // The address that this host would send from is its own.
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        if socket.connect("192.0.2.77:9").is_ok() {
            assert!(is_own(socket.local_addr().unwrap().ip()).unwrap());
        }
    }

    #[test]
    fn ipv6_is_asked_about_too() {
        if std::net::TcpListener::bind("[::1]:0").is_err() {
            return;
        }
        assert!(own("::1"));
        assert!(!own("2606:4700:4700::1111"));
    }

    #[test]
    fn answers_that_are_not_understood_are_errors() {
        for answer in [&b""[..], &[0; 5], &[0; 40], &[0, 0, 0, 0, 24, 0], &[0, 0, 0, 0, 2, 0, 0]] {
            assert!(read(answer).is_err(), "{answer:?}");
        }
        let mut failed = [0_u8; 20];
        failed[4] = 2;
        failed[16..].copy_from_slice(&(-1_i32).to_ne_bytes());
        assert_eq!(read(&failed).unwrap_err().raw_os_error(), Some(1));
    }
}
