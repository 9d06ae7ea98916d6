use proptest::prelude::*;
use stockade_spec::policy::endpoint::EndpointRule;

use super::*;
use crate::resolver::MAX_RESPONSE;
use crate::rules::NetworkDefault;

const A: u16 = kind::A;
const AAAA: u16 = kind::AAAA;

fn rules(allow: &[&str], deny: &[&str], default: NetworkDefault) -> Rules {
    let parse = |texts: &[&str]| -> Vec<EndpointRule> {
        texts.iter().map(|text| text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))).collect()
    };
    Rules::new(&parse(allow), &parse(deny), default)
}

fn usual() -> Rules {
    rules(&["api.example.com", "*.example.org:443", "git.example.com:22"], &["bad.example.org"], NetworkDefault::Deny)
}

fn table() -> Names {
    Names::new("198.18.0.0/15".parse().expect("IPv4"), Some("fd53:746f:636b::/64".parse().expect("IPv6")))
}

fn query_of(labels: &[&[u8]], kind: u16, class: u16) -> Vec<u8> {
    let mut bytes = b"\xab\xcd\x01\x00\0\x01\0\0\0\0\0\0".to_vec();
    for label in labels {
        bytes.push(u8::try_from(label.len()).expect("a short label"));
        bytes.extend(*label);
    }
    bytes.push(0);
    bytes.extend(kind.to_be_bytes());
    bytes.extend(class.to_be_bytes());
    bytes
}

fn query(name: &str, kind: u16) -> Vec<u8> {
    let labels: Vec<&[u8]> = name.split('.').map(str::as_bytes).collect();
    query_of(&labels, kind, class::IN)
}

/// The code of a response, the data of its answers, and the denial.
struct Seen {
    code: u8,
    data: Vec<Vec<u8>>,
    authorities: u8,
    denial: Option<Denial>,
}

fn ask_with(message: &[u8], names: &mut Names, rules: &Rules) -> Seen {
    let answer = answer(message, names, rules);
    let response = answer.response.expect("a response");
    assert!(response.len() <= MAX_RESPONSE);
    assert_eq!(response[..2], message[..2], "the identity comes back");
    assert_eq!(response[2] & 0x82, 0x80, "a response, never truncated");
    let mut rest = if response[5] == 1 { &response[message.len()..] } else { &[] };
    let mut data = Vec::new();
    for _ in 0..response[7] {
        assert_eq!(rest[..2], [0xc0, 12], "answers point to the question");
        let length = usize::from(u16::from_be_bytes([rest[10], rest[11]]));
        data.push(rest[12..12 + length].to_vec());
        rest = &rest[12 + length..];
    }
    Seen { code: response[3] & 0xf, data, authorities: response[9], denial: answer.denial }
}

fn ask(name: &str, kind: u16) -> Seen {
    ask_with(&query(name, kind), &mut table(), &usual())
}

#[test]
fn an_allowed_name_has_its_two_addresses() {
    let (mut names, rules) = (table(), usual());
    let v4 = ask_with(&query("api.example.com", A), &mut names, &rules);
    assert_eq!((v4.code, v4.data, v4.denial), (0, vec![vec![198, 18, 1, 0]], None));
    let v6 = ask_with(&query("API.Example.com", AAAA), &mut names, &rules);
    let expected: Ipv6Addr = "fd53:746f:636b::100".parse().expect("IPv6");
    assert_eq!((v6.code, v6.data), (0, vec![expected.octets().to_vec()]));
    let both = ask_with(&query("api.example.com", kind::ANY), &mut names, &rules);
    assert_eq!(both.data.len(), 2);
    let other = ask_with(&query("a.b.example.org", A), &mut names, &rules);
    assert_eq!(other.data, [[198, 18, 1, 1]], "another name has another address");
    assert_eq!(ask("git.example.com", A).code, 0, "a name that is allowed at one port only resolves as well");
}

#[test]
fn the_case_of_letters_comes_back() {
    let message = query("aPi.ExAmPle.cOM", A);
    let response = answer(&message, &mut table(), &usual()).response.expect("a response");
    assert_eq!(response[12..message.len()], message[12..]);
}

#[test]
fn other_types_of_an_allowed_name_are_empty() {
    // NS, CNAME, SOA, PTR, MX, TXT, SRV, SVCB, HTTPS, and one that nobody knows.
    for kind in [2, 5, 6, 12, 15, 16, 33, 64, 65, 65_280] {
        let mut names = table();
        let seen = ask_with(&query("api.example.com", kind), &mut names, &usual());
        assert_eq!((seen.code, seen.data.len(), seen.authorities, seen.denial), (0, 0, 1, None), "type {kind}");
        assert!(names.is_empty(), "a question for no address takes none");
    }
    let mut without = Names::new("198.18.0.0/15".parse().expect("IPv4"), None);
    let seen = ask_with(&query("api.example.com", AAAA), &mut without, &usual());
    assert_eq!((seen.code, seen.data.len(), seen.authorities), (0, 0, 1), "no IPv6 here");
}

