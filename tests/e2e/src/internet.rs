//! The internet of the network suite: which hosts it has, by address and by name.
//!
//! The program `internet` makes it, in network namespaces of its own: one for the machine that runs the command, and one for
//! everything else, joined by a virtual cable. No packet leaves the machine, so the addresses may be anybody's: those of
//! public hosts are from the ranges for documentation (RFC 5737, RFC 3849).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

/// The machine on which the command runs.
pub const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// What stands for its bridge to containers.
pub const BRIDGE: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 1);
/// The router, which is every host outside.
pub const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// A host that rules allow.
pub const WEB: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
/// The same host.
pub const WEB6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);
/// A host that no rule allows.
pub const DENIED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 20);
/// The same host.
pub const DENIED6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x20);
/// The name server.
pub const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 53);
/// The metadata service of a cloud.
pub const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// A host of the private network.
pub const PRIVATE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// The abstract socket of the machine on which the command runs.
pub const ABSTRACT: &str = "stockade-e2e-internet";

/// The name that is only served by the host that rules allow, and is not itself allowed.
pub const HIDDEN: &str = "hidden.example";

/// The network that stands for NAT64 (RFC 6052), and the one for 6to4 (RFC 3056): the machine translates for itself.
pub const TRANSLATED: [&str; 2] = ["64:ff9b::/96", "2002::/16"];

/// Addresses outside, all of which are the same machine.
pub const OUTSIDE: [Ipv4Addr; 5] = [WEB, DENIED, NAME_SERVER, METADATA, PRIVATE];
/// Those of the newer protocol.
pub const OUTSIDE6: [Ipv6Addr; 2] = [WEB6, DENIED6];

/// What a name leads to, when it has been asked for `asked` times before; `None` where there is no such name.
#[must_use]
pub fn addresses(name: &str, asked: usize) -> Option<Vec<IpAddr>> {
    let public = vec![WEB.into(), WEB6.into()];
    let loopback: IpAddr = Ipv4Addr::LOCALHOST.into();
    Some(match name {
        "allowed.example" | "git.example" | "db.example" | "echo.example" | HIDDEN => public,
        "v4.example" => vec![WEB.into()],
        "v6.example" => vec![WEB6.into()],
        "denied.example" | "xn--bcher-kva.example" => vec![DENIED.into(), DENIED6.into()],
        "loopback.example" => vec![loopback],
        "loopback6.example" => vec![Ipv6Addr::LOCALHOST.into()],
        "metadata.example" => vec![METADATA.into()],
        "private.example" => vec![PRIVATE.into()],
        "own.example" => vec![OWN.into()],
        "host.docker.internal" | "bridge.example" => vec![BRIDGE.into()],
        "unspecified.example" => vec![Ipv4Addr::UNSPECIFIED.into()],
        "mapped.example" => vec![Ipv4Addr::LOCALHOST.to_ipv6_mapped().into()],
        "nat64.example" => vec![Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0x7f00, 1).into()],
        "sixtofour.example" => vec![Ipv6Addr::new(0x2002, 0x7f00, 1, 0, 0, 0, 0, 1).into()],
        "mixed.example" => vec![loopback, DENIED.into()],
        "rebind.example" => vec![if asked == 0 { WEB.into() } else { loopback }],
        name if name.ends_with(".tunnel.example") => vec![DENIED.into()],
        _ => return None,
    })
}

/// The name that is never answered.
pub const SILENT: &str = "silent.example";

/// Whether a host gives nothing away: the one that rules allow.
#[must_use]
pub fn is_open(address: IpAddr) -> bool {
    address.to_canonical() == IpAddr::from(WEB) || address == IpAddr::from(WEB6)
}

/// Where every host outside writes down what came, below the directory of a scene.
#[must_use]
pub fn log(base: &Path) -> PathBuf {
    base.join("outside/internet.log")
}
