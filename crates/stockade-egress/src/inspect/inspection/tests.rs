use proptest::prelude::*;

use super::super::hello::tests::{extension, hello, hello_with, name_extension, record};
use super::*;

fn inspection() -> Inspection {
    Inspection::new("api.example.com".parse().expect("a name"), 80)
}

/// What goes on of bytes that are pushed in these pieces, and how it ends: what passes, or why nothing does.
fn push_all<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> (Vec<u8>, Result<Option<Protocol>, Refusal>) {
    let (mut inspection, mut out, mut passed) = (inspection(), Vec::new(), None);
    for piece in pieces {
        match inspection.push(piece) {
            Step::NeedMore => assert!(passed.is_none() || piece.is_empty(), "nothing is held once it passes"),
            Step::Forward(bytes) => {
                assert!(passed.is_none() && !bytes.is_empty());
                out.extend(bytes);
            }
            Step::Pass { protocol, bytes } => {
                assert!(!inspection.is_holding());
                out.extend(bytes);
                passed = Some(protocol);
            }
            Step::Refuse(refusal) => return (out, Err(refusal)),
        }
    }
    (out, Ok(passed))
}

fn outcome(bytes: &[u8]) -> Result<Option<Protocol>, Refusal> {
    push_all([bytes]).1
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n";
const EVIL: &[u8] = b"GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n";

fn evil() -> Result<Option<Protocol>, Refusal> {
    Err(Refusal::RequestHost { named: "evil.test".into() })
}

#[test]
fn other_protocols_pass_at_once() {
    for (what, bytes) in [
        ("Postgres, no TLS", b"\0\0\0\x54\0\x03\0\0user\0me\0".as_slice()),
        ("MySQL", b"\x20\0\0\x01\x85\xa6"),
        ("Redis", b"*1\r\n$4\r\nPING\r\n"),
        ("Redis, inline", b"PING\r\n"),
        ("SMTP", b"EHLO here\r\n"),
        ("git", b"0032git-upload-pack /p.git\0host=api.example.com\0"),
        ("LDAP", b"0\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0"),
        ("LDAP of 32 bytes", b"0 \x02\x01\x01\x60\x1b\x02\x01\x03"),
        ("AMQP", b"AMQP\0\0\x09\x01"),
        ("MQTT", b"\x10\x0c\0\x04MQTT"),
        ("SVN", b"( 2 ( edit-pipeline ) "),
        ("rsync", b"@RSYNCD: 31.0\n"),
        ("VNC", b"RFB 003.008\n"),
        ("XMPP", b"<?xml version='1.0'?>"),
        ("RTSP", b"OPTIONS rtsp://api.example.com/x RTSP/1.0\r\n"),
        ("memcached", b"get key\r\n"),
        ("a stream of letters", &[b'x'; 65]),
        ("old TLS", b"\x80\x2e\x01\x03\x01"),
        ("not quite TLS", b"\x16\x05\x01"),
    ] {
        assert_eq!(push_all([bytes]), (bytes.to_vec(), Ok(Some(Protocol::Other))), "{what}");
    }
    assert_eq!(outcome(b"SSH-2.0-OpenSSH_9.9 x\r\n"), Ok(Some(Protocol::Ssh)));
}

#[test]
fn http2_without_tls_passes_but_at_the_port_of_http() {
    let start = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04";
    assert_eq!(outcome(start), Err(Refusal::Request("it is HTTP/2 without TLS")));
    let step = Inspection::new("api.example.com".parse().expect("a name"), 50_051).push(start);
    assert!(matches!(step, Step::Pass { protocol: Protocol::Http2, .. }), "{step:?}");
}

#[test]
fn what_could_become_a_request_is_held() {
    for bytes in [
        b"G".as_slice(),
        b"GET",
        b"GET ",
        b"GET / HTTP/1.",
        b"\r\n\r\nGET /",
        b"SSH-2.0-x",
        b"PRI * HTTP/2.0\r\n\r\nSM",
    ] {
        let mut inspection = inspection();
        assert_eq!(inspection.push(bytes), Step::NeedMore, "{bytes:?}");
        assert!(inspection.is_holding());
    }
    for disguised in [
        b"SSH-2.0 / HTTP/1.1\r\nHost: evil.test\r\n\r\n".as_slice(),
        b"FOO / HTTP/1.1\r\nHost: evil.test\r\n\r\n",
        b"0 / HTTP/1.1\r\nHost: evil.test\r\n\r\n",
        b"\r\n\r\nGET / HTTP/1.1\r\nHost: evil.test\r\n\r\n",
        b"PRI * HTTP/1.1\r\nHost: evil.test\r\n\r\n",
    ] {
        assert_eq!(outcome(disguised), evil(), "{disguised:?}");
    }
    for malformed in [
        b"GET\t/ HTTP/1.1\r\nHost: api.example.com\r\n\r\n".as_slice(),
        b"GET /\x01 HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
        b"GET / http/1.1\r\nHost: api.example.com\r\n\r\n",
        b"\nGET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
        b"GET /\r\n",
        b"GET http://evil.test/\r\n",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
    ] {
        assert!(matches!(outcome(malformed), Err(Refusal::Request(_))), "{malformed:?}");
    }
}

/// Technique 56: every request of a connection counts, not only the first.
#[test]
fn spaces_that_only_some_servers_know_hide_no_request() {
    for space in *b" \t\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0" {
        for disguised in [
            [&[space], EVIL].concat(),
            [b"\r\n", &[space, space][..], EVIL].concat(),
            [b"GET", &[space][..], b"/", &[space], b"HTTP/1.1\r\nHost: evil.test\r\n\r\n"].concat(),
            [b"GET /", &[space][..], b"HTTP/1.1\r\nHost: evil.test\r\n\r\n"].concat(),
        ] {
            assert!(outcome(&disguised).is_err(), "{}", disguised.escape_ascii());
            let (out, bytewise) = push_all(disguised.chunks(1));
            assert!(bytewise.is_err() && out.is_empty(), "{}", disguised.escape_ascii());
        }
        for other in [&b"GET of something\n"[..], b"GETTER ", b"\x04\0", b"get key\r\n", b"\xff\xfe"] {
            let bytes = [&[space], other].concat();
            assert_eq!(push_all([&bytes[..]]), (bytes.clone(), Ok(Some(Protocol::Other))), "{}", bytes.escape_ascii());
        }
    }
    let behind_an_upgrade = b"GET / HTTP/1.1\r\nHost: api.example.com\r\nUpgrade: websocket\r\n\r\n\t";
    assert!(outcome(&[behind_an_upgrade, EVIL].concat()).is_err());
}

#[test]
fn records_that_some_servers_pass_over_hide_no_hello() {
    let good = hello(b"api.example.com");
    let evil = hello(b"evil.test");
    for stray in [&[21, 3, 1, 0, 2, 1, 90][..], &[20, 3, 3, 0, 1, 1], &[23, 3, 3, 0, 0]] {
        assert!(matches!(outcome(&[stray, &evil].concat()), Err(Refusal::Hello(_))), "{stray:?}");
    }
    for stray in [&[21, 3, 3, 0, 2, 1, 90][..], &[22, 3, 3, 0, 0], &[20, 3, 3, 0, 1, 1]] {
        let bytes = [&good, stray, stray, &evil].concat();
        let named = Err(Refusal::ServerName { named: "evil.test".into() });
        assert_eq!((outcome(&bytes), push_all(bytes.chunks(1)).1), (named.clone(), named), "{stray:?}");
    }
    let cut: Vec<u8> = hello(b"evil.test")[5..].chunks(1).flat_map(record).collect();
    assert!(matches!(outcome(&[good, cut].concat()), Err(Refusal::ServerName { .. })));
}

#[test]
fn what_a_resumed_session_sends_encrypted_is_no_second_hello() {
    let start = [hello(b"api.example.com"), vec![20, 3, 3, 0, 1, 1]].concat();
    // A Finished of TLS 1.2: 8 random bytes first.
    let finished = record(&[&[1, 0x9c, 3, 7, 9, 1, 2, 3][..], &[0xaa; 32]].concat());
    let bytes = [start, finished].concat();
    assert_eq!(push_all([&bytes[..]]), (bytes.clone(), Ok(Some(Protocol::Tls))));
    assert_eq!(push_all(bytes.chunks(1)), (bytes.clone(), Ok(Some(Protocol::Tls))));
}

#[test]
fn later_requests_are_checked_as_well() {
    let post = b"POST / HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 5\r\n\r\nhello";
    let chunked = b"POST / HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\n\r\n\
        5;x=\"y\"\r\nhello\r\n000A\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n";
    for good in [GET, post, chunked, b"\r\n\r\nHEAD / HTTP/1.1\r\nHost: api.example.com\r\n\r\n"] {
        let twice = [good, good].concat();
        assert_eq!(push_all([twice.as_slice()]), (twice.clone(), Ok(None)));
        assert_eq!(outcome(&[good, EVIL].concat()), evil());
        let (out, ended) = push_all([good, EVIL]);
        assert_eq!((out.as_slice(), ended), (good, evil()), "the good one went on before");
        assert!(outcome(&[good, b"\x81\x05hello\r\n\r\n"].concat()).is_err(), "no other protocol comes unasked");
    }
    let mut inspection = inspection();
    assert_eq!(inspection.push(EVIL), inspection.push(GET), "refused once, refused for good");
}

/// Technique 55: bodies that end elsewhere than they say.
#[test]
fn bodies_are_followed_to_their_end() {
    let head = b"POST / HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in [
        b"5\r\nhelloX".as_slice(),
        b"5\r\nhello\n",
        b"5\nhello\r\n",
        b"0x5\r\n",
        b"+5\r\n",
        b" 5\r\n",
        b"5 \r\n",
        b"-1\r\n",
        b"\r\n",
        b"ffffffffffffffff\r\n",
        b"5;a\rb\r\n",
        b"5;a\nb\r\n",
        b"0\r\nHost: evil.test\r\n",
        b"0\r\nContent-Length: 5\r\n",
        b"0\r\n folded\r\n",
        b"0\r\nX: \0\r\n",
    ] {
        let refused = outcome(&[head.as_slice(), body].concat());
        assert!(matches!(refused, Err(Refusal::Request(_))), "{body:?}: {refused:?}");
    }
    let trailers = "X: y\r\n".repeat(65);
    assert!(outcome(&[head.as_slice(), b"0\r\n", trailers.as_bytes()].concat()).is_err());
    assert!(outcome(&[head.as_slice(), &[b'0'; 5_000]].concat()).is_err());
    assert_eq!(outcome(&[head.as_slice(), b"23\r\n", EVIL, b"\r\n0\r\n\r\n", EVIL].concat()), evil());
    let large = b"PUT / HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 999999999999999999\r\n\r\n";
    assert_eq!(outcome(&[large.as_slice(), EVIL].concat()), Ok(None), "all of it is body");
}

