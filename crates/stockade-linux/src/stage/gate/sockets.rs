//! Sockets inside.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::sockopt::{set_ipv6_freebind, set_ipv6_v6only, set_socket_reuseaddr};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, socket_with};

/// Connections that wait to be accepted; the kernel holds this to `net.core.somaxconn`.
const BACKLOG: i32 = 1024;

const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

/// A TCP socket that listens at an address that no interface needs to have.
pub(super) fn listen(at: SocketAddr) -> Result<OwnedFd, Errno> {
    let socket = made(at, SocketType::STREAM)?;
    // Connections that have ended do not hold the address up.
    set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &at)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// A TCP socket that connects, or has connected.
pub(super) fn connect(to: SocketAddr) -> Result<OwnedFd, Errno> {
    let socket = made(to, SocketType::STREAM)?;
    match rustix::net::connect(&socket, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error),
    }
}

/// A UDP socket at an address. It does not share its address: nobody else can take what is meant for it.
pub(super) fn datagrams(at: SocketAddr) -> Result<OwnedFd, Errno> {
    let socket = made(at, SocketType::DGRAM)?;
    bind(&socket, &at)?;
    Ok(socket)
}

/// A socket for ICMP messages of the family of `of`, for which the stage still has the privilege.
pub(super) fn notices(of: IpAddr) -> Result<OwnedFd, Errno> {
    socket_with(family(of), SocketType::RAW, FLAGS, Some(if of.is_ipv4() { ipproto::ICMP } else { ipproto::ICMPV6 }))
}

fn made(of: SocketAddr, kind: SocketType) -> Result<OwnedFd, Errno> {
    let socket = socket_with(family(of.ip()), kind, FLAGS, None)?;
    if of.is_ipv6() {
        set_ipv6_v6only(&socket, true)?;
        // Local routes are not addresses to `bind(2)` of IPv6, as they are to that of IPv4.
        set_ipv6_freebind(&socket, true)?;
    }
    Ok(socket)
}

const fn family(of: IpAddr) -> AddressFamily {
    if of.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 }
}
