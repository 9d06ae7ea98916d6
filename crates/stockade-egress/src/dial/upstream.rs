//! The host's own HTTP proxy, where it has to be used to get out.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::rules::Host;

/// Longest user name and password together, in bytes.
const LONGEST_CREDENTIALS: usize = 1024;

/// Entries of a list of exceptions.
const MOST_EXCEPTIONS: usize = 1024;

/// An HTTP proxy by which everything is dialled, with `CONNECT` (RFC 9110, section 9.3.6), and the hosts that are dialled directly.
///
/// Its address is not checked against special ranges: it was configured by the host's owner, not by what runs inside. Many
/// proxies allow `CONNECT` only to port 443; what they refuse fails.
#[derive(Clone, PartialEq, Eq)]
pub struct Upstream {
    host: String,
    port: u16,
    /// The value of `Proxy-Authorization`.
    authorization: Option<String>,
    exceptions: Vec<Exception>,
}

impl fmt::Debug for Upstream {
    /// Without the credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

/// Why a proxy's URL cannot be used. No message holds the URL, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// A scheme other than `http`.
    #[error(
        "the host's proxy has the scheme `{0}`; only `http` proxies can be used: set https_proxy to one, or unset it"
    )]
    Scheme(String),
    /// No host, or a port that is none.
    #[error(
        "the URL of the host's proxy has no host, or its port is not a number from 1 to 65535: correct https_proxy"
    )]
    Malformed,
    /// User name or password are longer than 1,024 bytes, or hold control characters.
    #[error("the user name and password in the URL of the host's proxy cannot be used: they are too long or malformed")]
    Credentials,
    /// The list of exceptions is longer than 1,024 entries.
    #[error("no_proxy has more than {MOST_EXCEPTIONS} entries: shorten it")]
    Exceptions,
}

impl Upstream {
    /// Reads the values of `https_proxy` (or the like) and `no_proxy`, as the CLI finds them in the environment.
    ///
    /// `url` is `[http://][user:password@]host[:port][/]`, with port 80 by default as the scheme says (RFC 9110, section 4.2.1).
    /// `no_proxy` has entries between commas: `*`, names (which hold for the names below them too, with or without a leading
    /// dot), addresses, and networks.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub fn new(url: &str, no_proxy: &str) -> Result<Self, UpstreamError> {
        let rest = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) => return Err(UpstreamError::Scheme(scheme.escape_default().to_string())),
            None => url,
        };
        let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (credentials, endpoint) =
            rest.rsplit_once('@').map_or((None, rest), |(credentials, rest)| (Some(credentials), rest));
        let (host, port) = endpoint_of(endpoint).ok_or(UpstreamError::Malformed)?;
        let authorization = credentials.map(basic).transpose()?;
        Ok(Self { host, port, authorization, exceptions: exceptions_of(no_proxy)? })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }

    /// Whether a host is dialled directly.
    pub(super) fn is_bypassed(&self, host: &Host) -> bool {
        self.exceptions.iter().any(|exception| exception.holds_for(host))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    Everything,
    Name(String),
    Network(IpNet),
}

impl Exception {
    fn parse(text: &str) -> Self {
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        match (bare.parse::<IpAddr>(), bare.parse::<IpNet>()) {
            _ if text == "*" => Self::Everything,
            (Ok(address), _) => Self::Network(address.into()),
            (_, Ok(network)) => Self::Network(network),
            _ => Self::Name(text.trim_start_matches("*.").trim_start_matches('.').to_ascii_lowercase()),
        }
    }

    fn holds_for(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Everything, _) => true,
            (Self::Network(network), Host::Address(address)) => network.contains(address),
            (Self::Name(suffix), Host::Name(name)) => {
                name.as_str().strip_suffix(suffix.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            _ => false,
        }
    }
}

fn exceptions_of(no_proxy: &str) -> Result<Vec<Exception>, UpstreamError> {
    let entries = no_proxy.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty());
    let exceptions: Vec<_> = entries.take(MOST_EXCEPTIONS + 1).map(Exception::parse).collect();
    if exceptions.len() > MOST_EXCEPTIONS { Err(UpstreamError::Exceptions) } else { Ok(exceptions) }
}

