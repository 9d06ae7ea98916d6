//! Telling protocols apart by their first bytes.
//!
//! HTTP is what some server could take for HTTP: any word, a space, and a first line with a version in it, as lenient
//! readers find them (RFC 9112, section 3). Everything that follows is then read strictly.

use super::{Protocol, Refusal, hello};

/// The start of HTTP/2 (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What a client of PostgreSQL sends to ask for TLS, and for GSSAPI (PostgreSQL, message formats).
const REQUESTS_FOR_TLS: [&[u8]; 2] = [b"\0\0\0\x08\x04\xd2\x16\x2f", b"\0\0\0\x08\x04\xd2\x16\x30"];
/// How what balances load tells a server where a connection comes from, in both versions of the PROXY protocol of HAProxy.
/// What comes behind is meant for the server, HTTP as a rule, and a program has no use for it.
const ORIGINS: [&[u8]; 2] = [b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"];
/// Methods whose request may have no version (RFC 1945, section 5), and would be answered by some servers.
const METHODS: [&[u8]; 9] = [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"PATCH", b"CONNECT"];

/// Longest first word that could be a method. The longest that is registered has 17 letters; what is longer is the text of
/// some other protocol, which may have no lines at all.
const MAX_METHOD: usize = 64;

/// What the first bytes are.
pub(super) enum First {
    /// They could still be several things, and there is no whole line.
    More,
    /// They could still be the start of HTTP/2, which has several lines.
    MorePreface,
    /// TLS.
    Hello,
    /// A request of HTTP/1.
    Request,
    /// So many bytes that ask for TLS, behind which anything may come.
    AsksForTls(usize),
    /// What needs no further look.
    Pass(Protocol),
}

/// Looks at bytes of which there is at least one. In the first `searched` of them there is no end of a line.
pub(super) fn look(held: &[u8], upgraded: bool, searched: usize) -> Result<First, Refusal> {
    if hello::is_start(held) {
        return Ok(if held.len() > 1 { First::Hello } else { First::More });
    }
    if hello::is_stray_record(held) {
        let refusal = Refusal::Hello("a record of another type is in front of it");
        return if held.len() > 1 { Err(refusal) } else { Ok(First::More) };
    }
    for request in REQUESTS_FOR_TLS {
        if held.starts_with(request) {
            return Ok(First::AsksForTls(request.len()));
        }
        if request.starts_with(held) {
            return Ok(First::More);
        }
    }
    for origin in ORIGINS {
        if held.starts_with(origin) {
            return Err(Refusal::Request("another origin is claimed before it"));
        }
        if origin.starts_with(held) {
            return Ok(First::More);
        }
    }
    // Servers pass over empty lines in front of a request (RFC 9112, section 2.2), and some over more.
    let blank = held.iter().take_while(|byte| b"\r\n".contains(byte)).count();
    let rest = &held[blank..];
    if rest.first().is_some_and(|byte| is_space(*byte)) {
        return look_behind_spaces(held, searched);
    }
    if !could_be_request(rest) {
        return Ok(First::Pass(Protocol::Other));
    }
    let from = searched.saturating_sub(blank);
    match rest.iter().skip(from).position(|byte| *byte == b'\n') {
        None => Ok(First::More),
        Some(end) => of_line(&rest[..from + end], held, upgraded),
    }
}

/// Looks at bytes that begin with a space, which some servers pass over too, in front of a method that they know.
fn look_behind_spaces(held: &[u8], searched: usize) -> Result<First, Refusal> {
    let spaces = held.iter().take_while(|byte| b"\r\n".contains(byte) || is_space(**byte)).count();
    let rest = &held[spaces..];
    let could_be = |method: &&[u8]| match rest.get(method.len()) {
        None => method.starts_with(rest),
        Some(behind) => rest.starts_with(method) && (*behind == b'\r' || is_space(*behind)),
    };
    if !METHODS.iter().any(could_be) {
        return Ok(First::Pass(Protocol::Other));
    }
    let from = searched.saturating_sub(spaces);
    let Some(end) = rest.iter().skip(from).position(|byte| *byte == b'\n') else { return Ok(First::More) };
    match of_line(&rest[..from + end], rest, true) {
        Ok(First::Pass(protocol)) => Ok(First::Pass(protocol)),
        _ => Err(Refusal::Request("a space is in front of it")),
    }
}

/// Whether bytes without a whole line could become a request: a word, maybe a space, and text. A word that is none of
/// letters is no method that servers with lax readers of targets know; behind it, a control character says something else.
fn could_be_request(bytes: &[u8]) -> bool {
    let word = bytes.iter().take(MAX_METHOD + 1).take_while(|byte| is_token(**byte)).count();
    if word > MAX_METHOD {
        return false;
    }
    let Some(behind) = bytes.get(word) else { return true };
    let is_odd = is_space(*behind) && bytes[..word].iter().all(u8::is_ascii_alphabetic);
    if word == 0 || !(is_odd || b" \t\r\n".contains(behind)) {
        return false;
    }
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    bytes[0].is_ascii_alphabetic()
        || !line[word..].iter().any(|byte| byte.is_ascii_control() && !b"\t\r".contains(byte))
}

fn of_line(line: &[u8], held: &[u8], upgraded: bool) -> Result<First, Refusal> {
    if !upgraded && line.starts_with(b"PRI ") && PREFACE.starts_with(&held[..held.len().min(PREFACE.len())]) {
        let whole = held.len() >= PREFACE.len();
        return Ok(if whole { First::Pass(Protocol::Http2) } else { First::MorePreface });
    }
    if has_version(line) {
        return Ok(First::Request);
    }
    let mut words = line.split(|byte| *byte == b'\r' || is_space(*byte)).filter(|word| !word.is_empty());
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let is_url = target.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"http"));
    if METHODS.contains(&method) && (is_url || target.starts_with(b"/")) {
        return Err(Refusal::Request("it has no version"));
    }
    Ok(First::Pass(if line.starts_with(b"SSH-") { Protocol::Ssh } else { Protocol::Other }))
}

/// Whether a version of HTTP stands behind some space, in letters of any case.
fn has_version(line: &[u8]) -> bool {
    line.windows(6).any(|part| (part[0] == b'\r' || is_space(part[0])) && part[1..].eq_ignore_ascii_case(b"HTTP/"))
}

/// Whether a byte is a space to some reader, but no end of a line: those of ASCII, and what Python's `str.split` takes for one in
/// Latin-1, as its servers read requests.
const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0b | 0x0c | 0x1c..=0x1f | 0x85 | 0xa0)
}

/// Whether a byte may be in a method or the name of a field (RFC 9110, section 5.6.2).
pub(super) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}
