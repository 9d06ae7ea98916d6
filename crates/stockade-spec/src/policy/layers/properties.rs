//! For arbitrary layers: a workspace's file never widens, and what is printed loads to the same policy.

use std::net::IpAddr;

use proptest::prelude::*;
use proptest::sample::{Index, subsequence};

use crate::Tier;
use crate::policy::endpoint::{EndpointRule, HostRule};
use crate::policy::{NetworkDefault, Overrides, Policy, Source, WorkspaceAccess, load};

const fn source(text: &str) -> Source<'_> {
    Source { name: "p.toml", text }
}

/// Every key that a layer may have, each with texts to choose from.
const KEYS: &[(&str, &str, &[&str])] = &[
    ("filesystem", "workspace", &["'write'", "'read-only'"]),
    ("filesystem", "read", &["[]", "['/a']", "['/a', '~/b']", "['/a/c', 'w']", "['~/b', 'out']"]),
    ("filesystem", "write", &["[]", "['/a']", "['~/b', '/w']", "['out']"]),
    ("filesystem", "deny", &["[]", "['**/.env']", "['secrets/', '~/x']", "['q\"uo[\\]te', 'ü']"]),
    ("filesystem", "protect", &["[]", "['hooks/**']", "['a', 'b', 'c', 'd', 'e', 'f']"]),
    (
        "network",
        "allow",
        &[
            "[]",
            "['*.x.org']",
            "['a.x.org']",
            "['A.x.org:22', 'a.x.org:80-99']",
            "['a.x.org:22']",
            "['10.0.0.0/8:1-99']",
            "['10.1.2.3:80', 'fd00::/8']",
        ],
    ),
    ("network", "default", &["'deny'", "'ask'", "'public'"]),
    ("network", "deny", &["[]", "['a.x.org']", "['10.1.0.0/16']"]),
    ("network", "publish", &["[]", "[80]", "['8080', 80]"]),
    (
        "network",
        "limits",
        &[
            "{}",
            "{ sent = '1kB' }",
            "{ sent = 1, connections = 7 }",
            "{ received = '3GiB', connections_at_once = 9 }",
            "{ connections_per_second = 3 }",
        ],
    ),
    ("unix", "allow", &["[]", "['/run/a']", "['/run/a', '~/s']"]),
    ("limits", "memory", &["'5MiB'", "'64GB'", "4194305"]),
    ("limits", "cpus", &["1", "0.5", "1.125", "64"]),
    ("limits", "processes", &["2", "99"]),
    ("limits", "files", &["16", "100000"]),
    ("limits", "disk", &["'1MiB'", "'9TiB'"]),
    ("limits", "time", &["'90s'", "'1h30m'", "'10ms'"]),
    ("limits", "output", &["1", "'1GiB'"]),
    ("environment", "pass", &["[]", "['LANG']", "['LANG', 'AWS_*']", "['AWS_SECRET']"]),
    ("environment", "set", &["{}", "{ A = '1' }", "{ A = \"\\n\\u001b'\\\"\", 'x.y\"z' = '' }"]),
    ("kernel", "nested-namespaces", &["true", "false"]),
    ("sandbox", "checkpoint", &["'asked'", "'each-command'"]),
    ("sandbox", "linger", &["'0s'", "'90s'", "'1h'"]),
    ("enforcement", "isolation", &["'strongest'", "'namespaces'", "'landlock'"]),
    ("enforcement", "accept_degraded", &["[]", "['caches']", "['caches', 'files']"]),
];

/// A layer's text: some of the keys, each with one of its values.
fn layer(most: usize, profile: bool) -> impl Strategy<Value = String> {
    let start = if profile { vec!["", "extends = 'hardened'\n", "extends = 'research'\n"] } else { vec![""] };
    let keys = subsequence((0..KEYS.len()).collect::<Vec<_>>(), 0..=most);
    (proptest::sample::select(start), keys, proptest::collection::vec(any::<Index>(), KEYS.len())).prop_map(
        |(start, keys, picks)| {
            let mut text = start.to_owned();
            let mut open = "";
            for key in keys {
                let (section, name, values) = KEYS[key];
                if section != open {
                    text.extend(["[", section, "]\n"]);
                    open = section;
                }
                text.extend([name, " = ", values[picks[key].index(values.len())], "\n"]);
            }
            text
        },
    )
}

fn subset<T: PartialEq>(inner: &[T], outer: &[T]) -> bool {
    inner.iter().all(|item| outer.contains(item))
}

fn bounded<T: Ord>(inner: Option<T>, outer: Option<T>) -> bool {
    outer.is_none_or(|outer| inner.is_some_and(|inner| inner <= outer))
}

/// Whether the policy lets a host be reached at a port without a question, said another way than the merge says it. Where
/// public addresses are open, so is every name; no address is public that stands in [`HOSTS`].
fn reaches(policy: &Policy, host: &str, port: u16) -> bool {
    let is_address = host.parse::<IpAddr>().is_ok();
    if policy.network.default == NetworkDefault::Public && !is_address {
        return true;
    }
    policy.network.allow.iter().any(|text| {
        let rule: EndpointRule = text.parse().expect("canonical");
        let hit = match &rule.host {
            HostRule::Name(name) => name == host,
            HostRule::Below(suffix) => host.ends_with(&format!(".{suffix}")),
            HostRule::Address(address) => host.parse() == Ok(*address),
            HostRule::Network(network) => host.parse::<IpAddr>().is_ok_and(|address| network.contains(&address)),
        };
        hit && rule.ports.map_or([80, 443].contains(&port), |ports| ports.first() <= port && port <= ports.last())
    })
}

