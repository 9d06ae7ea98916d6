use super::*;

/// Bytes with their number in front, in two bytes.
fn vector(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("short");
    [&length.to_be_bytes(), content].concat()
}

pub(in crate::inspect) fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [kind.to_be_bytes().to_vec(), vector(data)].concat()
}

pub(in crate::inspect) fn name_extension(name: &[u8]) -> Vec<u8> {
    extension(SERVER_NAME, &vector(&[&[HOST_NAME][..], &vector(name)].concat()))
}

/// A handshake message with these extensions, without records around it.
pub(in crate::inspect) fn hello_with(extensions: &[u8]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
    body.extend(vector(extensions));
    let length = u32::try_from(body.len()).expect("short").to_be_bytes();
    [&[CLIENT_HELLO, length[1], length[2], length[3]][..], &body].concat()
}

pub(in crate::inspect) fn record(content: &[u8]) -> Vec<u8> {
    [&[HANDSHAKE, 3, 1][..], &vector(content)].concat()
}

/// A usual ClientHello in one record.
pub(in crate::inspect) fn hello(name: &[u8]) -> Vec<u8> {
    let others = [extension(10, b"\0\x02\0\x1d"), name_extension(name), extension(43, b"\x02\x03\x04")].concat();
    record(&hello_with(&others))
}

fn host() -> HostName {
    "api.example.com".parse().expect("a name")
}

fn outcome(held: &[u8]) -> Result<Option<usize>, Refusal> {
    look(held, &host()).map(|found| found.map(|hello| hello.length))
}

#[test]
fn the_name_has_to_agree() {
    for name in [b"api.example.com".as_slice(), b"API.example.COM"] {
        let whole = hello(name);
        assert_eq!(outcome(&whole), Ok(Some(whole.len())));
        assert_eq!(outcome(&[whole.as_slice(), b"more"].concat()), Ok(Some(whole.len())));
        for end in 1..whole.len() {
            assert_eq!(outcome(&whole[..end]), Ok(None), "{end} bytes");
        }
    }
    let nameless = record(&hello_with(&extension(10, b"\0\x02\0\x1d")));
    assert_eq!(outcome(&nameless), Ok(Some(nameless.len())));
}

/// Techniques 48 and 49.
#[test]
fn other_and_confusing_names_are_refused() {
    for (name, shown) in [
        (b"evil.test".as_slice(), "evil.test"),
        (b"example.com", "example.com"),
        (b"x.api.example.com", "x.api.example.com"),
        (b"api.example.com.", "api.example.com."),
        (b"api.example.com\0", "api.example.com\\x00"),
        (b"api.example.com\0.evil.test", "api.example.com\\x00.evil.test"),
        (b"evil.test\r\n", "evil.test\\r\\n"),
        (b" api.example.com", " api.example.com"),
        (b"user@api.example.com", "user@api.example.com"),
        (b"api%2eexample.com", "api%2eexample.com"),
        (b"[api.example.com]", "[api.example.com]"),
        (b"api.example.com:443", "api.example.com:443"),
        ("äpi.example.com".as_bytes(), "\\xc3\\xa4pi.example.com"),
        (b"192.0.2.1", "192.0.2.1"),
        (b"\x1b]0;x\x07", "\\x1b]0;x\\x07"),
    ] {
        assert_eq!(outcome(&hello(name)), Err(Refusal::ServerName { named: shown.into() }));
    }
    let Err(Refusal::ServerName { named }) = outcome(&hello(&[0; 1_000])) else { panic!("it was taken") };
    assert_eq!(named.len(), 253);
}

#[test]
fn records_may_cut_it_anywhere() {
    let message = hello_with(&name_extension(b"api.example.com"));
    let other = hello_with(&name_extension(b"evil.test"));
    for size in 1..message.len() {
        let cut: Vec<u8> = message.chunks(size).flat_map(record).collect();
        assert_eq!(outcome(&cut), Ok(Some(cut.len())), "records of {size}");
        assert_eq!(outcome(&cut[..cut.len() - 1]), Ok(None), "records of {size}");
        let cut: Vec<u8> = other.chunks(size).flat_map(record).collect();
        assert!(matches!(outcome(&cut), Err(Refusal::ServerName { .. })), "records of {size}");
    }
}

#[test]
fn malformed_messages_are_refused() {
    let ours = name_extension(b"api.example.com");
    let twice = record(&hello_with(&[ours.clone(), ours.clone()].concat()));
    let two_names = vector(&[&[0][..], &vector(b"api.example.com"), &[0], &vector(b"evil.test")].concat());
    let other_type = vector(&[&[1][..], &vector(b"api.example.com")].concat());
    let good = hello_with(&ours);
    let mut longer = good.clone();
    longer[3] += 1;
    let coalesced = record(&[good.as_slice(), &[0]].concat());
    let mut odd_suites = good.clone();
    odd_suites[4 + 34 + 2] = 1;
    for (what, bytes) in [
        ("the extension twice", twice),
        ("two names", record(&hello_with(&extension(0, &two_names)))),
        ("a name of another type", record(&hello_with(&extension(0, &other_type)))),
        ("no name in the list", record(&hello_with(&extension(0, b"\0\0")))),
        ("an empty name", record(&hello_with(&name_extension(b"")))),
        ("an empty extension", record(&hello_with(&extension(0, b"")))),
        ("an extension cut off", record(&hello_with(&ours[..ours.len() - 1]))),
        ("a byte too many in the message", record(&[longer.as_slice(), &[0]].concat())),
        ("an odd number of bytes of ciphers", record(&odd_suites)),
        ("something behind it in the record", coalesced),
        ("an empty record", [&[22, 3, 1, 0, 0][..], &hello(b"api.example.com")].concat()),
        ("another message", record(&[2, 0, 0, 1, 0])),
        ("another record in between", [record(&good[..9]), vec![23, 3, 3, 0, 1, 0]].concat()),
        ("a record of 16,385 bytes", vec![22, 3, 1, 0x40, 1, 1]),
        ("a message of 16 MiB", record(&[1, 0xff, 0xff, 0xff])),
    ] {
        let outcome = outcome(&bytes);
        assert!(matches!(outcome, Err(Refusal::Hello(_))), "{what}: {outcome:?}");
    }
    let mut without_extensions = vec![1, 0, 0, 41, 3, 3];
    without_extensions.extend([7; 32]);
    without_extensions.extend([0, 0, 2, 0, 10, 1, 0]);
    assert!(outcome(&record(&without_extensions)).is_ok_and(|settled| settled.is_some()));
}
