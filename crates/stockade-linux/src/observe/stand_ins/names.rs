//! The addresses that a program sees on its stand-ins: those that a socket of TCP or UDP would have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::io::Errno;
use stockade_spec::plan::gate::{FAKE_IPV4, FAKE_IPV6};

use super::super::asker::Asker;
use super::super::{Answer, Observer};
use super::known;
use super::table::Known;

/// Ports that sockets get by themselves (`net.ipv4.ip_local_port_range`).
const FIRST_PORT: u16 = 32_768;
const PORTS: u64 = 28_232;

/// Answers `getsockname(2)` and `getpeername(2)`; sockets that are no stand-ins are left to the kernel.
pub(in super::super) fn name(observer: &Observer, asker: &Asker<'_>, of_peer: bool) -> Answer {
    let Ok(Some((cookie, _, known))) = known(observer, asker) else { return Answer::Continue };
    let address = match (of_peer, known.remote) {
        (true, None) => return Answer::Fail(Errno::NOTCONN),
        (true, Some(remote)) => remote,
        (false, remote) => own(remote, cookie),
    };
    put(asker, known, address, asker.argument(1), asker.argument(2)).into()
}

/// The address of the program's end: an address of the range that stands for names, next to the name server's.
fn own(remote: Option<SocketAddr>, cookie: u64) -> SocketAddr {
    let port = FIRST_PORT + u16::try_from(cookie % PORTS).unwrap_or(0);
    match remote {
        None => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0),
        Some(SocketAddr::V4(_)) => SocketAddr::new(Ipv4Addr::from_bits(FAKE_IPV4.network().to_bits() | 2).into(), port),
        Some(SocketAddr::V6(_)) => SocketAddr::new(Ipv6Addr::from_bits(FAKE_IPV6.network().to_bits() | 2).into(), port),
    }
}

/// Writes an address to a place in memory, as much of it as there is room for by the number at another, and its length in the
/// place of that number (`getsockname(2)`).
pub(super) fn put(asker: &Asker<'_>, known: Known, address: SocketAddr, at: u64, length: u64) -> Result<(), Errno> {
    let bytes = encode(address, known.is_ipv6);
    let room = asker.bytes(length, 4)?;
    let room = i32::from_ne_bytes([room[0], room[1], room[2], room[3]]);
    let room = usize::try_from(room).map_err(|_| Errno::INVAL)?;
    asker.put(at, &bytes[..bytes.len().min(room)])?;
    let full = u32::try_from(bytes.len()).unwrap_or(0);
    asker.put(length, &full.to_ne_bytes())
}

/// `struct sockaddr_in` or `struct sockaddr_in6` (`ip(7)`, `ipv6(7)`).
fn encode(address: SocketAddr, is_ipv6: bool) -> Vec<u8> {
    let family = |family: i32| u16::try_from(family).unwrap_or(0).to_ne_bytes();
    let port = address.port().to_be_bytes();
    match (address.ip(), is_ipv6) {
        (IpAddr::V4(ip), false) => [&family(libc::AF_INET)[..], &port, &ip.octets(), &[0; 8]].concat(),
        (ip, _) => {
            let octets = match ip {
                // The unspecified address of IPv6 is not that of IPv4 in another form.
                IpAddr::V4(ip) if ip.is_unspecified() => Ipv6Addr::UNSPECIFIED.octets(),
                IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                IpAddr::V6(ip) => ip.octets(),
            };
            [&family(libc::AF_INET6)[..], &port, &[0; 4], &octets, &[0; 4]].concat()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::address::{Address, parse};
    use super::*;

    #[test]
    fn addresses_read_back() {
        for (text, is_ipv6, length) in
            [("192.0.2.1:443", false, 16), ("192.0.2.1:443", true, 28), ("[2001:db8::1]:53", true, 28)]
        {
            let address: SocketAddr = text.parse().unwrap();
            let bytes = encode(address, is_ipv6);
            assert_eq!((bytes.len(), parse(&bytes)), (length, Address::Internet(address)), "{text}");
        }
        let unspecified = encode(own(None, 7), true);
        assert_eq!(parse(&unspecified), Address::Internet("[::]:0".parse().unwrap()));
    }

    #[test]
    fn own_addresses_stand_for_no_name_and_have_a_port() {
        for remote in ["192.0.2.1:1", "[2001:db8::1]:1"] {
            let own = own(Some(remote.parse().unwrap()), u64::MAX);
            let is_fake = stockade_spec::plan::gate::FakeRanges::new(true).contain(own.ip());
            assert!(is_fake && own.port() >= FIRST_PORT, "{own}");
        }
    }
}
