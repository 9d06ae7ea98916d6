//! Why a connection could not be made.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

/// Why a connection could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    /// The host's resolver does not know the name, or failed.
    #[error("the host's resolver gives no address for `{name}`: {source}")]
    Lookup { name: String, source: io::Error },
    /// It took too long.
    #[error("the host's resolver gave no answer for `{name}` within {} s", .bound.as_secs())]
    LookupTimeout { name: String, bound: Duration },
    /// The name exists and has no address.
    #[error("`{0}` has no address")]
    NoAddress(String),
    /// None of the addresses may be dialled.
    #[error("it leads to {address}: {why}")]
    Refused { address: IpAddr, why: String },
    /// The system refused the socket, or no address answered.
    #[error("connecting failed: {0}")]
    Connect(#[source] io::Error),
    /// No address answered in time.
    #[error("nothing answered within {} s", .0.as_secs())]
    Timeout(Duration),
    /// The upstream proxy answered with something other than success.
    #[error("the upstream proxy refused, with status {0}")]
    ProxyStatus(u16),
    /// The upstream proxy does not speak HTTP, or says more than fits.
    #[error("the upstream proxy gave no HTTP answer")]
    ProxyAnswer,
    /// The connection to the upstream proxy broke.
    #[error("talking to the upstream proxy failed: {0}")]
    Proxy(#[source] io::Error),
}
