//! The gate to the network: rules for the supervisor, routes for the stage. A policy that opens nothing has none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::error::{CompileError, RuleProblem};
use super::{Input, resolution};
use crate::facts::PathFact;
use crate::plan::gate::{FAKE_IPV4, FAKE_IPV6, FakeRanges, GateLimits, GateRoutes, GateRules};
use crate::policy::endpoint::{EndpointRule, HostRule};
use crate::policy::{MOST_AT_ONCE, MOST_PER_SECOND, NetworkDefault, Policy};

const ALLOW: &str = "network.allow";
const DENY: &str = "network.deny";
const PUBLISH: &str = "network.publish";

/// There where the kernel has IPv6 (`net/ipv6/addrconf.c`, `if6_proc_net_init`).
const IPV6: &str = "/proc/net/if_inet6";

/// Both sides of the gate.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) rules: GateRules,
    pub(super) routes: GateRoutes,
}

/// The paths whose existence matters, where the policy opens the gate.
pub(super) fn survey(policy: &Policy, uses: &mut impl FnMut(PathBuf)) {
    if policy.network.opens_anything() {
        uses(PathBuf::from(IPV6));
        resolution::survey(uses);
    }
}

/// The gate of a policy in tier `landlock`, if it opens one: to the outside only, and only where somebody can be asked.
pub(super) fn outward(input: Input<'_>) -> Result<Option<GateRules>, CompileError> {
    let Policy { network, unix, .. } = input.policy;
    let wrong = |(list, rule), problem| Err(CompileError::Rule { list, rule, problem });
    let publish = network.publish.first().map(|port| (PUBLISH, port.to_string()));
    let unix = unix.first().map(|rule| (super::sockets::LIST, rule.clone()));
    if let Some(rule) = publish.or(unix) {
        return wrong(rule, RuleProblem::NeedsNamespaces);
    }
    let default = (network.default != NetworkDefault::Deny).then(|| ("network.default", network.default.name().into()));
    let allow = network.allow.first().map(|rule| (ALLOW, rule.clone()));
    match allow.or(default) {
        Some(rule) if !input.facts.kernel.seccomp_notify => wrong(rule, RuleProblem::GateNeedsListener),
        _ => Ok(gate(input)?.map(|gate| gate.rules)),
    }
}

/// The gate of a policy, if it opens one.
pub(super) fn gate(input: Input<'_>) -> Result<Option<Gate>, CompileError> {
    let network = &input.policy.network;
    if !network.opens_anything() {
        return Ok(None);
    }
    let allow = parsed(ALLOW, &network.allow, check_allowed)?;
    let deny = parsed(DENY, &network.deny, |_| Ok(()))?;
    if network.publish.contains(&0) {
        return Err(CompileError::Rule { list: PUBLISH, rule: "0".to_owned(), problem: RuleProblem::NoPort });
    }
    let has_ipv6 = *input.host.at(Path::new(IPV6)) != PathFact::Missing;
    let ranges = FakeRanges::new(has_ipv6);
    let routes =
        GateRoutes { local: local(network.default, &allow, ranges), name_servers: name_servers(input, ranges) };
    let texts = |rules: &[EndpointRule]| rules.iter().map(ToString::to_string).collect();
    let rules = GateRules {
        allow: texts(&allow),
        deny: texts(&deny),
        default: network.default,
        limits: limits(input.policy),
        publish: network.publish.clone(),
        ranges,
    };
    Ok(Some(Gate { rules, routes }))
}

/// The rules of a list. A policy text has been checked already; one that was put together in memory has not.
fn parsed(
    list: &'static str,
    rules: &[String],
    check: fn(&EndpointRule) -> Result<(), RuleProblem>,
) -> Result<Vec<EndpointRule>, CompileError> {
    let read = |text: &String| {
        let rule: EndpointRule = text.parse().map_err(RuleProblem::Endpoint)?;
        check(&rule).map(|()| rule)
    };
    let wrong = |text: &String, problem| CompileError::Rule { list, rule: text.clone(), problem };
    rules.iter().map(|text| read(text).map_err(|problem| wrong(text, problem))).collect()
}

/// Refuses rules that cannot allow what they say.
fn check_allowed(rule: &EndpointRule) -> Result<(), RuleProblem> {
    rule.check_allowed().map_err(RuleProblem::Endpoint)?;
    let network = match &rule.host {
        HostRule::Name(name) | HostRule::Below(name) => {
            // RFC 6761, section 6.3: such names are the loopback of whoever asks.
            let own = name == "localhost" || name.ends_with(".localhost");
            return if own { Err(RuleProblem::OwnLoopback) } else { Ok(()) };
        }
        HostRule::Address(address) => IpNet::from(*address),
        HostRule::Network(network) => *network,
    };
    let fake = [IpNet::V4(FAKE_IPV4), IpNet::V6(FAKE_IPV6)].into_iter().find(|range| range.contains(&network));
    if let Some(range) = fake {
        return Err(RuleProblem::StandsForNames { range: range.to_string() });
    }
    let broadcast = network == IpNet::from(IpAddr::V4(Ipv4Addr::BROADCAST));
    let multicast = match network {
        IpNet::V4(network) => network.prefix_len() >= 4 && network.network().is_multicast(),
        IpNet::V6(network) => network.prefix_len() >= 8 && network.network().is_multicast(),
    };
    if multicast || broadcast { Err(RuleProblem::ManyReceivers) } else { Ok(()) }
}

