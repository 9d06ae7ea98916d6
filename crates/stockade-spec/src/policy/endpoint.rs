//! Endpoint rules: one canonical reader of host names, addresses and networks with ports.
//!
//! A rule that two readers understand differently is a hole, so there is one spelling of everything: lower-case names of
//! letters, digits and hyphens (RFC 1123, section 2.1), IPv4 as four decimal numbers, IPv6 as RFC 5952 writes it. Whatever
//! some library would also accept as an address (`127.1`, `0x7f000001`, `2130706433`, `017700000001`) is refused.

mod error;
mod host;
mod name;
mod ports;
mod punycode;
mod suffix;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

pub use error::EndpointError;
pub use name::HostName;
pub use ports::Ports;
pub(super) use ports::port;

/// Longest rule, in bytes: the longest name (253), a wildcard and a range of ports fit.
const MAX_BYTES: usize = 280;

/// One endpoint rule. [`fmt::Display`] gives its one canonical text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EndpointRule {
    /// Which hosts.
    pub host: HostRule,
    /// Which ports; `None` where the rule names none: 80 and 443 when it allows, every port when it denies.
    pub ports: Option<Ports>,
}

/// The hosts of an endpoint rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostRule {
    /// Exactly this name.
    Name(String),
    /// Every name below this one, which is not itself meant: `example.org` of `*.example.org`.
    Below(String),
    /// One address.
    Address(IpAddr),
    /// Every address of a network.
    Network(IpNet),
}

impl EndpointRule {
    /// Whether everything that `other` allows is also allowed by this rule.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.host.covers(&other.host) && other.allowed_ports().iter().all(|ports| self.allows_ports(*ports))
    }

    /// Whether everything that `other` allows is denied by this rule.
    #[must_use]
    pub fn denies_all_of(&self, other: &Self) -> bool {
        let denied = |ports: &Ports| self.ports.is_none_or(|own| own.contains(*ports));
        self.host.covers(&other.host) && other.allowed_ports().iter().all(denied)
    }

    /// Whether every address of the rule is a loopback address.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            HostRule::Name(_) | HostRule::Below(_) => false,
            HostRule::Address(address) => address.is_loopback(),
            HostRule::Network(IpNet::V4(network)) => network.prefix_len() >= 8 && network.network().is_loopback(),
            // The only IPv6 network of loopback addresses is a single address.
            HostRule::Network(IpNet::V6(_)) => false,
        }
    }

    /// Refuses a rule that may deny but not allow: it covers names of unrelated owners.
    ///
    /// # Errors
    /// [`EndpointError::TooBroad`] for `*.com`, `*.co.uk` and other suffixes below which a registry lets anybody have a
    /// name.
    pub fn check_allowed(&self) -> Result<(), EndpointError> {
        match &self.host {
            HostRule::Below(suffix) if suffix::is_public(suffix) => Err(EndpointError::TooBroad(self.host.to_string())),
            _ => Ok(()),
        }
    }

    /// Whether the rule speaks of this port when it allows: 80 and 443 where it names none.
    #[must_use]
    pub fn allows_port(&self, port: u16) -> bool {
        port != 0 && self.allows_ports(Ports::one(port))
    }

    /// Whether the rule speaks of this port when it denies: any port where it names none.
    #[must_use]
    pub fn denies_port(&self, port: u16) -> bool {
        self.ports.is_none_or(|ports| ports.contains(Ports::one(port)))
    }

    fn allows_ports(&self, wanted: Ports) -> bool {
        self.allowed_ports().iter().any(|ports| ports.contains(wanted))
    }

    /// The ports that the rule covers when it allows.
    #[must_use]
    pub fn allowed_ports(&self) -> Vec<Ports> {
        self.ports.map_or_else(|| vec![Ports::one(80), Ports::one(443)], |ports| vec![ports])
    }
}

impl HostRule {
    /// Whether the rule speaks of this name.
    #[must_use]
    pub fn has_name(&self, name: &HostName) -> bool {
        match self {
            Self::Name(own) => own == name.as_str(),
            Self::Below(suffix) => name.is_below(suffix),
            Self::Address(_) | Self::Network(_) => false,
        }
    }

    /// Whether the rule speaks of this address, as it is written.
    #[must_use]
    pub fn has_address(&self, address: IpAddr) -> bool {
        match self {
            Self::Address(own) => *own == address,
            Self::Network(network) => network.contains(&address),
            Self::Name(_) | Self::Below(_) => false,
        }
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Below(suffix), Self::Name(name)) => name::is_below(name, suffix),
            (Self::Below(outer), Self::Below(inner)) => outer == inner || name::is_below(inner, outer),
            (Self::Network(network), Self::Address(address)) => network.contains(address),
            (Self::Network(outer), Self::Network(inner)) => outer.contains(inner),
            _ => self == other,
        }
    }
}

impl FromStr for EndpointRule {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        refuse_foreign(text)?;
        let (host, port) = split(text)?;
        let ports = port.map(str::parse).transpose()?;
        Ok(Self { host: host::parse(host)?, ports })
    }
}

/// Refuses what no rule holds, each with the reason that fits.
fn refuse_foreign(text: &str) -> Result<(), EndpointError> {
    if text.is_empty() {
        return Err(EndpointError::Empty);
    }
    if text.len() > MAX_BYTES {
        return Err(EndpointError::TooLong(text.len()));
    }
    if text.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err(EndpointError::Control);
    }
    if let Some((scheme, _)) = text.split_once("://") {
        return Err(EndpointError::Scheme(scheme.to_owned()));
    }
    if text.contains('@') {
        return Err(EndpointError::UserInfo);
    }
    if !text.is_ascii() {
        let (host, port) = text.split_once(':').map_or((text, ""), |(host, _)| (host, &text[host.len()..]));
        let meant = punycode::ascii_form(host.strip_prefix("*.").unwrap_or(host));
        let star = if host.starts_with("*.") { "*." } else { "" };
        return Err(EndpointError::NotAscii { meant: meant.map(|meant| format!("{star}{meant}{port}")) });
    }
    match text.chars().find(|c| !c.is_ascii_alphanumeric() && !"-.:*/[]_".contains(*c)) {
        Some(character) => Err(EndpointError::Character(character)),
        None => Ok(()),
    }
}

/// Splits the ports off. IPv6 is in brackets when ports follow.
fn split(text: &str) -> Result<(&str, Option<&str>), EndpointError> {
    if let Some(inside) = text.strip_prefix('[') {
        let (host, rest) = inside.split_once(']').ok_or(EndpointError::Brackets)?;
        if !host.contains(':') {
            return Err(EndpointError::Brackets);
        }
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(EndpointError::Brackets),
        };
    }
    if text.contains(['[', ']']) {
        return Err(EndpointError::Brackets);
    }
    match text.split_once(':') {
        Some((_, port)) if port.contains(':') => Ok((text, None)),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((text, None)),
    }
}

impl fmt::Display for EndpointRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.host, self.ports) {
            (host, None) => host.fmt(f),
            (host, Some(ports)) if host.is_ipv6() => write!(f, "[{host}]:{ports}"),
            (host, Some(ports)) => write!(f, "{host}:{ports}"),
        }
    }
}

impl HostRule {
    const fn is_ipv6(&self) -> bool {
        matches!(self, Self::Address(IpAddr::V6(_)) | Self::Network(IpNet::V6(_)))
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Below(suffix) => write!(f, "*.{suffix}"),
            Self::Address(address) => address.fmt(f),
            Self::Network(network) => network.fmt(f),
        }
    }
}

#[cfg(test)]
#[path = "endpoint/tests.rs"]
mod tests;
