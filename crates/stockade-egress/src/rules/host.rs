//! A host as a program gives it: a name or an address.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

pub use stockade_spec::policy::endpoint::{EndpointError, HostName};

/// A host, of which rules decide.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A host name.
    Name(HostName),
    /// An address.
    Address(IpAddr),
}

impl FromStr for Host {
    type Err = EndpointError;

    /// Reads a host as it stands in a rule, in a `Host` header or in a URL: a name, an IPv4 address of four decimal numbers,
    /// or an IPv6 address, which may be in brackets.
    ///
    /// # Errors
    /// Everything else, for the reason that the reader of rules gives.
    fn from_str(text: &str) -> Result<Self, EndpointError> {
        if let Some(inside) = text.strip_prefix('[') {
            let inside = inside.strip_suffix(']').ok_or(EndpointError::Brackets)?;
            let address: Result<Ipv6Addr, _> = inside.parse();
            return address.map(|address| Self::Address(address.into())).map_err(|_| EndpointError::Brackets);
        }
        match text.parse() {
            Ok(address) => Ok(Self::Address(address)),
            Err(_) => text.parse().map(Self::Name),
        }
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

impl From<HostName> for Host {
    fn from(name: HostName) -> Self {
        Self::Name(name)
    }
}

impl fmt::Display for Host {
    /// As in a rule; an IPv6 address has no brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}
