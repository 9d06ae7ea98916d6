//! The head of a request of HTTP/1 (RFC 9112), read so strictly that no server sees another one.

use super::body::Body;
use super::first::is_token;
use super::{Refusal, authority};
use crate::rules::HostName;

/// Schemes of targets that name a host.
const SCHEMES: [&[u8]; 4] = [b"http", b"https", b"ws", b"wss"];

/// What of a head tells how the connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The body that follows; `None` where there is none.
    pub(super) body: Option<Body>,
    /// Whether the server may switch to another protocol.
    pub(super) upgrade: bool,
}

/// The empty line in front of a request, which servers pass over, in bytes.
pub(super) fn blank_line(held: &[u8]) -> Result<Option<usize>, Refusal> {
    match held {
        [b'\r', b'\n', ..] => Ok(Some(2)),
        [b'\n', ..] | [b'\r', _, ..] => Err(Refusal::Request("a line ends with CR or LF alone")),
        _ => Ok(None),
    }
}

/// The length of the head with its empty line, once it is there. It does not end in the first `searched` bytes.
pub(super) fn length(held: &[u8], searched: usize) -> Result<Option<usize>, Refusal> {
    let from = searched.saturating_sub(3);
    let mut previous = if from == 0 { None } else { held.get(from - 1).copied() };
    for (at, byte) in held.iter().enumerate().skip(from) {
        if *byte == b'\n' && previous != Some(b'\r') {
            return Err(Refusal::Request("a line ends with LF alone"));
        }
        if *byte == b'\n' && held[..=at].ends_with(b"\r\n\r\n") {
            return Ok(Some(at + 1));
        }
        previous = Some(*byte);
    }
    Ok(None)
}

/// Reads a whole head of a request to this host.
pub(super) fn read(head: &[u8], host: &HostName, port: u16) -> Result<Head, Refusal> {
    let text = head.strip_suffix(b"\r\n\r\n").ok_or(Refusal::Incomplete)?;
    if text.iter().any(|byte| byte.is_ascii_control() && !b"\r\n\t".contains(byte)) {
        return Err(Refusal::Request("it holds a control character"));
    }
    let mut lines = Lines(Some(text));
    let request = RequestLine::read(lines.next().unwrap_or_default())?;
    let mut fields = Fields::default();
    for line in lines {
        let (name, value) = field(line)?;
        fields.note(name, value)?;
    }
    request.check_target(host, port)?;
    fields.check_host(&request, host, port)?;
    Ok(Head { body: fields.body(&request)?, upgrade: fields.may_switch() })
}

/// Lines that end with CR and LF.
struct Lines<'h>(Option<&'h [u8]>);

impl<'h> Iterator for Lines<'h> {
    type Item = &'h [u8];

    fn next(&mut self) -> Option<&'h [u8]> {
        let text = self.0?;
        let Some(end) = text.windows(2).position(|pair| pair == b"\r\n") else {
            self.0 = None;
            return Some(text);
        };
        self.0 = Some(&text[end + 2..]);
        Some(&text[..end])
    }
}

/// The first line.
struct RequestLine<'h> {
    method: &'h [u8],
    target: &'h [u8],
    /// HTTP/1.0, of which servers differ in what they know of 1.1.
    is_old: bool,
}

impl<'h> RequestLine<'h> {
    fn read(line: &'h [u8]) -> Result<Self, Refusal> {
        let parts: Vec<&[u8]> = line.splitn(4, |byte| *byte == b' ').collect();
        let [method, target, version] = parts[..] else {
            return Err(Refusal::Request("its first line is not a method, a target and a version"));
        };
        let is_old = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            _ => return Err(Refusal::Request("its version is neither HTTP/1.1 nor HTTP/1.0")),
        };
        if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
            return Err(Refusal::Request("its method is no word"));
        }
        if target.is_empty() || target.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
            return Err(Refusal::Request("its target is empty or holds a space"));
        }
        Ok(Self { method, target, is_old })
    }

    /// The host in the target has to be this one, where there is one (RFC 9112, section 3.2).
    fn check_target(&self, host: &HostName, port: u16) -> Result<(), Refusal> {
        if self.method.eq_ignore_ascii_case(b"CONNECT") {
            authority::check(self.target, host, port)?;
            return Err(Refusal::Hidden("CONNECT"));
        }
        if self.target.starts_with(b"/") || self.target == b"*" {
            return Ok(());
        }
        let colon = self.target.windows(3).position(|part| part == b"://");
        let (scheme, rest) = match colon {
            Some(at) => (&self.target[..at], &self.target[at + 3..]),
            None => return Err(Refusal::Request("its target is neither a path nor a URL")),
        };
        if !SCHEMES.iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
            return Err(Refusal::Request("its target is a URL of another scheme"));
        }
        let end = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
        authority::check(&rest[..end], host, port)
    }
}

