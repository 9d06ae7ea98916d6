//! The network part of a policy.

use serde::{Deserialize, Serialize};

use crate::units::ByteSize;

/// Endpoints that may be reached. Empty lists mean nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkPolicy {
    /// Endpoint rules that allow, each the canonical text of an [`EndpointRule`](super::endpoint::EndpointRule): `name`,
    /// `*.suffix`, address or network, with an optional port or range. A rule without ports covers 80 and 443.
    pub allow: Vec<String>,
    /// Endpoint rules that deny, likewise; they win. A rule without ports covers every port.
    pub deny: Vec<String>,
    /// Ports inside that the host's loopback reaches; never 0.
    pub publish: Vec<u16>,
    /// Bounds on traffic.
    pub limits: NetworkLimits,
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
}

impl NetworkPolicy {
    /// Whether any endpoint outside the sandbox may be reached, in either direction.
    #[must_use]
    pub const fn opens_anything(&self) -> bool {
        !self.allow.is_empty() || !self.publish.is_empty()
    }
}
