//! Routes of the network namespace, which has the loopback interface only.
//!
//! A `local` route makes every address of a network the machine's own, so that sockets can listen at each of them
//! (`ip-route(8)`). The default routes say at once that nothing else may be reached (`EACCES`), instead of that there is
//! no way.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};
use stockade_spec::plan::gate::GateRoutes;
use thiserror::Error;

use super::is_without_ipv6;
use super::netlink::{Addition, Route, Verdict, put, verdicts};

/// `LOOPBACK_IFINDEX` of `include/net/flow.h`: the loopback interface is the first of every namespace.
const LOOPBACK: u32 = 1;
/// Routes in one packet: as many errors fit the default receive buffer.
const BATCH: usize = 128;
/// The largest packet of the kernel that is read; each error is one, with the request that it is about.
const MAX_ANSWER: usize = 4096;

/// Why routes cannot be added.
#[derive(Debug, Error)]
pub(crate) enum RouteError {
    /// Routing messages cannot be exchanged with the kernel.
    #[error("cannot talk to the kernel about routes")]
    Exchange(#[source] io::Error),
    /// The kernel's answer cannot be understood.
    #[error("the kernel's answer about routes cannot be understood; please report this with the kernel's version")]
    Answer,
    /// The kernel refused a route or an address.
    #[error("cannot add the route to {address} and its network, or the address itself, to the loopback interface")]
    Refused {
        /// The address.
        address: IpAddr,
        /// Why.
        source: io::Error,
    },
}

/// Adds local routes to the networks, the addresses of the name server, and the default routes that prohibit everything
/// else. False when this namespace has no IPv6.
pub(super) fn add(routes: &GateRoutes) -> Result<bool, RouteError> {
    let exchange = |error: Errno| RouteError::Exchange(error.into());
    // Protocol 0 of this family is `NETLINK_ROUTE`.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None).map_err(exchange)?;
    let additions = additions(routes);
    let mut has_ipv6 = true;
    let mut packet = Vec::new();
    for batch in additions.chunks(BATCH) {
        packet.clear();
        for (sequence, addition) in (0..).zip(batch) {
            put(&mut packet, sequence, addition);
        }
        // The kernel has carried out the whole packet when this returns; what it has to say is there to be read.
        send(&socket, &packet, SendFlags::empty()).map_err(exchange)?;
        let mut answer = [0; MAX_ANSWER];
        loop {
            let length = match recv(&socket, &mut answer, RecvFlags::DONTWAIT) {
                Ok((length, _)) => length,
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(exchange(error)),
            };
            for verdict in verdicts(&answer[..length]).ok_or(RouteError::Answer)? {
                has_ipv6 &= judge(batch, verdict)?;
            }
        }
    }
    Ok(has_ipv6)
}

fn additions(routes: &GateRoutes) -> Vec<Addition> {
    let local = routes.local.iter().map(|network| local(network.addr(), network.prefix_len()));
    let addresses = routes.name_servers.iter().filter(|address| !address.is_loopback());
    let addresses = addresses.map(|&address| Addition::Address(address, LOOPBACK));
    addresses.chain(local).chain([prohibited_v4(), prohibited_v6()]).collect()
}

/// What a verdict means for the whole: an error, or whether there is IPv6.
fn judge(batch: &[Addition], verdict: Verdict) -> Result<bool, RouteError> {
    let addition = usize::try_from(verdict.sequence).ok().and_then(|at| batch.get(at)).ok_or(RouteError::Answer)?;
    match verdict.result {
        // A network may be there already, as loopback's own are.
        Ok(()) | Err(Errno::EXIST) => Ok(true),
        Err(error) if addition.address().is_ipv6() && is_without_ipv6(error) => Ok(false),
        Err(error) => Err(RouteError::Refused { address: addition.address(), source: error.into() }),
    }
}

/// `RTN_LOCAL` in `RT_TABLE_LOCAL`, with `RT_SCOPE_HOST`. The kernel refuses a destination with bits beyond its prefix.
fn local(address: IpAddr, prefix: u8) -> Addition {
    let destination = masked(address, prefix);
    Addition::Route(Route { destination, prefix, table: 255, scope: 254, kind: 2, interface: Some(LOOPBACK) })
}

/// `RTN_PROHIBIT` in `RT_TABLE_MAIN`, with `RT_SCOPE_UNIVERSE`.
const fn prohibited_v4() -> Addition {
    let destination = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    Addition::Route(Route { destination, prefix: 0, table: 254, scope: 0, kind: 8, interface: None })
}

/// The same; routes of IPv6 belong to an interface also where they lead nowhere.
const fn prohibited_v6() -> Addition {
    let destination = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    Addition::Route(Route { destination, prefix: 0, table: 254, scope: 0, kind: 8, interface: Some(LOOPBACK) })
}

/// The address without the bits beyond the prefix.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let beyond = |width: u8| u32::from(width.saturating_sub(prefix));
    match address {
        IpAddr::V4(address) => IpAddr::V4((address.to_bits() & u32::MAX.checked_shl(beyond(32)).unwrap_or(0)).into()),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & u128::MAX.checked_shl(beyond(128)).unwrap_or(0)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_beyond_the_prefix_are_dropped() {
        for (address, prefix, expected) in [
            ("198.18.0.1", 15, "198.18.0.0"),
            ("10.1.2.3", 32, "10.1.2.3"),
            ("10.1.2.3", 0, "0.0.0.0"),
            ("2001:db8::1", 64, "2001:db8::"),
            ("2001:db8::1", 0, "::"),
            ("2001:db8::1", 128, "2001:db8::1"),
        ] {
            let parse = |text: &str| text.parse::<IpAddr>().expect("an address");
            assert_eq!(masked(parse(address), prefix), parse(expected), "{address}/{prefix}");
        }
    }

    #[test]
    fn only_a_missing_family_is_put_up_with() {
        let batch = [prohibited_v4(), prohibited_v6()];
        let judged = |sequence, error| judge(&batch, Verdict { sequence, result: Err(error) });
        assert!(matches!(judged(1, Errno::OPNOTSUPP), Ok(false)));
        assert!(matches!(judged(1, Errno::EXIST), Ok(true)));
        assert!(matches!(judged(0, Errno::OPNOTSUPP), Err(RouteError::Refused { .. })));
        assert!(matches!(judged(1, Errno::PERM), Err(RouteError::Refused { .. })));
        assert!(matches!(judged(2, Errno::EXIST), Err(RouteError::Answer)), "no such request");
    }
}
