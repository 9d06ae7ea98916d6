//! Deciding.

use std::net::IpAddr;

use stockade_spec::policy::NetworkDefault;
use stockade_spec::policy::endpoint::{EndpointRule, HostName, HostRule, Ports};

use super::host::Host;
use super::special::{self, SpecialRange};

/// The rules of a run. Immutable; cheap to ask.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    allow: Vec<EndpointRule>,
    deny: Vec<EndpointRule>,
    default: NetworkDefault,
}

/// What the rules say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be reached.
    Allowed {
        /// Why: the canonical text of a rule, or `default = "public"`.
        rule: String,
    },
    /// It may not.
    Denied {
        /// The rule that denies it; `None` where no rule names it.
        rule: Option<String>,
    },
    /// No rule names it, and the policy wants that somebody be asked.
    Ask,
}

impl Verdict {
    /// Whether it is refused for certain.
    #[must_use]
    pub const fn is_denied(&self) -> bool {
        matches!(self, Self::Denied { .. })
    }
}

impl Rules {
    /// Rules as the plan holds them. Rules of `allow` without ports cover 80 and 443, those of `deny` every port.
    #[must_use]
    pub fn new(allow: &[EndpointRule], deny: &[EndpointRule], default: NetworkDefault) -> Self {
        Self { allow: allow.to_vec(), deny: deny.to_vec(), default }
    }

    /// Decides about a host at a port.
    ///
    /// That a name is allowed says nothing of the addresses it leads to: each is checked with
    /// [`may_lead_to`](Self::may_lead_to) before it is dialled. An IPv4 address in the clothes of IPv6 is taken for what is
    /// dialled: `::ffff:10.0.0.1` for `10.0.0.1`. Port 0 is nobody's.
    #[must_use]
    pub fn decide(&self, host: &Host, port: u16) -> Verdict {
        if port == 0 {
            return Verdict::Denied { rule: None };
        }
        match host {
            Host::Name(name) => self.decide_by(port, |rule| rule.has_name(name), |rule| rule.has_name(name), true),
            Host::Address(address) => self.decide_address(address.to_canonical(), port),
        }
    }

    fn decide_address(&self, address: IpAddr, port: u16) -> Verdict {
        let denies = |rule: &HostRule| denies_address(rule, address);
        let allows = |rule: &HostRule| allows_address(rule, address);
        self.decide_by(port, denies, allows, special::range_of(address).is_none())
    }

    /// `by_default` says whether the default may apply at all.
    fn decide_by(
        &self,
        port: u16,
        denies: impl Fn(&HostRule) -> bool,
        allows: impl Fn(&HostRule) -> bool,
        by_default: bool,
    ) -> Verdict {
        if let Some(rule) = self.deny.iter().find(|rule| denies(&rule.host) && rule.denies_port(port)) {
            return Verdict::Denied { rule: Some(rule.to_string()) };
        }
        if let Some(rule) = self.allow.iter().find(|rule| allows(&rule.host) && rule.allows_port(port)) {
            return Verdict::Allowed { rule: rule.to_string() };
        }
        match self.default {
            NetworkDefault::Public if by_default => Verdict::Allowed { rule: "default = \"public\"".to_owned() },
            NetworkDefault::Ask if by_default => Verdict::Ask,
            _ => Verdict::Denied { rule: None },
        }
    }

    /// Decides whether a name has an address inside: whether it may be reached at any port at all.
    ///
    /// The rule of a denial is the one that denies every port that would be allowed otherwise, or the first of several.
    #[must_use]
    pub fn may_resolve(&self, name: &HostName) -> Verdict {
        let host = Host::Name(name.clone());
        let mut denied = None;
        for port in self.telling_ports(name) {
            match self.decide(&host, port) {
                Verdict::Denied { rule } => denied = denied.or(rule),
                verdict => return verdict,
            }
        }
        Verdict::Denied { rule: denied }
    }

    /// Ports of which at least one is not denied if any port is not: where something that allows begins, and where
    /// something that denies has ended.
    fn telling_ports(&self, name: &HostName) -> Vec<u16> {
        let allowing = self.allow.iter().filter(|rule| rule.host.has_name(name)).flat_map(EndpointRule::allowed_ports);
        let denying = self.deny.iter().filter(|rule| rule.host.has_name(name));
        let begins = allowing.map(Ports::first).chain([1]);
        let ended = denying.filter_map(|rule| rule.ports?.last().checked_add(1));
        begins.chain(ended).collect()
    }

    /// Whether a rule allows this very address at this port, as an address or as part of a network, and none denies it.
    #[must_use]
    pub fn names_address(&self, address: IpAddr, port: u16) -> bool {
        let address = address.to_canonical();
        let denied = self.deny.iter().any(|rule| denies_address(&rule.host, address) && rule.denies_port(port));
        !denied && self.allow.iter().any(|rule| allows_address(&rule.host, address) && rule.allows_port(port))
    }

    /// Whether an allowed name may lead to this address: no rule denies it, and it is an ordinary address or a rule names
    /// it.
    ///
    /// # Errors
    /// Why not, for the event.
    pub fn may_lead_to(&self, address: IpAddr, port: u16) -> Result<(), Misled> {
        let address = address.to_canonical();
        if let Some(rule) = self.deny.iter().find(|rule| denies_address(&rule.host, address) && rule.denies_port(port))
        {
            return Err(Misled::Denied { rule: rule.to_string() });
        }
        match special::range_of(address) {
            Some(range) if !self.names_address(address, port) => Err(Misled::Special { range }),
            _ => Ok(()),
        }
    }
}

/// Why an allowed name must not lead to an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misled {
    /// A rule denies the address.
    #[error("the rule `{rule}` denies the address")]
    Denied {
        /// The canonical text of the rule.
        rule: String,
    },
    /// The address is special, and no rule names it.
    #[error("{range}, which only a rule that names the address opens")]
    Special {
        /// What is special about it.
        range: SpecialRange,
    },
}

/// Whether a rule that denies speaks of an address, be it as it is or as the IPv4 address that it carries.
fn denies_address(rule: &HostRule, address: IpAddr) -> bool {
    let carried = match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => special::carried(address).map(IpAddr::V4),
    };
    rule.has_address(address) || carried.is_some_and(|carried| rule.has_address(carried))
}

/// Whether a rule that allows speaks of an address. One that names more than a special range holds does not name the range:
/// `0.0.0.0/0` is every ordinary address, and no metadata service.
fn allows_address(rule: &HostRule, address: IpAddr) -> bool {
    let within = |range: SpecialRange| match rule {
        HostRule::Network(network) => range.network.contains(network),
        _ => true,
    };
    rule.has_address(address) && special::range_of(address).is_none_or(within)
}

#[cfg(test)]
mod tests;
