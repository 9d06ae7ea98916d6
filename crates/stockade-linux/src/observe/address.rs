//! Socket addresses as a program hands them to the kernel: bytes of any length, aligned in any way, full of anything.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// Longest address that the kernel takes (`struct sockaddr_storage`), in bytes.
pub(super) const MAX_ADDRESS: usize = 128;

/// A socket address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// `AF_UNSPEC`: dissolves an association.
    Unspecified,
    /// An Internet address; addresses of IPv4 in IPv6 form are given as IPv4.
    Internet(SocketAddr),
    /// A Unix socket with a name in the file system.
    UnixPath(PathBuf),
    /// A Unix socket with an abstract name (without the leading NUL).
    UnixAbstract(Vec<u8>),
    /// A Unix address without a name.
    UnixUnnamed,
    /// Another family.
    Other(u16),
    /// Too short for its family; the kernel refuses it with `EINVAL`.
    Malformed,
}

/// Reads an address (`ip(7)`, `ipv6(7)`, `unix(7)`).
pub(super) fn parse(bytes: &[u8]) -> Address {
    let Some((&family, rest)) = bytes.split_first_chunk::<2>() else { return Address::Malformed };
    match i32::from(u16::from_ne_bytes(family)) {
        libc::AF_UNSPEC => Address::Unspecified,
        libc::AF_INET => internet_v4(rest),
        libc::AF_INET6 => internet_v6(rest),
        libc::AF_UNIX => unix(rest),
        _ => Address::Other(u16::from_ne_bytes(family)),
    }
}

/// Reads an address to which something is sent. UDP takes one without a family for one of IPv4 (`udp_sendmsg` of the
/// kernel's `net/ipv4/udp.c`), for programs that forgot to set it.
pub(super) fn parse_destination(bytes: &[u8]) -> Address {
    match parse(bytes) {
        Address::Unspecified => match internet_v4(&bytes[2..]) {
            Address::Malformed => Address::Unspecified,
            address => address,
        },
        address => address,
    }
}

/// Whether connecting to the address stays inside a private network: loopback, and the unspecified address, which means
/// loopback to `connect(2)`.
pub(super) fn is_local(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified()
}

/// Port and address, and eight bytes of padding that the kernel demands although it does not look at them.
fn internet_v4(rest: &[u8]) -> Address {
    let Some(&[p0, p1, a, b, c, d]) = rest.first_chunk::<6>() else { return Address::Malformed };
    if rest.len() < 14 {
        return Address::Malformed;
    }
    Address::Internet(SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([p0, p1])))
}

/// Port, flow label, address, and a scope that old programs leave out.
fn internet_v6(rest: &[u8]) -> Address {
    let (Some(&port), Some(address)) = (rest.first_chunk::<2>(), rest.get(6..22)) else { return Address::Malformed };
    let Ok(octets) = <[u8; 16]>::try_from(address) else { return Address::Malformed };
    let address = Ipv6Addr::from(octets);
    let address = address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4);
    Address::Internet(SocketAddr::new(address, u16::from_be_bytes(port)))
}

/// A path ends at its first NUL or at the end of the address; an abstract name may hold NULs.
fn unix(rest: &[u8]) -> Address {
    match rest.first() {
        None => Address::UnixUnnamed,
        Some(0) => Address::UnixAbstract(rest[1..].to_vec()),
        Some(_) => {
            let path = rest.split(|&byte| byte == 0).next().unwrap_or(rest);
            Address::UnixPath(PathBuf::from(OsString::from_vec(path.to_vec())))
        }
    }
}

