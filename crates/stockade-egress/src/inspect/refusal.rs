//! What is seen, and why it does not pass.

use thiserror::Error;

/// Most characters of a name that are shown.
const MAX_SHOWN: usize = 253;

/// What a connection speaks, as far as its first bytes tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// TLS, whatever is inside.
    Tls,
    /// HTTP/1.
    Http,
    /// HTTP/2 without TLS.
    Http2,
    /// SSH.
    Ssh,
    /// Anything else, or not known yet.
    #[default]
    Other,
}

impl Protocol {
    /// The word in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Http => "http",
            Self::Http2 => "http2",
            Self::Ssh => "ssh",
            Self::Other => "other",
        }
    }
}

/// Why a connection is ended. Nothing in the message is a character that a terminal obeys.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The ClientHello names another server.
    #[error("the TLS connection names `{named}` instead of the host that was looked up; connect to that name")]
    ServerName {
        /// The other name, escaped and cut to 253 characters.
        named: String,
    },
    /// A request names another host, or another port of the host.
    #[error("an HTTP request names `{named}` instead of the host that was looked up; connect to that name")]
    RequestHost {
        /// The other host, escaped and cut to 253 characters.
        named: String,
    },
    /// What starts like TLS is no ClientHello.
    #[error("the TLS ClientHello is malformed: {0}")]
    Hello(&'static str),
    /// A request is not written as strictly as needed to know where it ends and what it names.
    #[error("the HTTP request is malformed or ambiguous: {0}")]
    Request(&'static str),
    /// `CONNECT`.
    #[error("the HTTP request wants a stream in which hosts cannot be checked: {0}")]
    Hidden(&'static str),
    /// More than [`MAX_HELD`](super::MAX_HELD) bytes came without an end.
    #[error("the first message, or the head of a request, has more than {} bytes", super::MAX_HELD)]
    TooLong,
    /// The program stopped sending in the middle of what is read as a whole.
    #[error("the connection ended in the middle of a request or a ClientHello")]
    Incomplete,
    /// The program took too long to finish what is read as a whole. Given by whoever measures the time.
    #[error("the first message, or the head of a request, did not come to its end in time")]
    Slow,
}

impl Refusal {
    pub(super) fn server_name(named: &[u8]) -> Self {
        Self::ServerName { named: shown(named) }
    }

    pub(super) fn request_host(named: &[u8]) -> Self {
        Self::RequestHost { named: shown(named) }
    }
}

fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().take(MAX_SHOWN).map(char::from).collect()
}