#[test]
fn other_names_do_not_exist_and_are_denials() {
    let (mut names, rules) = (table(), usual());
    for (name, rule) in [
        ("example.com", None),
        ("example.org", None),
        ("badexample.org", None),
        ("api.example.com.evil.test", None),
        ("telemetry.test", None),
        ("com", None),
        ("bad.example.org", Some("bad.example.org")),
    ] {
        for kind in [A, AAAA, 16, 65, kind::ANY] {
            let seen = ask_with(&query(name, kind), &mut names, &rules);
            assert_eq!((seen.code, seen.data.len(), seen.authorities), (3, 0, 1), "{name} {kind}");
            let denial = seen.denial.unwrap_or_else(|| panic!("{name} {kind} is no denial"));
            assert_eq!(denial.name, name);
            assert_eq!(denial.reason, Reason::Rules { rule: rule.map(str::to_owned) });
            assert_eq!(denial.suggestion(), rule.is_none().then(|| format!("--allow {name}")));
        }
    }
    assert!(names.is_empty(), "nobody who is denied takes an address");
}

/// Technique 52: data in labels reaches nobody, takes no address, and is told as what it is.
#[test]
fn labels_carry_nothing_out() {
    let (mut names, rules) = (table(), usual());
    for index in 0..1_000 {
        for kind in [A, 16, 10] {
            let name = format!("{index:x}c2vjcmv0.t.evil.test");
            let seen = ask_with(&query(&name, kind), &mut names, &rules);
            assert_eq!((seen.code, seen.denial.map(|denial| denial.name)), (3, Some(name)));
        }
    }
    assert!(names.is_empty());
}

/// Technique 48: what one reader takes for an allowed name and another for a different one is no name at all.
#[test]
fn confusing_names_are_no_hosts() {
    let cases: &[(&[&[u8]], &str)] = &[
        (&[b"api.example.com"], "api\\046example\\046com"),
        (&[b"api", b"example.com"], "api.example\\046com"),
        (&[b"api", b"example", b"com\0"], "api.example.com\\000"),
        (&[b"api", b"example", b"com\0.evil", b"test"], "api.example.com\\000\\046evil.test"),
        (&[b"user@api", b"example", b"com"], "user\\064api.example.com"),
        (&[b"a\r\nb", b"example", b"org"], "a\\013\\010b.example.org"),
        (&[b"a b", b"example", b"org"], "a\\032b.example.org"),
        (&[b"%61pi", b"example", b"com"], "\\03761pi.example.com"),
        (&[b"\xc3\xa4", b"example", b"org"], "\\195\\164.example.org"),
        (&[b"\x1b[31m", b"example", b"org"], "\\027\\09131m.example.org"),
        (&[b"a", b"_b", b"example", b"org"], "a._b.example.org"),
        (&[b"-a", b"example", b"org"], "-a.example.org"),
        (&[b"*", b"example", b"org"], "\\042.example.org"),
        (&[b"127", b"0", b"0", b"1"], "127.0.0.1"),
        (&[b"127", b"1"], "127.1"),
        (&[b"0x7f000001"], "0x7f000001"),
        (&[b"2130706433"], "2130706433"),
        (&[b"_tcp"], "_tcp"),
    ];
    for (labels, shown) in cases {
        let seen = ask_with(&query_of(labels, A, class::IN), &mut table(), &rules(&[], &[], NetworkDefault::Public));
        assert_eq!(seen.code, 3, "{shown}");
        let denial = seen.denial.unwrap_or_else(|| panic!("{shown} is no denial"));
        assert_eq!((denial.name.as_str(), &denial.reason), (*shown, &Reason::NotAHost));
        assert_eq!(denial.suggestion(), None);
    }
}

#[test]
fn services_do_not_exist_and_are_denials_of_denied_hosts_only() {
    let allowed = ask("_https._tcp.api.example.com", 33);
    assert_eq!((allowed.code, allowed.denial), (3, None));
    let denied = ask("_https._tcp.deb.test", 33);
    assert_eq!(denied.code, 3);
    assert_eq!(denied.denial.map(|denial| denial.name), Some("deb.test".to_owned()));
}

#[test]
fn localhost_is_the_sandbox() {
    let public = rules(&["localhost:5432"], &["localhost"], NetworkDefault::Public);
    for name in ["localhost", "LOCALHOST", "app.localhost"] {
        let seen = ask_with(&query(name, A), &mut table(), &public);
        assert_eq!((seen.code, seen.data, seen.denial), (0, vec![vec![127, 0, 0, 1]], None));
        assert_eq!(ask(name, AAAA).data, [Ipv6Addr::LOCALHOST.octets()]);
        assert_eq!((ask(name, 15).code, ask(name, 15).data.len()), (0, 0));
    }
}