/// The name of an address family, as in `address_families(7)`.
pub(super) const fn family_name(family: i32) -> Option<&'static str> {
    Some(match family {
        libc::AF_UNIX => "AF_UNIX",
        libc::AF_INET => "AF_INET",
        libc::AF_INET6 => "AF_INET6",
        libc::AF_NETLINK => "AF_NETLINK",
        libc::AF_PACKET => "AF_PACKET",
        libc::AF_ALG => "AF_ALG",
        libc::AF_VSOCK => "AF_VSOCK",
        libc::AF_KEY => "AF_KEY",
        libc::AF_BLUETOOTH => "AF_BLUETOOTH",
        libc::AF_CAN => "AF_CAN",
        libc::AF_TIPC => "AF_TIPC",
        libc::AF_RDS => "AF_RDS",
        libc::AF_XDP => "AF_XDP",
        libc::AF_NFC => "AF_NFC",
        libc::AF_AX25 => "AF_AX25",
        libc::AF_IPX => "AF_IPX",
        libc::AF_APPLETALK => "AF_APPLETALK",
        libc::AF_X25 => "AF_X25",
        libc::AF_PPPOX => "AF_PPPOX",
        libc::AF_PHONET => "AF_PHONET",
        libc::AF_LLC => "AF_LLC",
        libc::AF_ISDN => "AF_ISDN",
        libc::AF_CAIF => "AF_CAIF",
        libc::AF_NETROM => "AF_NETROM",
        libc::AF_ROSE => "AF_ROSE",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(family: i32, rest: &[u8]) -> Vec<u8> {
        let mut bytes = u16::try_from(family).unwrap().to_ne_bytes().to_vec();
        bytes.extend_from_slice(rest);
        bytes
    }

    fn v6(text: &str) -> Vec<u8> {
        let mut rest = vec![0, 80, 0, 0, 0, 0];
        rest.extend_from_slice(&text.parse::<Ipv6Addr>().unwrap().octets());
        address(libc::AF_INET6, &rest)
    }

    #[test]
    fn internet_addresses() {
        let bytes = address(libc::AF_INET, &[0x01, 0xbb, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(parse(&bytes), Address::Internet("192.0.2.1:443".parse().unwrap()));
        for (text, local) in [
            ("::1", true),
            ("::", true),
            ("::ffff:127.0.0.1", true),
            ("::ffff:0.0.0.0", true),
            ("::ffff:192.0.2.1", false),
            ("::127.0.0.1", false),
            ("64:ff9b::7f00:1", false),
            ("fe80::1", false),
        ] {
            let Address::Internet(parsed) = parse(&v6(text)) else { panic!("{text}") };
            assert_eq!(is_local(parsed.ip()), local, "{text}");
        }
    }

    #[test]
    fn destinations_need_no_family() {
        let bytes = address(libc::AF_UNSPEC, &[0, 53, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(parse(&bytes), Address::Unspecified);
        assert_eq!(parse_destination(&bytes), Address::Internet("192.0.2.1:53".parse().unwrap()));
        assert_eq!(parse_destination(&bytes[..15]), Address::Unspecified);
        assert_eq!(parse_destination(&[0]), Address::Malformed);
    }

    #[test]
    fn every_length_is_answered() {
        for family in [libc::AF_INET, libc::AF_INET6] {
            let full = address(family, &[0; MAX_ADDRESS - 2]);
            let least = if family == libc::AF_INET { 16 } else { 24 };
            for length in 0..=MAX_ADDRESS {
                let malformed = parse(&full[..length]) == Address::Malformed;
                let unspecified = parse(&full[..length]) == Address::Unspecified;
                assert!(!unspecified && malformed == (length < least), "family {family}, {length} bytes");
            }
        }
    }

    #[test]
    fn unix_names() {
        let path = |text: &str| Address::UnixPath(text.into());
        assert_eq!(parse(&address(libc::AF_UNIX, b"/run/x\0junk")), path("/run/x"));
        assert_eq!(parse(&address(libc::AF_UNIX, &[b'a'; 126])), path(&"a".repeat(126)));
        assert_eq!(parse(&address(libc::AF_UNIX, b"\0a\0b")), Address::UnixAbstract(b"a\0b".to_vec()));
        assert_eq!(parse(&address(libc::AF_UNIX, b"\0")), Address::UnixAbstract(Vec::new()));
        assert_eq!(parse(&address(libc::AF_UNIX, b"")), Address::UnixUnnamed);
    }

    #[test]
    fn other_families() {
        assert_eq!(parse(&address(libc::AF_NETLINK, &[])), Address::Other(16));
        assert_eq!(parse(&address(libc::AF_UNSPEC, &[])), Address::Unspecified);
        assert_eq!(parse(&[2]), Address::Malformed);
        assert_eq!(family_name(libc::AF_VSOCK), Some("AF_VSOCK"));
        assert_eq!(family_name(-1), None);
    }
}
