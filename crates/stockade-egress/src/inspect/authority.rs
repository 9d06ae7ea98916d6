//! The host and port of a request: in `Host`, and in a target that names one (RFC 9110, section 7.2).

use super::Refusal;
use crate::rules::{Host, HostName};

/// Whether a text names this host, and this port if it names one.
pub(super) fn check(text: &[u8], host: &HostName, port: u16) -> Result<(), Refusal> {
    let agrees =
        read(text).is_some_and(|(named, at)| named == Host::Name(host.clone()) && at.is_none_or(|at| at == port));
    if agrees { Ok(()) } else { Err(Refusal::request_host(text)) }
}

fn read(text: &[u8]) -> Option<(Host, Option<u16>)> {
    let text = str::from_utf8(text).ok()?;
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    // An IPv6 address is in brackets here, so that its colons are not taken for a port's.
    if host.contains(':') && !host.starts_with('[') {
        return None;
    }
    let port = match port {
        None => None,
        Some(digits) => Some(read_port(digits)?),
    };
    // A name may end in the root's dot, as people write it (RFC 3986, section 3.2.2).
    let host = host.strip_suffix('.').filter(|name| !name.is_empty()).unwrap_or(host);
    Some((host.parse().ok()?, port))
}

fn read_port(digits: &str) -> Option<u16> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|_| plain)
}
