use proptest::prelude::*;

use super::*;

fn rule(text: &str) -> EndpointRule {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn rules_have_one_canonical_text() {
    for (text, canonical) in [
        ("api.example.com", "api.example.com"),
        ("API.Example.COM:443", "api.example.com:443"),
        ("*.Example.org:8000-8100", "*.example.org:8000-8100"),
        ("localhost:5432", "localhost:5432"),
        ("git.example.com:22-22", "git.example.com:22"),
        ("10.1.2.0/24:5432", "10.1.2.0/24:5432"),
        ("10.1.2.3/32", "10.1.2.3"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("192.0.2.7:1-65535", "192.0.2.7:1-65535"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "[2001:db8::1]:443"),
        ("[fd00::/8]:443", "[fd00::/8]:443"),
        ("fd00::/8", "fd00::/8"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("1.example", "1.example"),
    ] {
        assert_eq!(rule(text).to_string(), canonical);
        assert_eq!(rule(canonical).to_string(), canonical);
    }
}

#[test]
fn everything_else_is_refused_for_its_own_reason() {
    use EndpointError as E;
    type Expected = fn(&E) -> bool;
    let cases: &[(&str, Expected)] = &[
        ("", |e| matches!(e, E::Empty)),
        ("https://api.example.com", |e| matches!(e, E::Scheme(s) if s == "https")),
        ("api.example.com/v1", |e| matches!(e, E::Path)),
        ("me@example.com", |e| matches!(e, E::UserInfo)),
        ("example.com\0.evil.org", |e| matches!(e, E::Control)),
        ("exam ple.com", |e| matches!(e, E::Control)),
        ("bücher.example", |e| matches!(e, E::NotAscii { meant: Some(meant) } if meant == "xn--bcher-kva.example")),
        ("example。com", |e| matches!(e, E::NotAscii { meant: None })),
        ("example.com?x", |e| matches!(e, E::Character('?'))),
        ("fe80::1%eth0", |e| matches!(e, E::Character('%'))),
        ("example.com\\x", |e| matches!(e, E::Character('\\'))),
        ("example.com:", |e| matches!(e, E::Port(_))),
        ("example.com:0", |e| matches!(e, E::Port(_))),
        ("example.com:65536", |e| matches!(e, E::Port(_))),
        ("example.com:080", |e| matches!(e, E::Port(_))),
        ("example.com:+80", |e| matches!(e, E::Character('+'))),
        ("example.com:http", |e| matches!(e, E::Port(_))),
        ("example.com:90-80", |e| matches!(e, E::EmptyRange(90, 80))),
        ("example.com:80-", |e| matches!(e, E::Port(_))),
        ("example.com.", |e| matches!(e, E::Label(_))),
        (".example.com", |e| matches!(e, E::Label(_))),
        ("a..b", |e| matches!(e, E::Label(_))),
        ("-a.example", |e| matches!(e, E::Label(_))),
        ("a-.example", |e| matches!(e, E::Label(_))),
        ("a_b.example", |e| matches!(e, E::Label(_))),
        ("127.1", |e| matches!(e, E::Numeric(_))),
        ("2130706433", |e| matches!(e, E::Numeric(_))),
        ("0x7f000001", |e| matches!(e, E::Numeric(_))),
        ("0x7f.0.0.0x1", |e| matches!(e, E::Numeric(_))),
        ("0x", |e| matches!(e, E::Numeric(_))),
        ("0177.0.0.1", |e| matches!(e, E::Numeric(_))),
        ("127.0.0.1.", |e| matches!(e, E::Numeric(_))),
        ("256.0.0.1", |e| matches!(e, E::Numeric(_))),
        ("a.example.1", |e| matches!(e, E::Numeric(_))),
        ("*.0.1", |e| matches!(e, E::Numeric(_))),
        ("::ffff:127.0.0.1", |e| matches!(e, E::Mapped(_))),
        ("[::ffff:7f00:1]:80", |e| matches!(e, E::Mapped(_))),
        ("0.0.0.0", |e| matches!(e, E::Unspecified(_))),
        ("[::]:80", |e| matches!(e, E::Unspecified(_))),
        ("::/128", |e| matches!(e, E::Unspecified(_))),
        ("10.1.2.3/24", |e| matches!(e, E::HostBits { meant, .. } if meant == "10.1.2.0/24")),
        ("10.0.0.0/33", |e| matches!(e, E::Prefix(_))),
        ("10.0.0.0/08", |e| matches!(e, E::Prefix(_))),
        ("10.0.0.0/", |e| matches!(e, E::Prefix(_))),
        ("10.0.0.0/8/8", |e| matches!(e, E::Prefix(_))),
        ("10/8", |e| matches!(e, E::Numeric(_))),
        ("gggg::1", |e| matches!(e, E::Ipv6(_))),
        ("[10.0.0.1]:80", |e| matches!(e, E::Brackets)),
        ("[::1", |e| matches!(e, E::Brackets)),
        ("[::1]80", |e| matches!(e, E::Brackets)),
        ("::1]:80", |e| matches!(e, E::Brackets)),
        ("*", |e| matches!(e, E::TooBroad(_))),
        ("*:443", |e| matches!(e, E::TooBroad(_))),
        ("a.*.example", |e| matches!(e, E::Wildcard)),
        ("*.*.example.org", |e| matches!(e, E::Wildcard)),
        ("*example.org", |e| matches!(e, E::Wildcard)),
    ];
    for (text, expected) in cases {
        let error = text.parse::<EndpointRule>().expect_err(text);
        assert!(expected(&error), "{text}: {error:?}");
        assert!(!error.hint().is_empty());
    }
    assert!(matches!("a".repeat(64).parse::<EndpointRule>(), Err(E::Label(_))));
    let long = vec!["a".repeat(60); 5].join(".");
    assert!(matches!(long[..254].parse::<EndpointRule>(), Err(E::NameTooLong(254))));
    assert!(matches!("a.".repeat(200).parse::<EndpointRule>(), Err(E::TooLong(400))));
}

#[test]
fn what_covers_unrelated_owners_denies_but_does_not_allow() {
    for (text, allows) in [("*.com", false), ("*.com:443", false), ("*.example.com", true), ("com", true)] {
        assert_eq!(rule(text).check_allowed().is_ok(), allows, "{text}");
    }
}

#[test]
fn names_are_read_alike_alone_and_in_a_rule() {
    let name: HostName = "API.b.Example".parse().expect("a name");
    assert_eq!((name.as_str(), name.to_string().as_str()), ("api.b.example", "api.b.example"));
    assert!(name.is_below("b.example") && name.is_below("example"));
    assert!(!name.is_below("api.b.example") && !name.is_below(".b.example") && !name.is_below("i.b.example"));
    let parents: Vec<String> = std::iter::successors(name.parent(), HostName::parent).map(|n| n.to_string()).collect();
    assert_eq!(parents, ["b.example", "example"]);
    for text in
        ["", ".", "a.", "a.1", "127.0.0.1", "::1", "[::1]", "*.a.b", "a:80", "a/b", "u@a", "a b", "a\0", "ä.b", "a_b"]
    {
        assert!(text.parse::<HostName>().is_err(), "{text:?}");
    }
}

#[test]
fn a_denial_without_ports_covers_every_port() {
    for (deny, allow, all) in [
        ("*.example.org", "a.example.org:22", true),
        ("a.example.org:443", "a.example.org", false),
        ("a.example.org:80-443", "a.example.org", true),
        ("a.example.org", "*.example.org", false),
        ("10.0.0.0/8", "10.1.0.0/16:1-65535", true),
    ] {
        assert_eq!(rule(deny).denies_all_of(&rule(allow)), all, "{deny} denies {allow}");
    }
}

#[test]
fn a_rule_knows_its_ports_both_ways() {
    for (text, port, allows, denies) in [
        ("a.example", 443, true, true),
        ("a.example", 22, false, true),
        ("a.example:22", 22, true, true),
        ("a.example:22", 443, false, false),
        ("a.example:20-25", 25, true, true),
        ("a.example:20-25", 26, false, false),
        ("a.example:1-65535", 0, false, true),
    ] {
        assert_eq!((rule(text).allows_port(port), rule(text).denies_port(port)), (allows, denies), "{text} at {port}");
    }
}

#[test]
fn a_rule_knows_its_hosts() {
    let has_name = |text: &str, name: &str| rule(text).host.has_name(&name.parse().expect("a name"));
    assert!(has_name("a.example", "A.example") && !has_name("a.example", "b.a.example"));
    assert!(has_name("*.a.example", "b.a.example") && !has_name("*.a.example", "a.example"));
    assert!(!has_name("10.0.0.0/8", "a.example"));
    let has_address = |text: &str, address: &str| rule(text).host.has_address(address.parse().expect("an address"));
    assert!(has_address("10.0.0.0/8", "10.1.2.3") && !has_address("10.0.0.0/8", "::ffff:10.1.2.3"));
    assert!(has_address("::1", "::1") && !has_address("::1", "::2") && !has_address("a.example", "::1"));
}

#[test]
fn covering_never_reaches_further() {
    for (outer, inner, covered) in [
        ("example.com", "example.com:443", true),
        ("example.com", "example.com:80", true),
        ("example.com", "example.com:8443", false),
        ("example.com:443", "example.com", false),
        ("example.com:1-1000", "example.com", true),
        ("*.example.org", "a.example.org", true),
        ("*.example.org", "a.b.example.org", true),
        ("*.example.org", "*.b.example.org", true),
        ("*.example.org", "example.org", false),
        ("*.example.org", "badexample.org", false),
        ("*.b.example.org", "*.example.org", false),
        ("a.example.org", "*.example.org", false),
        ("10.0.0.0/8", "10.1.2.3", true),
        ("10.0.0.0/8", "10.1.0.0/16", true),
        ("10.1.0.0/16", "10.0.0.0/8", false),
        ("0.0.0.0/0", "::1", false),
        ("10.0.0.0/8", "example.com", false),
    ] {
        assert_eq!(rule(outer).covers(&rule(inner)), covered, "{outer} covers {inner}");
    }
}

/// Whether a rule that allows reaches a host at a port, said another way than covering says it.
fn reaches(rule: &EndpointRule, host: &str, port: u16) -> bool {
    let hit = match &rule.host {
        HostRule::Name(name) => name == host,
        HostRule::Below(suffix) => host.ends_with(&format!(".{suffix}")),
        HostRule::Address(address) => host.parse() == Ok(*address),
        HostRule::Network(network) => host.parse::<IpAddr>().is_ok_and(|address| network.contains(&address)),
    };
    hit && rule.ports.map_or([80, 443].contains(&port), |ports| ports.first() <= port && port <= ports.last())
}

fn some_rule() -> impl Strategy<Value = EndpointRule> {
    let hosts = &["x.org", "a.x.org", "*.x.org", "*.a.x.org", "10.1.2.3", "10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0"];
    let ports = &["", ":80", ":443", ":22", ":1-99", ":80-443", ":1-65535"];
    (proptest::sample::select(hosts), proptest::sample::select(ports))
        .prop_map(|(host, port)| rule(&[host, port].concat()))
}

proptest! {
    #[test]
    fn what_is_covered_is_reached(outer in some_rule(), inner in some_rule()) {
        for host in ["x.org", "a.x.org", "b.x.org", "c.a.x.org", "10.1.2.3", "10.1.9.9", "10.9.9.9", "192.0.2.1"] {
            for port in [1, 22, 79, 80, 99, 100, 443, 444] {
                let widens = reaches(&inner, host, port) && !reaches(&outer, host, port);
                prop_assert!(!(widens && outer.covers(&inner)), "{} covers {}, not {}:{}", outer, inner, host, port);
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused_and_reading_settles(text in "\\PC{0,40}|[a-z0-9.:*/\\[\\]x-]{0,30}") {
        if let Ok(rule) = text.parse::<EndpointRule>() {
            let canonical = rule.to_string();
            prop_assert_eq!(canonical.parse::<EndpointRule>().expect("canonical text is a rule"), rule.clone());
            prop_assert!(rule.covers(&rule));
        }
    }
}