/// Techniques 55 and 56: the server may decline to switch, and then reads on as before.
#[test]
fn what_follows_an_upgrade_is_no_way_around() {
    let upgrade = b"GET /ws HTTP/1.1\r\nHost: api.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let frames = b"\x81\x85\x01\x02\x03\x04abcde".as_slice();
    let all = [upgrade.as_slice(), frames].concat();
    assert_eq!(push_all([upgrade.as_slice(), frames]), (all, Ok(Some(Protocol::Http))));
    assert_eq!(outcome(&[upgrade, EVIL].concat()), evil());
    assert_eq!(outcome(&[upgrade.as_slice(), b"\r\n", EVIL].concat()), evil());
    assert_eq!(outcome(&[upgrade, GET, EVIL].concat()), evil());
    assert!(outcome(&[upgrade.as_slice(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"].concat()).is_err());
    assert!(outcome(&[upgrade.as_slice(), &hello(b"evil.test")].concat()).is_err());
    assert!(outcome(&[GET, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"].concat()).is_err());
}

/// Technique 55: clients offer HTTP/2 with their first request, and a server that takes it up gets nothing more.
#[test]
fn only_requests_follow_an_offer_of_http2() {
    let offer = b"GET / HTTP/1.1\r\nHost: api.example.com\r\nConnection: Upgrade, HTTP2-Settings\r\n\
                  Upgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n\r\n";
    assert_eq!(outcome(&[offer.as_slice(), GET].concat()), Ok(None));
    assert_eq!(outcome(&[offer.as_slice(), EVIL].concat()), evil());
    for other in
        [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), b"\0\0\0\x04\0\0\0\0\0", b"\x81\x85\x01\x02\x03\x04abcde"]
    {
        assert!(outcome(&[offer.as_slice(), other, b"\r\n\r\n"].concat()).is_err(), "{}", other.escape_ascii());
    }
}

/// Technique 55: a server behind one that balances load reads a line before the request.
#[test]
fn requests_behind_a_claimed_origin_are_refused() {
    for origin in [b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n".as_slice(), b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"] {
        assert!(outcome(&[origin, EVIL].concat()).is_err(), "{}", origin.escape_ascii());
    }
    assert_eq!(outcome(&[b"\r\n", GET].concat()), Ok(None), "empty lines alone are none");
}

/// Technique 55: what Python's `http.server` reads as a request, and others do.
#[test]
fn odd_spaces_hide_no_request() {
    for space in b" \t\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0" {
        let around = |line: [&[u8]; 5]| [line.concat().as_slice(), b"\r\nHost: evil.test\r\n\r\n"].concat();
        for request in [
            around([&[*space], b"GET", b" ", b"/ ", b"HTTP/1.1"]),
            around([b"GET", &[*space], b"/", &[*space], b"HTTP/1.1"]),
        ] {
            assert!(outcome(&request).is_err(), "{}", request.escape_ascii());
            let pieces = request.chunks(1);
            assert!(push_all(pieces).1.is_err(), "{} byte by byte", request.escape_ascii());
        }
    }
    // What is no request passes at once, whatever it begins with.
    for other in [b" \0\0\x01\x85".as_slice(), b"\x1c\x02ab", b"\xa0\xa0\x01", b"ab\x01"] {
        assert_eq!(outcome(other), Ok(Some(Protocol::Other)), "{}", other.escape_ascii());
    }
}

/// Technique 49, in each place where TLS names a server.
#[test]
fn every_hello_is_checked() {
    let (ours, other) = (hello(b"api.example.com"), hello(b"evil.test"));
    let change = b"\x14\x03\x03\0\x01\x01".as_slice();
    let data = b"\x17\x03\x03\0\x02ab".as_slice();
    let request = b"\0\0\0\x08\x04\xd2\x16\x2f".as_slice();
    let refused = Err(Refusal::ServerName { named: "evil.test".into() });
    for (what, bytes) in [
        ("the first", other.clone()),
        ("the one after a retry", [ours.as_slice(), &other].concat()),
        ("the one after a retry and padding", [&ours, change, change, &other].concat()),
        ("that of Postgres", [request, &other].concat()),
        ("that of Postgres after GSSAPI", [b"\0\0\0\x08\x04\xd2\x16\x30", request, &other].concat()),
    ] {
        assert_eq!(outcome(&bytes), refused, "{what}");
    }
    let early = record(&hello_with(&[extension(42, b""), name_extension(b"api.example.com")].concat()));
    assert_eq!(outcome(&[&early, change, data, data, &other].concat()), refused, "the one after early data");
    let much = [&early, [data, &[0; 65_536]].concat().as_slice(), data].concat();
    assert!(outcome(&much).is_ok(), "early data that was taken goes on for ever");
    for (what, bytes) in [
        ("data", [ours.as_slice(), data].concat()),
        ("padding and data", [&ours, change, data].concat()),
        ("keys", [&ours, b"\x16\x03\x03\0\x04\x10\0\0\0".as_slice()].concat()),
        ("Postgres", [request, &ours, data].concat()),
        ("two good ones", [&ours, change, ours.as_slice(), data].concat()),
    ] {
        assert_eq!(push_all([bytes.as_slice()]), (bytes.clone(), Ok(Some(Protocol::Tls))), "{what}");
    }
    assert_eq!(push_all([ours.as_slice()]), (ours.clone(), Ok(None)), "it goes on before more comes");
}

#[test]
fn a_false_start_of_http2_is_refused_however_it_comes() {
    let start = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\x0e".as_slice();
    let version = Err(Refusal::Request("its version is neither HTTP/1.1 nor HTTP/1.0"));
    assert_eq!(outcome(start), version);
    assert_eq!(push_all(start.chunks(1)).1, version);
    let whole = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    assert_eq!(push_all(whole.chunks(1)).1, Err(Refusal::Request("it is HTTP/2 without TLS")));
}

#[test]
fn what_is_held_is_bounded() {
    let long = [b"GET / HTTP/1.1\r\nHost: api.example.com\r\nX: ".as_slice(), &vec![b'x'; MAX_HELD]].concat();
    assert_eq!(outcome(&long), Err(Refusal::TooLong));
    let line = [b"x ".as_slice(), &[b'x'; MAX_FIRST]].concat();
    assert_eq!(outcome(&line), Err(Refusal::TooLong));
    let message = hello_with(&name_extension(&[b'x'; 12_000]));
    let small: Vec<u8> = message.chunks(1).flat_map(record).collect();
    assert_eq!(push_all(small.chunks(1_000)).1, Err(Refusal::TooLong));
    let mut inspection = inspection();
    for _ in 0..10_000 {
        assert!(matches!(inspection.push(GET), Step::Forward(_)));
        assert!(!inspection.is_holding());
    }
}

#[test]
fn the_end_in_the_middle_is_told() {
    let ended = |bytes: &[u8]| {
        let mut inspection = inspection();
        assert!(!matches!(inspection.push(bytes), Step::Refuse(_)));
        inspection.end()
    };
    assert_eq!(ended(b""), Step::NeedMore);
    assert_eq!(ended(GET), Step::NeedMore);
    assert_eq!(ended(b"ruok"), Step::Pass { protocol: Protocol::Other, bytes: b"ruok".to_vec() });
    assert_eq!(ended(b"GET / HTTP/1.1\r\nHost: evil.test\r\n"), Step::Refuse(Refusal::Incomplete));
    assert_eq!(ended(&[GET, b"GET / HTT"].concat()), Step::Refuse(Refusal::Incomplete));
    assert_eq!(ended(&hello(b"evil.test")[..20]), Step::Refuse(Refusal::Incomplete));
}

fn part() -> impl Strategy<Value = Vec<u8>> {
    let known = proptest::sample::select(vec![
        GET.to_vec(),
        EVIL.to_vec(),
        hello(b"api.example.com"),
        hello(b"evil.test"),
        b"POST / HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 5\r\n\r\nhello".to_vec(),
        b"POST / HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nHost: api.example.com\r\nUpgrade: websocket\r\n\r\n".to_vec(),
        b"5\r\nhello\r\n0\r\n\r\n".to_vec(),
        b"\0\0\0\x08\x04\xd2\x16\x2f".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM".to_vec(),
        b"\r\n".to_vec(),
        b"SSH-2.0-x\r\n".to_vec(),
    ]);
    prop_oneof![4 => known, 1 => proptest::collection::vec(any::<u8>(), 0..20)]
}

proptest! {
    #[test]
    fn how_bytes_are_cut_changes_nothing(parts in proptest::collection::vec(part(), 0..5), cuts in proptest::collection::vec(1_usize..40, 1..30)) {
        let whole = parts.concat();
        let (at_once, verdict) = push_all([whole.as_slice()]);
        let (mut pieces, mut rest) = (Vec::new(), whole.as_slice());
        for size in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, behind) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = behind;
        }
        let (cut, cut_verdict) = push_all(pieces);
        prop_assert_eq!(&cut_verdict, &verdict);
        prop_assert!(whole.starts_with(&cut), "bytes go on unchanged and in order");
        prop_assert!(cut.starts_with(&at_once));
        if verdict.is_ok() {
            prop_assert_eq!(cut, at_once);
        }
    }
}
