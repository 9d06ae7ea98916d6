use super::*;

fn host() -> HostName {
    "api.example.com".parse().expect("a name")
}

fn read_text(text: &str) -> Result<Head, Refusal> {
    let bytes = text.as_bytes();
    match length(bytes, 0)? {
        Some(whole) if whole == bytes.len() => read(bytes, &host(), 80),
        other => panic!("{text:?} has a head of {other:?} bytes"),
    }
}

const HOST: &str = "Host: api.example.com\r\n";

#[test]
fn requests_to_this_host_pass() {
    let plain = Head { body: None, upgrade: false };
    for request in [
        format!("GET / HTTP/1.1\r\n{HOST}\r\n"),
        "GET / HTTP/1.1\r\nhOST:\t API.Example.com:80 \t\r\nAccept: */*\r\n\r\n".into(),
        format!("GET http://api.example.com HTTP/1.1\r\n{HOST}\r\n"),
        format!("GET HTTP://api.example.com:80/a?b#c HTTP/1.1\r\n{HOST}\r\n"),
        format!("GET http://api.example.com?x=@evil.test HTTP/1.1\r\n{HOST}\r\n"),
        format!("OPTIONS * HTTP/1.1\r\n{HOST}\r\n"),
        format!("MKCOL /ä/%2e%2e/../x HTTP/1.1\r\n{HOST}\r\n"),
        format!("GET / HTTP/1.1\r\n{HOST}X-Any: \u{e4}\tb \"c\"\r\nX-Empty:\r\n\r\n"),
        format!("POST / HTTP/1.1\r\n{HOST}Content-Length: 0\r\n\r\n"),
        "GET / HTTP/1.0\r\n\r\n".into(),
        "GET / HTTP/1.1\r\nHost: api.example.com.:80\r\n\r\n".into(),
    ] {
        assert_eq!(read_text(&request), Ok(plain), "{request:?}");
    }
    let with = |fields: &str| read_text(&format!("POST / HTTP/1.1\r\n{HOST}{fields}\r\n\r\n"));
    assert_eq!(with("Content-Length: 12"), Ok(Head { body: Some(Body::Bytes(12)), upgrade: false }));
    assert_eq!(with("Transfer-Encoding: Chunked"), Ok(Head { body: Some(Body::CHUNKED), upgrade: false }));
    assert_eq!(with("Connection: Upgrade\r\nUpgrade: websocket"), Ok(Head { body: None, upgrade: true }));
}

/// Techniques 48, 49 and 54: another host, however it is written, and wherever it stands.
#[test]
fn requests_to_other_hosts_are_refused() {
    for named in [
        "evil.test",
        "api.example.com.evil.test",
        "api.example.com..",
        "evil.test.",
        "api.example.com@evil.test",
        "evil.test@api.example.com",
        "api.example.com:443",
        "api.example.com:",
        "api.example.com:080",
        "api.example.com:+80",
        "api.example.com:80:80",
        "api.example.com, evil.test",
        "api.example.com evil.test",
        "api.example.com/",
        "api.example.com#evil.test",
        "api.example.com\\evil.test",
        "http://api.example.com",
        "[api.example.com]",
        "api%2eexample.com",
        "äpi.example.com",
        "127.0.0.1",
        "2130706433",
        "[::1]",
        "::1",
        "",
    ] {
        let refused = read_text(&format!("GET / HTTP/1.1\r\nHost: {named}\r\n\r\n"));
        let expected = named.as_bytes().escape_ascii().to_string();
        assert_eq!(refused, Err(Refusal::RequestHost { named: expected }));
    }
    for target in [
        "http://evil.test/",
        "https://evil.test",
        "http://api.example.com@evil.test/",
        "http://evil.test\\@api.example.com/",
        "http://api.example.com:81/",
        "http:///",
        "ws://evil.test/",
    ] {
        let refused = read_text(&format!("GET {target} HTTP/1.1\r\n{HOST}\r\n"));
        assert!(matches!(refused, Err(Refusal::RequestHost { .. })), "{target}: {refused:?}");
    }
    let connect = |to: &str| read_text(&format!("CONNECT {to} HTTP/1.1\r\n{HOST}\r\n"));
    assert_eq!(connect("evil.test:443"), Err(Refusal::RequestHost { named: "evil.test:443".into() }));
    assert_eq!(connect("api.example.com:80"), Err(Refusal::Hidden("CONNECT")));
}

