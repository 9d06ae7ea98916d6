//! The inside of the gate: a network namespace in which the addresses that the gate answers for are this machine's own,
//! and every other address is prohibited.
//!
//! Set up by the stage while it may administer its network namespace. Afterwards sockets are made by init alone, which has
//! no capability, whenever the supervisor asks for one (`service`).

mod netlink;
mod routes;
mod service;
mod settings;
mod sockets;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use stockade_spec::plan::gate::{GateRoutes, NAME_SERVER_PORT};
use thiserror::Error;

use self::routes::RouteError;
pub(crate) use self::service::serve;
use super::message::MAX_NAME_SERVERS;

/// Why the inside of the gate cannot be set up.
#[derive(Debug, Error)]
pub(crate) enum GateError {
    /// A route cannot be added.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// A setting of the network namespace cannot be changed.
    #[error("cannot set /proc/sys/net/{name} of the network namespace; is /proc mounted, and not read-only?")]
    Setting {
        /// Its path below `/proc/sys/net`.
        name: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// The plan has more addresses of name servers than the supervisor takes.
    #[error("a name server listens at {MAX_NAME_SERVERS} addresses at most, and not at {0}")]
    TooManyNameServers(usize),
    /// A socket for the supervisor cannot be made.
    #[error("cannot make the gate's {kind} socket at {address}")]
    Socket {
        /// `UDP`, `TCP` or `ICMP`.
        kind: &'static str,
        /// Where.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
}

/// The sockets that the stage has made for the supervisor.
#[derive(Debug, Default)]
pub(crate) struct GateSockets {
    /// Of each address of the name server, a UDP socket and a TCP socket that listens.
    name_servers: Vec<[OwnedFd; 2]>,
    /// Sockets that get the kernel's notices of datagrams that reached nobody, one for each family.
    notices: Vec<OwnedFd>,
}

impl GateSockets {
    /// How many addresses of the name server there are, and how many families of notices.
    pub(crate) fn counts(&self) -> [u8; 2] {
        [self.name_servers.len(), self.notices.len()].map(|count| u8::try_from(count).unwrap_or(u8::MAX))
    }

    /// Those of the name server, UDP before TCP, then those for notices, IPv4 before IPv6.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.name_servers.iter().flatten().chain(&self.notices).map(AsFd::as_fd)
    }
}

/// Makes the networks this machine's own and prohibits all others, opens low ports to listeners without privilege, and
/// binds the name server's sockets.
///
/// A namespace without IPv6 gets none of it for IPv6: there is nothing then that could be reached by it.
pub(crate) fn set_up(routes: &GateRoutes) -> Result<GateSockets, GateError> {
    if routes.name_servers.len() > usize::from(MAX_NAME_SERVERS) {
        return Err(GateError::TooManyNameServers(routes.name_servers.len()));
    }
    settings::write()?;
    let has_ipv6 = routes::add(routes)?;
    let mut sockets = GateSockets::default();
    for &address in routes.name_servers.iter().filter(|address| has_ipv6 || address.is_ipv4()) {
        let address = SocketAddr::new(address, NAME_SERVER_PORT);
        let failed = |kind| move |error: Errno| GateError::Socket { kind, address, source: error.into() };
        let udp = sockets::datagrams(address).map_err(failed("UDP"))?;
        let tcp = sockets::listen(address).map_err(failed("TCP"))?;
        sockets.name_servers.push([udp, tcp]);
    }
    for family in [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)] {
        if has_ipv6 || family.is_ipv4() {
            let failed = |error: Errno| GateError::Socket {
                kind: "ICMP",
                address: SocketAddr::new(family, 0),
                source: error.into(),
            };
            sockets.notices.push(sockets::notices(family).map_err(failed)?);
        }
    }
    Ok(sockets)
}

/// Whether an error about IPv6 says that this namespace has none: the kernel lacks it, was started without it
/// (`ipv6.disable=1`), or has it switched off on the interface (`disable_ipv6`).
fn is_without_ipv6(error: Errno) -> bool {
    matches!(error, Errno::AFNOSUPPORT | Errno::OPNOTSUPP | Errno::ACCESS | Errno::NODEV)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rustix::net::sockopt::socket_domain;

    use super::*;

    /// Set where a test runs in namespaces of its own.
    const INSIDE: &str = "STOCKADE_TEST_INSIDE";

    /// Whether this is the inside; otherwise the test `name` is run there, after `script`, and must pass.
    fn is_inside(name: &str, script: &str) -> bool {
        if std::env::var_os(INSIDE).is_some() {
            return true;
        }
        let script = format!("{script} && exec \"$0\" --exact {name} --nocapture");
        let program = std::env::current_exe().unwrap();
        let mut inside = Command::new("unshare");
        inside.args(["--user", "--map-root-user", "--net", "sh", "-c", &script]).arg(program);
        let output = inside.env(INSIDE, "1").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}{:?}", output.stderr);
        false
    }

    fn routes(local: &str) -> GateRoutes {
        serde_json::from_str(&format!(
            r#"{{"local": [{local}], "name_servers": ["198.18.0.1", "fd53:746f:636b::1", "127.0.0.1", "::1"]}}"#
        ))
        .unwrap()
    }

    #[test]
    fn a_namespace_without_ipv6_is_served_by_ipv4_alone() {
        let name = "stage::gate::tests::a_namespace_without_ipv6_is_served_by_ipv4_alone";
        if !is_inside(name, "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6") {
            return;
        }
        crate::sys::loopback::up().unwrap();
        let sockets = set_up(&routes(r#""198.18.0.0/15", "fd53:746f:636b::/64""#)).unwrap();
        assert_eq!(sockets.counts(), [2, 1]);
        for socket in sockets.descriptors() {
            assert_eq!(socket_domain(socket), Ok(rustix::net::AddressFamily::INET));
        }
        assert!(sockets::listen("198.18.0.5:443".parse().unwrap()).is_ok());
    }

    #[test]
    fn more_networks_than_one_packet_holds_are_added() {
        let name = "stage::gate::tests::more_networks_than_one_packet_holds_are_added";
        if !is_inside(name, "true") {
            return;
        }
        crate::sys::loopback::up().unwrap();
        let networks: Vec<String> = (0..700).map(|n| format!("\"10.{}.{}.0/24\"", n / 256, n % 256)).collect();
        let sockets = set_up(&routes(&networks.join(","))).unwrap();
        assert_eq!(sockets.counts(), [4, 2]);
        for (address, listens) in [("10.0.0.9:1", true), ("10.2.187.9:1", true), ("10.2.188.9:1", false)] {
            assert_eq!(sockets::listen(address.parse().unwrap()).is_ok(), listens, "{address}");
        }
        // What is there already is no error.
        assert!(super::routes::add(&routes(&networks.join(","))).unwrap());
    }
}
