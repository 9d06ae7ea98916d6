//! What stand-ins say of themselves when programs ask for options that sockets of TCP and UDP have.
//!
//! Options that are numbers are 0, or what the socket behaves like; setting them has no effect, which the filter sees to by
//! itself.

use rustix::io::Errno;

use super::super::asker::Asker;
use super::super::{Answer, Observer};
use super::known;
use super::table::Known;

/// Options of TCP that are no plain numbers, or tell of what is not there (`tcp(7)`): `TCP_MAXSEG`, `TCP_INFO`,
/// `TCP_CONGESTION`, `TCP_MD5SIG` and everything from `TCP_REPAIR` on, but for `TCP_USER_TIMEOUT`.
const fn is_absent(option: i32) -> bool {
    const USER_TIMEOUT: i32 = 18;
    matches!(option, 2 | 11 | 13 | 14) || (option >= 17 && option != USER_TIMEOUT)
}

/// Answers `getsockopt(2)`; sockets that are no stand-ins are left to the kernel.
pub(in super::super) fn option(observer: &Observer, asker: &Asker<'_>) -> Answer {
    let Ok(Some((_, _, known))) = known(observer, asker) else { return Answer::Continue };
    match value(known, asker.number(1), asker.number(2)) {
        Some(value) => put(asker, value).into(),
        None => Answer::Fail(Errno::NOPROTOOPT),
    }
}

/// The value of an option; `None` where there is no such option.
const fn value(known: Known, level: i32, option: i32) -> Option<i32> {
    Some(match (level, option) {
        (libc::SOL_SOCKET, libc::SO_DOMAIN) if known.is_ipv6 => libc::AF_INET6,
        (libc::SOL_SOCKET, libc::SO_DOMAIN) => libc::AF_INET,
        (libc::SOL_SOCKET, libc::SO_TYPE) if known.is_stream => libc::SOCK_STREAM,
        (libc::SOL_SOCKET, libc::SO_TYPE) => libc::SOCK_DGRAM,
        (libc::SOL_SOCKET, libc::SO_PROTOCOL) if known.is_stream => libc::IPPROTO_TCP,
        (libc::SOL_SOCKET, libc::SO_PROTOCOL) => libc::IPPROTO_UDP,
        (libc::IPPROTO_TCP, _) if !known.is_stream || is_absent(option) => return None,
        (libc::IPPROTO_TCP, libc::TCP_NODELAY) => 1,
        _ => 0,
    })
}

/// Writes a number to where the fourth argument points, as much as the number has room for to which the fifth points.
fn put(asker: &Asker<'_>, value: i32) -> Result<(), Errno> {
    let room = asker.bytes(asker.argument(4), 4)?;
    let room = usize::try_from(i32::from_ne_bytes([room[0], room[1], room[2], room[3]])).map_err(|_| Errno::INVAL)?;
    let bytes = value.to_ne_bytes();
    let length = bytes.len().min(room);
    asker.put(asker.argument(3), &bytes[..length])?;
    asker.put(asker.argument(4), &u32::try_from(length).unwrap_or(0).to_ne_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_says_what_it_stands_for() {
        let tcp = Known { is_ipv6: true, is_stream: true, remote: None };
        let udp = Known { is_ipv6: false, is_stream: false, remote: None };
        for (known, level, option, expected) in [
            (tcp, libc::SOL_SOCKET, libc::SO_DOMAIN, Some(libc::AF_INET6)),
            (udp, libc::SOL_SOCKET, libc::SO_DOMAIN, Some(libc::AF_INET)),
            (tcp, libc::SOL_SOCKET, libc::SO_TYPE, Some(libc::SOCK_STREAM)),
            (udp, libc::SOL_SOCKET, libc::SO_PROTOCOL, Some(libc::IPPROTO_UDP)),
            (tcp, libc::IPPROTO_TCP, libc::TCP_NODELAY, Some(1)),
            (tcp, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, Some(0)),
            (tcp, libc::IPPROTO_TCP, libc::TCP_INFO, None),
            (udp, libc::IPPROTO_TCP, libc::TCP_NODELAY, None),
            (udp, libc::IPPROTO_IP, libc::IP_TOS, Some(0)),
        ] {
            assert_eq!(value(known, level, option), expected, "{known:?} {level} {option}");
        }
    }
}