/// What the namespace answers for. Where endpoints that no rule names are not simply denied, that is everything; the gate
/// refuses what is denied.
fn local(default: NetworkDefault, allow: &[EndpointRule], ranges: FakeRanges) -> Vec<IpNet> {
    let has_ipv6 = ranges.ipv6.is_some();
    if default != NetworkDefault::Deny {
        let everything = [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())];
        return everything.into_iter().take(1 + usize::from(has_ipv6)).collect();
    }
    // The namespace has routes for loopback addresses already.
    let named = allow.iter().filter(|rule| !rule.is_loopback()).filter_map(|rule| match &rule.host {
        HostRule::Address(address) => Some(IpNet::from(*address)),
        HostRule::Network(network) => Some(*network),
        HostRule::Name(_) | HostRule::Below(_) => None,
    });
    let routable = |network: &IpNet| has_ipv6 || matches!(network, IpNet::V4(_));
    IpNet::aggregate(&ranges.networks().chain(named.filter(routable)).collect())
}

fn name_servers(input: Input<'_>, ranges: FakeRanges) -> Vec<IpAddr> {
    let mut servers: Vec<_> = ranges.name_servers().collect();
    if !resolution::names_the_servers(input.host) {
        servers.push(Ipv4Addr::LOCALHOST.into());
        servers.extend(ranges.ipv6.map(|_| IpAddr::V6(Ipv6Addr::LOCALHOST)));
    }
    servers
}

fn limits(policy: &Policy) -> GateLimits {
    let limits = &policy.network.limits;
    GateLimits {
        sent: limits.sent.map(|size| size.0),
        received: limits.received.map(|size| size.0),
        connections: limits.connections.map(u64::from),
        connections_at_once: limits.connections_at_once.unwrap_or(MOST_AT_ONCE).max(1),
        connections_per_second: limits.connections_per_second.unwrap_or(MOST_PER_SECOND).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_cannot_allow_what_they_say_are_refused() {
        type Expected = fn(&Result<(), RuleProblem>) -> bool;
        let cases: &[(&str, Expected)] = &[
            ("api.example.com", |result| result.is_ok()),
            ("0.0.0.0/0:5432", |result| result.is_ok()),
            ("::/0", |result| result.is_ok()),
            ("127.0.0.1:11434", |result| result.is_ok()),
            ("localhost:5432", |result| *result == Err(RuleProblem::OwnLoopback)),
            ("a.localhost", |result| *result == Err(RuleProblem::OwnLoopback)),
            ("*.a.localhost", |result| *result == Err(RuleProblem::OwnLoopback)),
            ("198.18.0.0/15", |result| matches!(result, Err(RuleProblem::StandsForNames { .. }))),
            ("198.19.3.4:22", |result| matches!(result, Err(RuleProblem::StandsForNames { .. }))),
            ("fd53:746f:636b::7", |result| matches!(result, Err(RuleProblem::StandsForNames { .. }))),
            ("224.0.0.0/4", |result| *result == Err(RuleProblem::ManyReceivers)),
            ("255.255.255.255", |result| *result == Err(RuleProblem::ManyReceivers)),
            ("ff02::1", |result| *result == Err(RuleProblem::ManyReceivers)),
            ("*.com", |result| matches!(result, Err(RuleProblem::Endpoint(_)))),
        ];
        for (rule, expected) in cases {
            let result = check_allowed(&rule.parse().expect(rule));
            assert!(expected(&result), "{rule}: {result:?}");
        }
    }

    #[test]
    fn routes_are_merged_and_leave_loopback_alone() {
        let rules = |texts: &[&str]| texts.iter().map(|text| text.parse().expect(text)).collect::<Vec<EndpointRule>>();
        let shown = |networks: Vec<IpNet>| networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let some = rules(&["10.1.0.0/16:1-9", "10.0.0.0/8", "x.example", "127.0.0.1:9", "[::1]:9", "2001:db8::1"]);
        for (default, ipv6, expected) in [
            (NetworkDefault::Deny, true, "10.0.0.0/8 198.18.0.0/15 2001:db8::1/128 fd53:746f:636b::/64"),
            (NetworkDefault::Deny, false, "10.0.0.0/8 198.18.0.0/15"),
            (NetworkDefault::Public, true, "0.0.0.0/0 ::/0"),
            (NetworkDefault::Ask, false, "0.0.0.0/0"),
        ] {
            assert_eq!(shown(local(default, &some, FakeRanges::new(ipv6))), expected);
        }
    }
}
