//! Ports and ranges of ports.

use std::fmt;
use std::str::FromStr;

use super::EndpointError;

/// A port or a range of ports, both ends included; never 0, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ports {
    first: u16,
    last: u16,
}

impl Ports {
    /// A single port; 0 is taken for 1.
    #[must_use]
    pub const fn one(port: u16) -> Self {
        let port = if port == 0 { 1 } else { port };
        Self { first: port, last: port }
    }

    /// The lowest port.
    #[must_use]
    pub const fn first(self) -> u16 {
        self.first
    }

    /// The highest port.
    #[must_use]
    pub const fn last(self) -> u16 {
        self.last
    }

    /// Whether all of `other` are among these.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }
}

/// Reads one port: decimal digits without a sign or leading zeros, 1 to 65535.
pub(in crate::policy) fn port(text: &str) -> Result<u16, EndpointError> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    let number = text.parse().ok().filter(|_| plain);
    number.ok_or_else(|| EndpointError::Port(text.to_owned()))
}

impl FromStr for Ports {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let Some((first, last)) = text.split_once('-') else {
            return port(text).map(Self::one);
        };
        let (first, last) = (port(first)?, port(last)?);
        if first > last { Err(EndpointError::EmptyRange(first, last)) } else { Ok(Self { first, last }) }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { self.first.fmt(f) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}
