//! What a reader of the gate's rules may not expect: told by the plan, refused by nothing.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Shown;
use super::gate::GateRules;
use crate::policy::endpoint::{EndpointRule, HostRule};

/// Notes that a plan prints, at most; a policy may have a thousand rules that all deserve one.
const MOST: usize = 16;

impl GateRules {
    /// What of the rules has no effect, or another one than a reader may expect, one sentence each.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let allow: Vec<EndpointRule> = read(&self.allow);
        let deny: Vec<EndpointRule> = read(&self.deny);
        let mut notes: Vec<_> = allow.iter().filter_map(|rule| self.note(rule, &deny)).collect();
        if notes.len() > MOST {
            let rest = notes.len() - MOST;
            notes.truncate(MOST);
            notes.push(format!("and {rest} more rules like these"));
        }
        notes
    }

    /// The rules of `allow` that name loopback addresses. They mean the host's: connecting to such an endpoint inside is put to
    /// the gate, which connects to the host's, unless a program inside listens there; all other loopback connections stay
    /// inside.
    pub fn host_loopback(&self) -> impl Iterator<Item = EndpointRule> {
        self.allow.iter().filter_map(|rule| rule.parse().ok()).filter(EndpointRule::is_loopback)
    }

    fn note(&self, rule: &EndpointRule, deny: &[EndpointRule]) -> Option<String> {
        let shown = Shown::new(&rule.to_string()).to_string();
        if let Some(denied) = deny.iter().find(|denial| denial.denies_all_of(rule)) {
            return Some(format!("{shown} is allowed and denied by {denied}: the denial wins"));
        }
        if self.ranges.ipv6.is_none() && is_ipv6(rule) {
            return Some(format!("{shown} allows nothing: this host has no IPv6"));
        }
        if rule.is_loopback() {
            return Some(format!("{shown} is the host's loopback, where no program inside listens there"));
        }
        let HostRule::Network(network) = &rule.host else { return None };
        let hidden = self.ranges.networks().find(|range| network.contains(range))?;
        Some(format!("{shown} leaves out {hidden}, whose addresses stand for names inside"))
    }
}

fn read(rules: &[String]) -> Vec<EndpointRule> {
    rules.iter().filter_map(|rule| rule.parse().ok()).collect()
}

const fn is_ipv6(rule: &EndpointRule) -> bool {
    matches!(rule.host, HostRule::Address(IpAddr::V6(_)) | HostRule::Network(IpNet::V6(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::gate::{FakeRanges, GateLimits, NetworkDefault};

    fn rules(allow: &[&str], deny: &[&str], ipv6: bool) -> GateRules {
        let owned = |rules: &[&str]| rules.iter().map(|rule| (*rule).to_owned()).collect();
        GateRules {
            allow: owned(allow),
            deny: owned(deny),
            default: NetworkDefault::Deny,
            limits: GateLimits {
                sent: None,
                received: None,
                connections: None,
                connections_at_once: 1,
                connections_per_second: 1,
            },
            publish: Vec::new(),
            ranges: FakeRanges::new(ipv6),
        }
    }

    #[test]
    fn what_has_no_effect_is_told() {
        for (allow, deny, ipv6, note) in [
            ("a.x.org", "*.x.org", true, Some("a.x.org is allowed and denied by *.x.org: the denial wins")),
            ("a.x.org", "a.x.org:443", true, None),
            ("*.x.org", "a.x.org", true, None),
            ("2001:db8::/32", "y", false, Some("2001:db8::/32 allows nothing: this host has no IPv6")),
            ("2001:db8::/32", "y", true, None),
            (
                "127.0.0.1:9",
                "y",
                true,
                Some("127.0.0.1:9 is the host's loopback, where no program inside listens there"),
            ),
            (
                "198.0.0.0/8",
                "y",
                true,
                Some("198.0.0.0/8 leaves out 198.18.0.0/15, whose addresses stand for names inside"),
            ),
        ] {
            assert_eq!(rules(&[allow], &[deny], ipv6).notes(), note.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn notes_are_bounded() {
        let many: Vec<_> = (1..100).map(|port| format!("127.0.0.1:{port}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let notes = rules(&many, &[], true).notes();
        assert_eq!((notes.len(), notes[MOST].as_str()), (MOST + 1, "and 83 more rules like these"));
    }

    #[test]
    fn only_rules_for_loopback_itself_mean_the_hosts() {
        let rules = rules(&["127.0.0.0/8:9", "[::1]:7", "0.0.0.0/0", "::/0", "10.0.0.1", "x.org"], &[], true);
        let found: Vec<_> = rules.host_loopback().map(|rule| rule.to_string()).collect();
        assert_eq!(found, ["127.0.0.0/8:9", "[::1]:7"]);
    }
}