/// Technique 55: whatever two servers could read in two ways.
#[test]
fn ambiguous_requests_are_refused() {
    let with = |fields: &str| format!("POST / HTTP/1.1\r\n{HOST}{fields}\r\n\r\n");
    for (what, request) in [
        ("no Host", "GET / HTTP/1.1\r\nAccept: */*\r\n\r\n".to_owned()),
        ("two Hosts", with("Host: evil.test")),
        ("the same Host twice", with(HOST.trim_end())),
        ("a folded field", with("X: a\r\n Host: evil.test")),
        ("a folded first field", format!("GET / HTTP/1.1\r\n Host: evil.test\r\n{HOST}\r\n")),
        ("a space in front of the colon", with("Host : evil.test")),
        ("a field without a colon", with("Host evil.test")),
        ("a field without a name", with(": x")),
        ("NUL", with("X: a\0b")),
        ("a lone CR", with("X: a\rHost: evil.test")),
        ("a vertical tab", with("X: a\x0bb")),
        ("both lengths", with("Content-Length: 5\r\nTransfer-Encoding: chunked")),
        ("two lengths", with("Content-Length: 5\r\nContent-Length: 5")),
        ("a list of lengths", with("Content-Length: 5, 5")),
        ("a signed length", with("Content-Length: +5")),
        ("an empty length", with("Content-Length:")),
        ("a hexadecimal length", with("Content-Length: 0x5")),
        ("a length of 19 digits", with("Content-Length: 1000000000000000000")),
        ("chunks of chunks", with("Transfer-Encoding: chunked, chunked")),
        ("another coding", with("Transfer-Encoding: gzip, chunked")),
        ("a coding that some take for chunks", with("Transfer-Encoding: xchunked")),
        ("a quoted coding", with("Transfer-Encoding: \"chunked\"")),
        ("two codings", with("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity")),
        ("chunks in HTTP/1.0", format!("POST / HTTP/1.0\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n")),
        ("another version", format!("GET / HTTP/1.2\r\n{HOST}\r\n")),
        ("HTTP/2.0", format!("GET / HTTP/2.0\r\n{HOST}\r\n")),
        ("a version in small letters", format!("GET / http/1.1\r\n{HOST}\r\n")),
        ("two spaces", format!("GET  / HTTP/1.1\r\n{HOST}\r\n")),
        ("a tab", format!("GET\t/\tHTTP/1.1\r\n{HOST}\r\n")),
        ("a space at the end", format!("GET / HTTP/1.1 \r\n{HOST}\r\n")),
        ("a target with a space", format!("GET /a b HTTP/1.1\r\n{HOST}\r\n")),
        ("a target without a slash", format!("GET api.example.com HTTP/1.1\r\n{HOST}\r\n")),
        ("another scheme", format!("GET ftp://api.example.com/ HTTP/1.1\r\n{HOST}\r\n")),
        ("a method that is no word", format!("G(T / HTTP/1.1\r\n{HOST}\r\n")),
    ] {
        let refused = read_text(&request);
        assert!(matches!(refused, Err(Refusal::Request(_))), "{what}: {refused:?}");
    }
    for lone in ["GET / HTTP/1.1\nHost: evil.test\n\n", "GET / HTTP/1.1\r\nX: a\nHost: evil.test\r\n\r\n"] {
        assert!(matches!(length(lone.as_bytes(), 0), Err(Refusal::Request(_))), "{lone:?}");
    }
}

#[test]
fn offers_that_would_hide_hosts_are_no_upgrades() {
    for fields in [
        "Upgrade: h2c",
        "Upgrade: websocket, H2C",
        "Upgrade: foo\r\nUpgrade: h2c",
        "Upgrade: HTTP/2.0",
        "Upgrade: h2",
        "Upgrade: websocket\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
    ] {
        let read = read_text(&format!("GET / HTTP/1.1\r\n{HOST}Connection: Upgrade\r\n{fields}\r\n\r\n"));
        assert_eq!(read, Ok(Head { body: None, upgrade: false }), "{fields}");
    }
}

#[test]
fn the_end_is_found_however_much_was_searched() {
    let head = format!("GET / HTTP/1.1\r\n{HOST}\r\n");
    for searched in 0..head.len() {
        assert_eq!(length(head.as_bytes(), searched), Ok(Some(head.len())), "{searched}");
        assert_eq!(length(&head.as_bytes()[..head.len() - 1], searched), Ok(None), "{searched}");
    }
}
