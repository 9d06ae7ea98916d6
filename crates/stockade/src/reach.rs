//! Which rule of a plan decides about an endpoint, without connecting to anything.

use std::fmt;
use std::str::FromStr;

use stockade_egress::rules::{EndpointError, Host, Verdict};
use stockade_spec::Plan;
use stockade_spec::report::allow_option;

use crate::gate;

/// An endpoint: `example.com:443`, `192.0.2.1:22`, `[2001:db8::1]:443`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    host: Host,
    port: u16,
}

/// A text that names no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoEndpoint {
    /// There is no port, or it is not a number from 1 to 65535.
    #[error("an endpoint ends in a port from 1 to 65535, as in example.com:443")]
    Port,
    /// The host is neither a name nor an address.
    #[error(transparent)]
    Host(#[from] EndpointError),
}

impl FromStr for Endpoint {
    type Err = NoEndpoint;

    fn from_str(text: &str) -> Result<Self, NoEndpoint> {
        let (host, port) = text.rsplit_once(':').ok_or(NoEndpoint::Port)?;
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| digits && *port > 0).ok_or(NoEndpoint::Port)?;
        // The last part of an IPv6 address without brackets is not told from a port.
        if host.contains(':') && !host.starts_with('[') {
            return Err(EndpointError::Brackets.into());
        }
        Ok(Self { host: host.parse()?, port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(std::net::IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            host => write!(f, "{host}:{}", self.port),
        }
    }
}

/// What a plan says of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reach {
    /// It may be reached. For a name, every address that it leads to is checked as well when it is connected to.
    Allowed {
        /// The rule that allows it.
        rule: String,
    },
    /// Whoever runs the sandbox is asked.
    Asked,
    /// It is the sandbox's own loopback, which leads to programs inside.
    Inside,
    /// It may not be reached.
    Denied {
        /// The rule that denies it; `None` where no rule names it.
        rule: Option<String>,
        /// The option that would allow it, where one would.
        option: Option<String>,
    },
}

/// Decides about an endpoint as the gate of a run by this plan does.
#[must_use]
pub fn reach(plan: &Plan, endpoint: &Endpoint) -> Reach {
    let Endpoint { host, port } = endpoint;
    let rules = plan.gate().map(gate::compiled);
    if let Host::Address(address) = host
        && address.to_canonical().is_loopback()
        && !rules.as_ref().is_some_and(|rules| rules.names_address(*address, *port))
    {
        return Reach::Inside;
    }
    match rules.map(|rules| rules.decide(host, *port)) {
        Some(Verdict::Allowed { rule }) => Reach::Allowed { rule },
        Some(Verdict::Ask) => Reach::Asked,
        Some(Verdict::Denied { rule: Some(rule) }) => Reach::Denied { rule: Some(rule), option: None },
        Some(Verdict::Denied { rule: None }) | None => {
            Reach::Denied { rule: None, option: allow_option(&host.to_string(), *port) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_as_rules_are() {
        for (text, shown) in [
            ("Example.COM:443", "example.com:443"),
            ("192.0.2.1:22", "192.0.2.1:22"),
            ("[2001:DB8::1]:443", "[2001:db8::1]:443"),
        ] {
            assert_eq!(text.parse::<Endpoint>().map(|endpoint| endpoint.to_string()).as_deref(), Ok(shown));
        }
        for text in ["example.com", "example.com:", "example.com:0", "example.com:+1", "example.com:65536"] {
            assert_eq!(text.parse::<Endpoint>(), Err(NoEndpoint::Port), "{text}");
        }
        for text in ["127.1:80", "a b:80", "http://a.example:80", "2001:db8::1:80", "[::1:80", ":80"] {
            assert!(matches!(text.parse::<Endpoint>(), Err(NoEndpoint::Host(_))), "{text}");
        }
    }
}