/// Splits `host:port`, `[address]:port` or a host alone.
fn endpoint_of(text: &str) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(inside) => {
            let (host, rest) = inside.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Some(80), |port| port.parse().ok().filter(|port| *port != 0))?;
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    (!host.is_empty() && host.len() <= 253 && host.chars().all(is_host)).then(|| (host.to_owned(), port))
}

/// The value of `Proxy-Authorization` for a `user:password` of a URL (RFC 7617).
fn basic(credentials: &str) -> Result<String, UpstreamError> {
    let decoded = percent_decoded(credentials).ok_or(UpstreamError::Credentials)?;
    if decoded.len() > LONGEST_CREDENTIALS || decoded.iter().any(u8::is_ascii_control) {
        return Err(UpstreamError::Credentials);
    }
    let colon: &[u8] = if decoded.contains(&b':') { b"" } else { b":" };
    Ok(format!("Basic {}", base64(&[&decoded, colon].concat())))
}

/// Undoes percent-encoding (RFC 3986, section 2.1). `None` where a `%` is not followed by two hexadecimal digits.
fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            let value = digit()? * 16 + digit()?;
            decoded.push(u8::try_from(value).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    Some(decoded)
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let value =
            group.iter().fold(0_usize, |value, byte| value << 8 | usize::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS[value >> (18 - 6 * place) & 63];
            text.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(url: &str) -> Upstream {
        Upstream::new(url, "").unwrap()
    }

    #[test]
    fn urls_are_read_the_way_tools_read_them() {
        for (url, host, port) in [
            ("http://proxy.example:3128/", "proxy.example", 3128),
            ("proxy.example:8080", "proxy.example", 8080),
            ("HTTP://10.0.0.1", "10.0.0.1", 80),
            ("http://[2001:db8::1]:3128", "2001:db8::1", 3128),
        ] {
            let upstream = upstream(url);
            assert_eq!((upstream.host(), upstream.port(), upstream.authorization()), (host, port, None), "{url}");
        }
        assert_eq!(Upstream::new("socks5://a:1", ""), Err(UpstreamError::Scheme("socks5".into())));
        for url in [
            "",
            "http://",
            "http://a:0",
            "http://a:x",
            "http://a:70000",
            "http://a b:1",
            "http://[::1",
            "http://a\r\nb:1",
        ] {
            assert_eq!(Upstream::new(url, ""), Err(UpstreamError::Malformed), "{url}");
        }
    }

    #[test]
    fn credentials_are_encoded_and_never_shown() {
        // The example of RFC 7617, section 2.
        let aladdin = upstream("http://Aladdin:open%20sesame@proxy.example:1");
        assert_eq!(aladdin.authorization(), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
        assert_eq!(upstream("http://a@p:1").authorization(), Some("Basic YTo="));
        let shown = format!("{aladdin:?}");
        assert!(!shown.contains("sesame") && !shown.contains("QWxh"), "{shown}");
        for url in ["http://a:%0d%0a@p:1", "http://a:%zz@p:1", "http://a:%4@p:1"] {
            assert_eq!(Upstream::new(url, ""), Err(UpstreamError::Credentials), "{url}");
        }
        // The test vectors of RFC 4648, section 10.
        let vectors =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")];
        for (bytes, text) in vectors {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn exceptions_hold_for_names_below_and_for_networks() {
        let list = "localhost, .corp.example,*.lab.example, example.net,10.0.0.0/8 , 192.0.2.1,[2001:db8::1]";
        let upstream = Upstream::new("http://p:1", list).unwrap();
        let is_bypassed = |text: &str| upstream.is_bypassed(&text.parse().unwrap());
        for host in [
            "a.corp.example",
            "b.lab.example",
            "example.net",
            "www.example.net",
            "10.1.2.3",
            "192.0.2.1",
            "2001:db8::1",
        ] {
            assert!(is_bypassed(host), "{host}");
        }
        for host in ["badexample.net", "example.org", "11.0.0.1", "192.0.2.2"] {
            assert!(!is_bypassed(host), "{host}");
        }
        assert!(Upstream::new("http://p:1", "*").unwrap().is_bypassed(&"any.example".parse().unwrap()));
    }
}