#[test]
fn addresses_have_their_names_back() {
    let (mut names, rules) = (table(), usual());
    ask_with(&query("api.example.com", A), &mut names, &rules);
    let wire = b"\x03api\x07example\x03com\0".to_vec();
    let ipv6 = format!("0.0.1.0.{}b.6.3.6.f.6.4.7.3.5.d.f.ip6.arpa", "0.".repeat(16));
    for name in ["0.1.18.198.in-addr.arpa", ipv6.as_str()] {
        let seen = ask_with(&query(name, kind::PTR), &mut names, &rules);
        assert_eq!((seen.code, &seen.data, seen.denial), (0, &vec![wire.clone()], None), "{name}");
        assert_eq!(ask_with(&query(name, A), &mut names, &rules).data.len(), 0);
    }
    assert_eq!(ask("1.0.0.127.in-addr.arpa", kind::PTR).data, [b"\x09localhost\0"]);
    for name in ["1.1.18.198.in-addr.arpa", "1.1.1.1.in-addr.arpa", "18.198.in-addr.arpa", "in-addr.arpa", "1.ip6.arpa"]
    {
        let seen = ask_with(&query(name, kind::PTR), &mut names, &rules);
        assert_eq!((seen.code, seen.data.len(), seen.denial), (3, 0, None), "{name}");
    }
}

#[test]
fn odd_queries_get_the_answer_that_fits() {
    let codes = |message: &[u8]| ask_with(message, &mut table(), &usual()).code;
    let labels: &[&[u8]] = &[b"api", b"example", b"com"];
    assert_eq!(codes(&query_of(labels, A, 3)), 5, "class CH");
    assert_eq!(codes(&query_of(labels, 252, class::IN)), 5, "a transfer");
    assert_eq!(codes(&query_of(labels, A, class::ANY)), 0);
    assert_eq!(codes(&query_of(&[], 2, class::IN)), 0, "the root");
    let mut version = query("api.example.com", A);
    version[11] = 1;
    version.extend(b"\0\0\x29\x10\0\0\x01\0\0\0\0");
    let response = answer(&version, &mut table(), &usual()).response.expect("a response");
    assert_eq!(response[3] & 0xf, 0);
    assert_eq!(response[response.len() - 6], 1, "an unknown version of EDNS");
    assert_eq!(answer(b"junk", &mut table(), &usual()), Answer { response: None, denial: None });
    assert_eq!(codes(b"more junk that looks like nothing"), 4);
}

#[test]
fn asking_comes_later_and_a_full_table_is_a_failure() {
    let mut one = Names::new("10.0.0.0/23".parse().expect("IPv4"), None);
    let asking = rules(&[], &["bad.test"], NetworkDefault::Ask);
    for index in 0..255 {
        assert_eq!(ask_with(&query(&format!("n{index}.test"), A), &mut one, &asking).code, 0);
    }
    let seen = ask_with(&query("late.test", A), &mut one, &asking);
    assert_eq!((seen.code, seen.denial.map(|denial| denial.reason)), (2, Some(Reason::Full)));
    assert_eq!(ask_with(&query("bad.test", A), &mut one, &asking).code, 3);
    assert_eq!(ask_with(&query("n7.test", A), &mut one, &asking).code, 0);
}

proptest! {
    #[test]
    fn whatever_is_asked_the_response_is_sound(
        labels in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..64), 0..6),
        kind in prop_oneof![Just(A), Just(kind::PTR), any::<u16>()],
        class in prop_oneof![Just(1_u16), any::<u16>()],
        tail in proptest::collection::vec(any::<u8>(), 0..20),
        flip in any::<(u16, u8)>(),
    ) {
        let labels: Vec<&[u8]> = labels.iter().map(Vec::as_slice).collect();
        let mut message = query_of(&labels, kind, class);
        message.extend(&tail);
        let at = usize::from(flip.0) % message.len();
        message[at] = flip.1;
        let public = rules(&[], &[], NetworkDefault::Public);
        let seen = answer(&message, &mut table(), &public);
        if let Some(response) = &seen.response {
            prop_assert!((12..=MAX_RESPONSE).contains(&response.len()));
            prop_assert!(response[2] & 0x80 != 0);
            // A response is not answered, so two of these never talk to each other.
            prop_assert_eq!(answer(response, &mut table(), &public).response, None);
        }
        if let Some(denial) = seen.denial {
            prop_assert!(denial.name.len() <= 1_011);
            prop_assert!(denial.name.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }
}
