use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

fn rules(allow: &[&str], deny: &[&str], default: NetworkDefault) -> Rules {
    let parse = |texts: &[&str]| -> Vec<EndpointRule> {
        texts.iter().map(|text| text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))).collect()
    };
    Rules::new(&parse(allow), &parse(deny), default)
}

fn host(text: &str) -> Host {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// `+RULE` where it is allowed, `-RULE` where a rule denies, `-` where none allows, `?` where somebody is asked.
fn verdict(rules: &Rules, at: &str, port: u16) -> String {
    match rules.decide(&host(at), port) {
        Verdict::Allowed { rule } => format!("+{rule}"),
        Verdict::Denied { rule } => format!("-{}", rule.unwrap_or_default()),
        Verdict::Ask => "?".to_owned(),
    }
}

#[test]
fn rules_decide_about_names() {
    let rules = rules(
        &["api.example.com", "*.example.org:443", "git.example.com:22", "dev.example.com:8000-8100"],
        &["telemetry.example.org", "*.ads.example.org", "dev.example.com:8050"],
        NetworkDefault::Deny,
    );
    for (at, port, expected) in [
        ("api.example.com", 443, "+api.example.com"),
        ("api.example.com", 80, "+api.example.com"),
        ("API.EXAMPLE.COM", 80, "+api.example.com"),
        ("api.example.com", 8443, "-"),
        ("api.example.com", 22, "-"),
        ("api.example.com", 0, "-"),
        ("x.api.example.com", 443, "-"),
        ("example.com", 443, "-"),
        ("a.example.org", 443, "+*.example.org:443"),
        ("a.b.example.org", 443, "+*.example.org:443"),
        ("a.example.org", 80, "-"),
        ("example.org", 443, "-"),
        ("badexample.org", 443, "-"),
        ("example.org.evil.test", 443, "-"),
        ("telemetry.example.org", 443, "-telemetry.example.org"),
        ("telemetry.example.org", 9999, "-telemetry.example.org"),
        ("x.telemetry.example.org", 443, "+*.example.org:443"),
        ("x.ads.example.org", 443, "-*.ads.example.org"),
        ("git.example.com", 22, "+git.example.com:22"),
        ("git.example.com", 443, "-"),
        ("dev.example.com", 8000, "+dev.example.com:8000-8100"),
        ("dev.example.com", 8100, "+dev.example.com:8000-8100"),
        ("dev.example.com", 8101, "-"),
        ("dev.example.com", 8050, "-dev.example.com:8050"),
        ("10.0.0.1", 443, "-"),
        ("203.0.113.1", 443, "-"),
    ] {
        assert_eq!(verdict(&rules, at, port), expected, "{at}:{port}");
    }
}

#[test]
fn rules_decide_about_addresses() {
    let rules = rules(
        &["10.1.2.0/24:5432", "203.0.113.7", "0.0.0.0/0:443", "[2001:db8::]:443", "[fd00:1::/32]:1-9"],
        &["203.0.113.9", "198.51.100.0/24:25", "10.1.2.99"],
        NetworkDefault::Deny,
    );
    for (at, port, expected) in [
        ("10.1.2.3", 5432, "+10.1.2.0/24:5432"),
        ("10.1.2.3", 5433, "-"),
        ("10.1.3.3", 5432, "-"),
        ("10.1.2.99", 5432, "-10.1.2.99"),
        ("203.0.113.7", 80, "+203.0.113.7"),
        ("203.0.113.8", 80, "-"),
        ("203.0.113.9", 443, "-203.0.113.9"),
        ("8.8.8.8", 443, "+0.0.0.0/0:443"),
        ("8.8.8.8", 53, "-"),
        ("198.51.100.1", 25, "-198.51.100.0/24:25"),
        ("2001:db8::", 443, "+[2001:db8::]:443"),
        ("2001:db8::1", 443, "-"),
        ("fd00:1::5", 5, "+[fd00:1::/32]:1-9"),
    ] {
        assert_eq!(verdict(&rules, at, port), expected, "{at}:{port}");
    }
}

/// Technique 50: a network that is wider than what is special does not name it.
#[test]
fn a_wide_rule_opens_no_special_address() {
    let wide = rules(&["0.0.0.0/0:1-65535", "[::/0]:1-65535"], &[], NetworkDefault::Public);
    for at in [
        "127.0.0.1",
        "0.0.0.0",
        "10.0.0.1",
        "169.254.169.254",
        "192.168.0.1",
        "198.18.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::7f00:1",
        "64:ff9b::127.0.0.1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001:0:1:2:3:4:80ff:fffe",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ] {
        assert_eq!(verdict(&wide, at, 80), "-", "{at}");
        let address = at.parse().expect("an address");
        assert!(!wide.names_address(address, 80), "{at}");
        assert!(matches!(wide.may_lead_to(address, 80), Err(Misled::Special { .. })), "{at}");
    }
    assert_eq!(verdict(&wide, "8.8.8.8", 80), "+0.0.0.0/0:1-65535");
    assert_eq!(verdict(&wide, "64:ff9b::8.8.8.8", 80), "+[::/0]:1-65535");
}

#[test]
fn a_special_address_is_opened_by_its_name_and_port() {
    let rules = rules(
        &["127.0.0.1:5432", "10.0.0.0/8:22", "169.254.0.0/16:80", "[fd00:ec2::254]:80", "[64:ff9b::a00:1]:80"],
        &["10.9.0.0/16"],
        NetworkDefault::Deny,
    );
    for (at, port, named) in [
        ("127.0.0.1", 5432, true),
        ("::ffff:127.0.0.1", 5432, true),
        ("127.0.0.1", 80, false),
        ("127.0.0.2", 5432, false),
        ("10.3.4.5", 22, true),
        ("10.9.0.1", 22, false),
        ("64:ff9b::10.3.4.5", 22, false),
        ("64:ff9b::10.0.0.1", 80, true),
        ("169.254.7.7", 80, true),
        ("169.254.169.254", 80, false),
        ("fd00:ec2::254", 80, true),
    ] {
        let address = at.parse().expect("an address");
        assert_eq!(rules.names_address(address, port), named, "{at}:{port}");
        assert_eq!(rules.may_lead_to(address, port).is_ok(), named, "{at}:{port}");
        assert_eq!(verdict(&rules, at, port).starts_with('+'), named, "{at}:{port}");
    }
    assert_eq!(rules.may_lead_to("8.8.8.8".parse().expect("IPv4"), 443), Ok(()), "an ordinary address needs no rule");
}

#[test]
fn what_denies_an_address_denies_it_in_every_form() {
    let rules = rules(&["[::/0]:443", "[2002::/16]:443"], &["203.0.113.0/24", "127.0.0.0/8"], NetworkDefault::Public);
    for at in ["203.0.113.5", "::ffff:203.0.113.5", "64:ff9b::203.0.113.5", "2002:cb00:7105::1"] {
        assert_eq!(verdict(&rules, at, 443), "-203.0.113.0/24", "{at}");
        let address = at.parse().expect("an address");
        assert!(matches!(rules.may_lead_to(address, 443), Err(Misled::Denied { .. })), "{at}");
        assert!(!rules.names_address(address, 443), "{at}");
    }
}

#[test]
fn the_default_decides_what_no_rule_names() {
    let asking = rules(&["a.test"], &["b.test"], NetworkDefault::Ask);
    let public = rules(&[], &["b.test", "203.0.113.0/24"], NetworkDefault::Public);
    for (at, port, asked, open) in [
        ("a.test", 22, "?", "+default = \"public\""),
        ("b.test", 22, "-b.test", "-b.test"),
        ("203.0.113.4", 1, "?", "-203.0.113.0/24"),
        ("8.8.8.8", 53, "?", "+default = \"public\""),
        ("10.0.0.1", 80, "-", "-"),
        ("c.test", 0, "-", "-"),
    ] {
        assert_eq!(verdict(&asking, at, port), asked, "{at}:{port}");
        assert_eq!(verdict(&public, at, port), open, "{at}:{port}");
    }
    assert_eq!(Rules::default().decide(&host("a.test"), 443), Verdict::Denied { rule: None });
}

#[test]
fn a_name_resolves_if_any_port_of_it_is_open() {
    for (allow, deny, default, expected) in [
        (&["a.test"][..], &[][..], NetworkDefault::Deny, "+"),
        (&["a.test:22"], &[], NetworkDefault::Deny, "+"),
        (&["b.test"], &[], NetworkDefault::Deny, "-"),
        (&["a.test"], &["a.test"], NetworkDefault::Deny, "-a.test"),
        (&["a.test"], &["a.test:443"], NetworkDefault::Deny, "+"),
        (&["a.test"], &["a.test:80-443"], NetworkDefault::Deny, "-a.test:80-443"),
        (&["a.test"], &["a.test:80", "a.test:443"], NetworkDefault::Deny, "-a.test:80"),
        (&["a.test:1-99"], &["a.test:1-50", "a.test:40-98"], NetworkDefault::Deny, "+"),
        (&["a.test:1-99"], &["a.test:1-50", "a.test:40-99"], NetworkDefault::Deny, "-a.test:1-50"),
        (&[], &["a.test"], NetworkDefault::Public, "-a.test"),
        (&[], &["a.test:1-65534"], NetworkDefault::Public, "+"),
        (&[], &["a.test:1-65535"], NetworkDefault::Public, "-a.test:1-65535"),
        (&[], &["a.test:1-65534"], NetworkDefault::Ask, "?"),
    ] {
        let shown = match rules(allow, deny, default).may_resolve(&"a.test".parse().expect("a name")) {
            Verdict::Allowed { .. } => "+".to_owned(),
            Verdict::Denied { rule } => format!("-{}", rule.unwrap_or_default()),
            Verdict::Ask => "?".to_owned(),
        };
        assert_eq!(shown, expected, "allow {allow:?}, deny {deny:?}");
    }
}

/// Technique 50: spellings of addresses that only some programs understand are no hosts.
#[test]
fn hosts_have_one_spelling() {
    for (text, canonical) in [
        ("API.example.com", "api.example.com"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("[2001:DB8::1]", "2001:db8::1"),
    ] {
        assert_eq!(host(text).to_string(), canonical);
    }
    for text in [
        "",
        ".",
        "a.",
        "a..b",
        "127.1",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "2130706433",
        "127.0.0.1.",
        "[127.0.0.1]",
        "[::1",
        "::1]",
        "[::1]:80",
        "[fe80::1%25lo]",
        "fe80::1%lo",
        "a:80",
        "u@a",
        "a/b",
        "a b",
        "a\0b",
        "a\r\nb",
        "%61.test",
        "bücher.test",
        "*.test",
        "a_b.test",
        "[v1.x]",
        "１２７.0.0.1",
    ] {
        assert!(text.parse::<Host>().is_err(), "{text:?}");
    }
}

fn some_rules() -> impl Strategy<Value = Rules> {
    let one = proptest::sample::select(vec![
        "a.test",
        "*.b.test:1-65535",
        "0.0.0.0/0",
        "0.0.0.0/0:1-65535",
        "[::/0]:1-65535",
        "8.0.0.0/5",
        "96.0.0.0/3",
        "160.0.0.0/3",
        "[2000::/3]:80",
        "[::/3]:80",
        "[f000::/4]:80",
        "10.0.0.0/7",
        "169.254.0.0/15",
        "192.0.0.0/8",
        "64.0.0.0/2:1-65535",
        "[64:ff9b::/64]:80",
        "[64:ff9b::/96]:80",
    ]);
    let default = proptest::sample::select(vec![NetworkDefault::Deny, NetworkDefault::Ask, NetworkDefault::Public]);
    let lists = (proptest::collection::vec(one.clone(), 0..6), proptest::collection::vec(one, 0..2), default);
    lists.prop_map(|(allow, deny, default)| rules(&allow, &deny, default))
}

/// An address that is often special: IPv4 near where it matters, in every form.
fn some_address() -> impl Strategy<Value = IpAddr> {
    let starts = proptest::sample::select(vec![
        0_u32,
        0x0a00_0000,
        0x6440_0000,
        0x6464_64c8,
        0x7f00_0001,
        0xa83f_8110,
        0xa9fe_a9fe,
        0xac10_0000,
        0xc000_0000,
        0xc058_6301,
        0xc0a8_0101,
        0xc612_0001,
        0xe000_00fb,
        0xf000_0001,
        0xffff_ffff,
    ]);
    let ipv4 = prop_oneof![any::<u32>(), starts].prop_map(Ipv4Addr::from_bits);
    let ipv6 = prop_oneof![
        any::<u128>().prop_map(Ipv6Addr::from_bits),
        (any::<u128>(), 0_u8..128).prop_map(|(bits, shift)| Ipv6Addr::from_bits(bits >> shift)),
        (any::<u128>(), proptest::sample::select(vec![0xfc_u128, 0xfd, 0xfe, 0xff, 0x20]))
            .prop_map(|(bits, first)| Ipv6Addr::from_bits(bits >> 8 | first << 120)),
    ];
    prop_oneof![
        ipv4.clone().prop_map(IpAddr::V4),
        ipv6.prop_map(IpAddr::V6),
        (ipv4, 0_u8..4).prop_map(|(address, form)| {
            let bits = u128::from(address.to_bits());
            IpAddr::V6(match form {
                0 => address.to_ipv6_mapped(),
                1 => address.to_ipv6_compatible(),
                2 => Ipv6Addr::from_bits(0x64_ff9b << 96 | bits),
                _ => Ipv6Addr::from_bits(0x2002 << 112 | bits << 80),
            })
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// No rule of these lies within a special range (one is the translators' prefix as a whole), so whatever the rules and
    /// the address, a special one is neither allowed nor asked about.
    #[test]
    fn no_refused_range_is_reached_without_a_rule_that_names_it(
        rules in some_rules(), address in some_address(), port in any::<u16>(),
    ) {
        if special::range_of(address).is_some() {
            prop_assert_eq!(rules.decide(&Host::Address(address), port).is_denied(), true, "{}", address);
            prop_assert!(rules.may_lead_to(address, port).is_err(), "{}", address);
            prop_assert!(!rules.names_address(address, port), "{}", address);
        }
    }

    /// With rules that do name special ranges, what is allowed is in one of them.
    #[test]
    fn only_what_is_named_is_reached(address in some_address(), port in any::<u16>(), wide in some_rules()) {
        let named = ["10.1.0.0/16:22", "127.0.0.1:1-65535", "[fd00::/8]:443", "169.254.169.254"];
        let rules = Rules::new(
            &[named.map(|text| text.parse::<EndpointRule>().expect("a rule")).to_vec(), wide.allow].concat(),
            &wide.deny,
            wide.default,
        );
        let plain = address.to_canonical();
        let naming = |text: &str| {
            let rule: EndpointRule = text.parse().expect("a rule");
            rule.host.has_address(plain) && rule.allows_port(port)
        };
        if special::range_of(address).is_some() && rules.may_lead_to(address, port).is_ok() {
            prop_assert!(named.into_iter().any(naming), "{}:{}", address, port);
        }
    }

    #[test]
    fn a_name_that_resolves_not_is_reached_at_no_port(rules in some_rules(), port in 1_u16.., name in "[ac]\\.(b\\.)?test") {
        let name: HostName = name.parse().expect("a name");
        if rules.may_resolve(&name).is_denied() {
            prop_assert!(rules.decide(&Host::Name(name), port).is_denied());
        }
    }
}
