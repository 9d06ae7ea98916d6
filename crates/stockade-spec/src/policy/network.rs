//! The network part of a policy.

use serde::{Deserialize, Serialize};

use crate::units::ByteSize;

/// Most connections at once that a policy may permit, which holds too where a policy sets no bound.
pub(crate) const MOST_AT_ONCE: u32 = 100_000;
/// Most new connections in one second, likewise.
pub(crate) const MOST_PER_SECOND: u32 = 1_000_000;

/// Endpoints that may be reached. Empty lists mean nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkPolicy {
    /// Endpoint rules that allow, each the canonical text of an [`EndpointRule`](super::endpoint::EndpointRule): `name`,
    /// `*.suffix`, address or network, with an optional port or range. A rule without ports covers 80 and 443.
    pub allow: Vec<String>,
    /// Endpoint rules that deny, likewise; they win. A rule without ports covers every port.
    pub deny: Vec<String>,
    /// What happens to endpoints that no rule names.
    #[serde(default)]
    pub default: NetworkDefault,
    /// Ports inside that the host's loopback reaches; never 0.
    pub publish: Vec<u16>,
    /// Bounds on traffic.
    pub limits: NetworkLimits,
}

/// What happens to an endpoint that no rule names. Ordered by strictness, the strictest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NetworkDefault {
    /// It is refused.
    #[default]
    Deny,
    /// Whoever runs the sandbox is asked; refused where nobody can be.
    Ask,
    /// It may be reached if it is a public address, or a name that leads to one. Private, loopback, link-local and other
    /// special addresses stay refused.
    Public,
}

impl NetworkDefault {
    /// Every value, the strictest first.
    pub const ALL: &'static [Self] = &[Self::Deny, Self::Ask, Self::Public];

    /// The word in policies and plans.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Ask => "ask",
            Self::Public => "public",
        }
    }
}

/// Bounds on traffic of a whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkLimits {
    /// Bytes sent.
    pub sent: Option<ByteSize>,
    /// Bytes received.
    pub received: Option<ByteSize>,
    /// Connections in total.
    pub connections: Option<u32>,
    /// Connections at once.
    #[serde(default)]
    pub connections_at_once: Option<u32>,
    /// New connections in any one second.
    #[serde(default)]
    pub connections_per_second: Option<u32>,
}

impl NetworkPolicy {
    /// Whether any endpoint outside the sandbox may be reached, in either direction.
    #[must_use]
    pub fn opens_anything(&self) -> bool {
        !self.allow.is_empty() || !self.publish.is_empty() || self.default != NetworkDefault::Deny
    }
}
