//! The gate to the network as data: what the supervisor lets through, and what the stage routes to it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

pub use crate::policy::NetworkDefault;
pub use crate::policy::endpoint::EndpointRule;

/// The IPv4 range whose addresses stand for names inside: the one that RFC 2544 sets apart for benchmarks, so that no
/// host on the Internet has one of them.
pub const FAKE_IPV4: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(198, 18, 0, 0), 15);

/// The IPv6 range whose addresses stand for names inside: one network of unique-local space (RFC 4193, section 3).
pub const FAKE_IPV6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0xfd53, 0x746f, 0x636b, 0, 0, 0, 0, 0), 64);

/// The port of the name server inside, over UDP and TCP.
pub const NAME_SERVER_PORT: u16 = 53;

/// What the gate lets through: the supervisor's part.
///
/// Rules that name loopback addresses are about the host's; see [`GateRules::host_loopback`].
///
/// Rules are canonical texts of [`EndpointRule`](crate::policy::endpoint::EndpointRule). A denial wins over what allows;
/// what no rule names is decided by `default`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateRules {
    /// Endpoints that may be reached. A rule without ports covers 80 and 443.
    pub allow: Vec<String>,
    /// Endpoints that may not. A rule without ports covers every port.
    pub deny: Vec<String>,
    /// What happens to an endpoint that no rule names.
    pub default: NetworkDefault,
    /// Bounds on traffic.
    pub limits: GateLimits,
    /// Ports inside that the host's loopback reaches; never 0.
    pub publish: Vec<u16>,
    /// Addresses that stand for names.
    pub ranges: FakeRanges,
}

/// Bounds on the traffic of a run. Reaching one is a denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateLimits {
    /// Bytes sent by all connections together; `None` is no bound.
    pub sent: Option<u64>,
    /// Bytes received by all connections together; `None` is no bound.
    pub received: Option<u64>,
    /// Connections in total; `None` is no bound.
    pub connections: Option<u64>,
    /// Connections at once; at least 1.
    pub connections_at_once: u32,
    /// New connections in any one second; at least 1.
    pub connections_per_second: u32,
}

/// The ranges whose addresses stand for names inside. The first usable address of each is the name server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FakeRanges {
    /// The IPv4 range.
    pub ipv4: Ipv4Net,
    /// The IPv6 range; `None` where the kernel has no IPv6, so that names have no IPv6 address either.
    pub ipv6: Option<Ipv6Net>,
}

impl FakeRanges {
    /// The ranges for a kernel with or without IPv6.
    #[must_use]
    pub const fn new(ipv6: bool) -> Self {
        Self { ipv4: FAKE_IPV4, ipv6: if ipv6 { Some(FAKE_IPV6) } else { None } }
    }

    /// Whether an address is in one of the ranges.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.ipv4.contains(&address),
            IpAddr::V6(address) => self.ipv6.is_some_and(|range| range.contains(&address)),
        }
    }

    /// The name server's address in each range.
    pub fn name_servers(&self) -> impl Iterator<Item = IpAddr> {
        let ipv4 = Ipv4Addr::from_bits(self.ipv4.network().to_bits() | 1);
        let ipv6 = self.ipv6.map(|range| Ipv6Addr::from_bits(range.network().to_bits() | 1));
        std::iter::once(IpAddr::V4(ipv4)).chain(ipv6.map(IpAddr::V6))
    }

    /// The ranges as networks.
    pub fn networks(&self) -> impl Iterator<Item = IpNet> {
        std::iter::once(IpNet::V4(self.ipv4)).chain(self.ipv6.map(IpNet::V6))
    }
}

/// How the network namespace leads connections to the gate: the stage's part, after the loopback interface is up.
///
/// The stage gives every name server's address that is not a loopback address to the loopback interface (so that programs
/// that ask for configured addresses only, `AI_ADDRCONFIG` of `getaddrinfo(3)`, find one of each family), routes `local`
/// to it, and lets everybody bind low ports (`net.ipv4.ip_unprivileged_port_start`). Every other destination has a
/// `prohibit` route, for which programs get `EACCES` at once; IPv6 has one only where the kernel has IPv6.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateRoutes {
    /// Networks and single addresses for which the namespace itself answers (`local` routes on `lo`), sorted, none inside
    /// another, no loopback addresses among them. `0.0.0.0/0` and `::/0` where endpoints that no rule names are not simply
    /// denied; then there is nothing left to prohibit.
    pub local: Vec<IpNet>,
    /// Where the name server listens, at [`NAME_SERVER_PORT`], over UDP and TCP. Besides those of [`FakeRanges`], the
    /// loopback addresses, where the host has no `/etc/resolv.conf` that could name those: it is where programs look then
    /// (`resolv.conf(5)`).
    pub name_servers: Vec<IpAddr>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Operation, Side};

    fn rules() -> GateRules {
        GateRules {
            allow: vec!["*.example.org".into(), "[fd00::/8]:443".into()],
            deny: vec!["a.example.org".into()],
            default: NetworkDefault::Public,
            limits: GateLimits {
                sent: Some(1 << 20),
                received: None,
                connections: Some(7),
                connections_at_once: 3,
                connections_per_second: 2,
            },
            publish: vec![8080],
            ranges: FakeRanges::new(true),
        }
    }

    #[test]
    fn operations_have_their_side_words_and_json() {
        let ranges = FakeRanges::new(false);
        let routes = GateRoutes { local: ranges.networks().collect(), name_servers: ranges.name_servers().collect() };
        for (operation, side, words, json) in [
            (
                Operation::Gate { rules: rules() },
                Side::Supervisor,
                "open the gate; by default public; allow *.example.org [fd00::/8]:443; deny a.example.org; publish 8080; \
                 at most 1MiB sent; at most 7 connections; at most 3 connections at once; at most 2 new ones a second",
                r#""default":"public""#,
            ),
            (
                Operation::GateRoutes { routes },
                Side::Stage,
                "lead to the gate 198.18.0.0/15; name server at 198.18.0.1",
                r#"{"do":"gate-routes","routes":{"local":["198.18.0.0/15"],"name_servers":["198.18.0.1"]}}"#,
            ),
            (
                Operation::CoverFile { target: "/etc/hosts".into(), content: "x".into(), mode: 0o444 },
                Side::Stage,
                "put in the place of /etc/hosts, mode 444: 1 bytes",
                r#""do":"cover-file""#,
            ),
            (
                Operation::Socket { source: "/a".into(), target: "/b".into() },
                Side::Stage,
                "show socket /b (on the host /a)",
                r#""do":"socket""#,
            ),
        ] {
            assert_eq!((operation.side(), operation.to_string().as_str()), (side, words));
            let text = serde_json::to_string(&operation).expect("serialises");
            assert!(text.contains(json), "{text}");
            assert_eq!(serde_json::from_str::<Operation>(&text).expect("deserialises"), operation);
        }
    }

    #[test]
    fn the_ranges_hold_their_name_servers_and_nothing_public() {
        let ranges = FakeRanges::new(true);
        let servers: Vec<_> = ranges.name_servers().map(|address| address.to_string()).collect();
        assert_eq!(servers, ["198.18.0.1", "fd53:746f:636b::1"]);
        assert!(ranges.name_servers().all(|address| ranges.contain(address)));
        for (address, expected) in
            [("198.19.255.255", true), ("198.20.0.0", false), ("198.17.255.255", false), ("fd53:746f:636c::", false)]
        {
            assert_eq!(ranges.contain(address.parse().expect("an address")), expected, "{address}");
        }
        assert!(!FakeRanges::new(false).contain("fd53:746f:636b::1".parse().expect("an address")));
    }
}