/// A field's name and value (RFC 9112, section 5).
pub(super) fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    if line.starts_with(b" ") || line.starts_with(b"\t") {
        return Err(Refusal::Request("a field is folded over several lines"));
    }
    if line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
        return Err(Refusal::Request("a field holds a control character"));
    }
    let colon = line.iter().position(|byte| *byte == b':').ok_or(Refusal::Request("a field has no colon"))?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
        return Err(Refusal::Request("the name of a field is no word"));
    }
    Ok((name, value.trim_ascii()))
}

/// Fields that say what the request names and where it ends.
#[derive(Default)]
struct Fields<'h> {
    host: Option<&'h [u8]>,
    length: Option<&'h [u8]>,
    coding: Option<&'h [u8]>,
    upgrades: Vec<&'h [u8]>,
    has_settings: bool,
}

impl<'h> Fields<'h> {
    fn note(&mut self, name: &[u8], value: &'h [u8]) -> Result<(), Refusal> {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        let single = if is("host") {
            &mut self.host
        } else if is("content-length") {
            &mut self.length
        } else if is("transfer-encoding") {
            &mut self.coding
        } else {
            if is("upgrade") {
                self.upgrades.push(value);
            }
            self.has_settings |= is("http2-settings");
            return Ok(());
        };
        match single.replace(value) {
            None => Ok(()),
            Some(_) => Err(Refusal::Request("Host, Content-Length or Transfer-Encoding is there twice")),
        }
    }

    fn check_host(&self, request: &RequestLine<'_>, host: &HostName, port: u16) -> Result<(), Refusal> {
        match self.host {
            Some(named) => authority::check(named, host, port),
            // The server has nothing to choose by, then.
            None if request.is_old => Ok(()),
            None => Err(Refusal::Request("it has no Host")),
        }
    }

    /// Whether something that is no HTTP may follow. Offers of HTTP/2 (RFC 7540, section 3.2) are made by common clients with
    /// their first request, and passed over by almost every server; so they pass, but only requests may follow. The
    /// preface, with which HTTP/2 would begin, is none.
    fn may_switch(&self) -> bool {
        let mut wanted = self.upgrades.iter().flat_map(|value| value.split(|byte| *byte == b','));
        let hides = |protocol: &[u8]| {
            let protocol = protocol.trim_ascii().to_ascii_lowercase();
            protocol.starts_with(b"h2") || protocol.starts_with(b"h3") || protocol.starts_with(b"http")
        };
        !self.upgrades.is_empty() && !self.has_settings && !wanted.any(hides)
    }

    /// How long the body is (RFC 9112, section 6).
    fn body(&self, request: &RequestLine<'_>) -> Result<Option<Body>, Refusal> {
        match (self.length, self.coding) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(Refusal::Request("it has both Content-Length and Transfer-Encoding")),
            (Some(digits), None) => Ok(Body::of_length(length_of(digits)?)),
            (None, Some(_)) if request.is_old => Err(Refusal::Request("HTTP/1.0 has no Transfer-Encoding")),
            (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Some(Body::CHUNKED)),
            (None, Some(_)) => Err(Refusal::Request("its Transfer-Encoding is not just chunked")),
        }
    }
}

fn length_of(digits: &[u8]) -> Result<u64, Refusal> {
    let plain = !digits.is_empty() && digits.len() <= 18 && digits.iter().all(u8::is_ascii_digit);
    let number = str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).filter(|_| plain);
    number.ok_or(Refusal::Request("its Content-Length is no number"))
}

#[cfg(test)]
mod tests;
