//! Dialling: from an allowed host and port to a connected socket, and the only place of the gate that opens one to the outside.
//!
//! That a name is allowed says nothing about the addresses it leads to, and that every public address is open says nothing about
//! the host's own. So a name is looked up once, every address is checked,
//! and what is connected to is the address that was checked, not the name again: a name server that answers differently the
//! second time (rebinding) is not asked a second time.
//!
//! With an upstream proxy ([`Upstream`]), the proxy is given the name, and its own checks apply: the gate cannot know what the
//! proxy resolves. Whoever configures the host's proxy decides that; the rules have been applied to the name before.

mod check;
mod connect;
mod error;
mod lookup;
mod own;
mod proxy;
mod upstream;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

pub(crate) use error::DialError;
pub(crate) use lookup::AT_ONCE as LOOKUPS_AT_ONCE;
pub use lookup::{Lookup, SystemLookup};
pub use upstream::{Upstream, UpstreamError};

use crate::rules::{Host, Rules};

/// Longest time that connecting takes, over all addresses of a host, with the answer of a proxy.
const CONNECT_WITHIN: Duration = Duration::from_secs(30);

/// Makes connections to the outside.
#[derive(Debug)]
pub(crate) struct Dialer {
    rules: Arc<Rules>,
    lookup: lookup::Bounded,
    upstream: Option<Upstream>,
}

/// A connection that was made.
#[derive(Debug)]
pub(crate) struct Dialled {
    pub(crate) socket: TcpStream,
    /// The address that was connected to; `None` where a proxy did it.
    pub(crate) address: Option<IpAddr>,
}

impl Dialer {
    pub(crate) fn new(rules: Arc<Rules>, lookup: Arc<dyn Lookup>, upstream: Option<Upstream>) -> Self {
        Self { rules, lookup: lookup::Bounded::new(lookup), upstream }
    }

    /// Connects to a host that the rules allow. `speaks_first` says that there is something to send to it at once.
    pub(crate) async fn dial(&self, host: &Host, port: u16, speaks_first: bool) -> Result<Dialled, DialError> {
        match &self.upstream {
            Some(upstream) if !upstream.is_bypassed(host) => self.through(upstream, host, port).await,
            _ => self.directly(host, port, speaks_first).await,
        }
    }

    async fn directly(&self, host: &Host, port: u16, speaks_first: bool) -> Result<Dialled, DialError> {
        let found = match host {
            // No rule need have named it: where every public address is open, it may still be one of the host's own.
            Host::Address(address) => vec![SocketAddr::new(*address, port)],
            Host::Name(name) => self.lookup.find(name.as_str(), port).await?,
        };
        let addresses = check::usable(&self.rules, found, port)?;
        let (socket, address) = within(connect::first(addresses, speaks_first)).await?;
        Ok(Dialled { socket, address: Some(address.ip()) })
    }

    /// The proxy's own address is not checked: the host's owner configured it, and proxies usually are in private networks.
    async fn through(&self, upstream: &Upstream, host: &Host, port: u16) -> Result<Dialled, DialError> {
        let found = self.lookup.find(upstream.host(), upstream.port()).await?;
        let dialled = async {
            let (mut socket, _) = connect::first(connect::in_order(found), true).await?;
            proxy::ask(&mut socket, upstream, host, port).await?;
            Ok(Dialled { socket, address: None })
        };
        within(dialled).await
    }
}

async fn within<T>(connecting: impl Future<Output = Result<T, DialError>>) -> Result<T, DialError> {
    tokio::time::timeout(CONNECT_WITHIN, connecting).await.map_err(|_| DialError::Timeout(CONNECT_WITHIN))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::NetworkDefault;

    #[test]
    fn an_address_of_this_host_is_not_dialled_because_all_public_ones_are_open() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let dialled = |allow: &[String]| {
            let allow: Vec<_> = allow.iter().map(|rule| rule.parse().unwrap()).collect();
            let rules = Arc::new(Rules::new(&allow, &[], NetworkDefault::Public));
            let dialer = Dialer::new(rules, Arc::new(SystemLookup), None);
            runtime.block_on(dialer.dial(&Host::Address(at.ip()), at.port(), false))
        };
        let refused = dialled(&[]).unwrap_err();
        assert!(matches!(refused, DialError::Refused { address, .. } if address == at.ip()), "{refused}");
        assert_eq!(dialled(&[at.to_string()]).unwrap().address, Some(at.ip()));
    }
}