const HOSTS: &[&str] = &["x.org", "a.x.org", "b.x.org", "c.a.x.org", "10.1.2.3", "10.9.9.9", "fd00::1", "192.0.2.1"];
const PORTS: &[u16] = &[22, 80, 99, 100, 443];

fn widened(inner: &Policy, outer: &Policy) -> Option<&'static str> {
    let (i, o) = (&inner.filesystem, &outer.filesystem);
    let readable = [o.read.as_slice(), o.write.as_slice()].concat();
    let (il, ol) = (&inner.limits, &outer.limits);
    let (inet, onet) = (&inner.network, &outer.network);
    let strict = |isolation| match isolation {
        Some(Tier::Landlock) => 0,
        None => 1,
        Some(Tier::Namespaces) => 2,
    };
    let reach =
        HOSTS.iter().all(|host| PORTS.iter().all(|port| !reaches(inner, host, *port) || reaches(outer, host, *port)));
    [
        ("profile", inner.profile == outer.profile),
        ("workspace", i.workspace == o.workspace || i.workspace == WorkspaceAccess::ReadOnly),
        ("read", subset(&i.read, &readable)),
        ("write", subset(&i.write, &o.write)),
        ("deny", subset(&o.deny, &i.deny)),
        ("protect", subset(&o.protect, &i.protect)),
        ("network.allow", reach),
        ("network.default", inet.default <= onet.default),
        ("network.deny", subset(&onet.deny, &inet.deny)),
        ("publish", subset(&inet.publish, &onet.publish)),
        ("sent", bounded(inet.limits.sent, onet.limits.sent)),
        ("received", bounded(inet.limits.received, onet.limits.received)),
        ("connections", bounded(inet.limits.connections, onet.limits.connections)),
        ("connections_at_once", bounded(inet.limits.connections_at_once, onet.limits.connections_at_once)),
        ("connections_per_second", bounded(inet.limits.connections_per_second, onet.limits.connections_per_second)),
        ("unix", subset(&inner.unix, &outer.unix)),
        ("memory", bounded(il.memory, ol.memory)),
        ("cpus", bounded(il.milli_cpus, ol.milli_cpus)),
        ("processes", bounded(il.processes, ol.processes)),
        ("files", bounded(il.files, ol.files)),
        ("disk", bounded(il.disk, ol.disk)),
        ("time", bounded(il.time, ol.time)),
        ("output", bounded(il.output, ol.output)),
        ("pass", subset(&inner.environment.pass, &outer.environment.pass)),
        ("set", inner.environment.set == outer.environment.set),
        ("nested", !inner.kernel.nested_namespaces || outer.kernel.nested_namespaces),
        ("checkpoint", inner.sandbox.checkpoint >= outer.sandbox.checkpoint),
        ("linger", inner.sandbox.linger <= outer.sandbox.linger),
        ("isolation", strict(inner.isolation) >= strict(outer.isolation)),
        ("accept_degraded", subset(&inner.accept_degraded, &outer.accept_degraded)),
    ]
    .into_iter()
    .find(|(_, narrower)| !narrower)
    .map(|(what, _)| what)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_workspace_file_never_widens(machine in layer(24, true), user in layer(8, true), own in layer(2, false)) {
        let layers = [source(&machine), source(&user)];
        let outer = load(&layers, None, &Overrides::default()).expect("the pool holds valid values");
        let workspace = Source { name: ".stockade.toml", text: &own };
        match load(&layers, Some(workspace), &Overrides::default()) {
            Ok(inner) => prop_assert_eq!(widened(&inner, &outer), None),
            Err(wrong) => prop_assert!(wrong.iter().all(|wrong| wrong.source == ".stockade.toml")),
        }
    }

    #[test]
    fn what_is_printed_loads_to_the_same(machine in layer(24, true), own in layer(3, false)) {
        let workspace = Source { name: ".stockade.toml", text: &own };
        let layers = [source(&machine)];
        let overrides = Overrides::default();
        let narrowed = load(&layers, Some(workspace), &overrides);
        let policy = narrowed.or_else(|_| load(&layers, None, &overrides)).expect("the pool holds valid values");
        let text = policy.to_toml();
        prop_assert_eq!(&load(&[source(&text)], None, &overrides).expect("what is printed is valid"), &policy);
        let json = serde_json::to_string(&policy).expect("serialises");
        prop_assert_eq!(serde_json::from_str::<Policy>(&json).expect("deserialises"), policy);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}|([a-z._=\\[\\]{}'\"0-9,*/~\n -]{0,80})") {
        for wrong in crate::policy::check(source(&text)) {
            prop_assert!(wrong.span.end <= text.len() && !wrong.to_string().is_empty());
        }
    }
}
