//! Ports of the host's loopback that lead inside.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use super::error::GateError;

/// Ports of the host's loopback that are bound. They can be bound before there is a sandbox, so that one that is taken stops a
/// run before it begins.
#[derive(Debug, Default)]
pub struct Published(pub(super) Vec<TcpListener>);

impl Published {
    /// Listens at the ports on the host's loopback; in IPv6 only where the host has it.
    ///
    /// # Errors
    /// [`GateError::Publish`] for the first port that is taken, or must not be bound.
    pub fn bind(ports: &[u16]) -> Result<Self, GateError> {
        let mut listeners = Vec::new();
        for port in ports {
            for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
                let address = SocketAddr::new(ip, *port);
                match TcpListener::bind(address) {
                    Ok(listener) => listeners.push(listener),
                    Err(error) if ip.is_ipv6() && is_missing(&error) => {}
                    Err(source) => return Err(GateError::Publish { address, source }),
                }
            }
        }
        Ok(Self(listeners))
    }
}

/// Whether a host has no IPv6, or no address of it on `lo`.
fn is_missing(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL))
}
