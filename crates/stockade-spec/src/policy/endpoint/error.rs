//! Why a text is not an endpoint rule.

use thiserror::Error;

/// Why a text is not an endpoint rule; [`EndpointError::hint`] says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// Nothing at all.
    #[error("the endpoint rule is empty")]
    Empty,
    /// Longer than any endpoint.
    #[error("an endpoint rule of {0} bytes is too long")]
    TooLong(usize),
    /// A space, NUL or control character.
    #[error("the endpoint rule holds a space or a control character")]
    Control,
    /// `https://…`.
    #[error("the endpoint rule starts with the scheme `{0}://`")]
    Scheme(String),
    /// `user@host`.
    #[error("the endpoint rule holds `@`: a user name is no part of an endpoint")]
    UserInfo,
    /// A name in another script.
    #[error("the endpoint rule holds characters that are not ASCII")]
    NotAscii {
        /// The rule in ASCII, where it can be told.
        meant: Option<String>,
    },
    /// A character that no host has.
    #[error("the endpoint rule holds `{0}`, which no host name or address does")]
    Character(char),
    /// Brackets that do not enclose an IPv6 address.
    #[error("brackets enclose an IPv6 address or network, and nothing but `:PORT` follows them")]
    Brackets,
    /// A path behind the host.
    #[error("the endpoint rule holds `/` without being a network such as 10.1.2.0/24")]
    Path,
    /// A port that is no port.
    #[error("`{0}` is not a port or a range of ports")]
    Port(String),
    /// A range whose ends are the wrong way round.
    #[error("the range of ports {0}-{1} is empty")]
    EmptyRange(u16, u16),
    /// A label of a name that is empty, too long, or not of letters, digits and inner hyphens.
    #[error("`{0}` is not a label of a host name")]
    Label(String),
    /// A name longer than 253 bytes.
    #[error("a host name has at most 253 characters; this one has {0}")]
    NameTooLong(usize),
    /// An address in a spelling that only some programs understand.
    #[error("`{0}` looks like a number, and is not an IPv4 address of four decimal numbers")]
    Numeric(String),
    /// Not an IPv6 address.
    #[error("`{0}` is not an IPv6 address")]
    Ipv6(String),
    /// `::ffff:10.0.0.1`.
    #[error("`{0}` is an IPv4 address in the clothes of IPv6")]
    Mapped(String),
    /// `0.0.0.0` or `::`.
    #[error("`{0}` stands for no address at all")]
    Unspecified(String),
    /// A network with bits set behind its prefix, or with a prefix that is too long.
    #[error("`{0}` is not a network: its prefix is not a whole number that fits the address")]
    Prefix(String),
    /// Bits of the host are set.
    #[error("`{network}` has bits set outside its prefix")]
    HostBits {
        /// The network as written.
        network: String,
        /// The network that was probably meant.
        meant: String,
    },
    /// `*` in any other place than as the whole first label.
    #[error("`*` stands only for whole labels at the start: `*.example.org`")]
    Wildcard,
    /// `*`, or where it would allow, `*.com` or another suffix under which anybody can register names.
    #[error("`{0}` is too broad: it covers names of unrelated owners")]
    TooBroad(String),
}

impl EndpointError {
    /// What to write instead.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Scheme(_) | Self::Path | Self::UserInfo => {
                "write the host, and the port where it is not 80 or 443: `api.example.com` or `git.example.com:22`"
                    .into()
            }
            Self::NotAscii { meant: Some(meant) } => format!("write the name's ASCII form: `{meant}`"),
            Self::NotAscii { meant: None } => "write the ASCII form of the name, whose labels start with `xn--`".into(),
            Self::Port(_) => "ports are 1 to 65535, in decimal: `:8443`, or `:8000-8100` for a range".into(),
            Self::EmptyRange(first, last) => format!("write `{last}-{first}`"),
            Self::Label(_) | Self::NameTooLong(_) => {
                "labels are 1 to 63 letters, digits and inner hyphens, joined by single dots, with none at the end"
                    .into()
            }
            Self::Numeric(_) => "write all four numbers, 0 to 255, without leading zeros: `127.0.0.1`".into(),
            Self::Ipv6(_) => "write IPv6 addresses as `2001:db8::1`, with a port as `[2001:db8::1]:443`".into(),
            Self::Mapped(_) => "write the IPv4 address itself".into(),
            Self::Unspecified(_) => "name an address; `0.0.0.0/0` and `::/0` are every address".into(),
            Self::HostBits { meant, .. } => format!("write `{meant}`"),
            Self::Wildcard => {
                "name at least two labels after the `*`: `*.example.org` covers its subdomains, not itself".into()
            }
            Self::TooBroad(_) => {
                "name the domain of one owner after the `*`: `*.example.org` covers its subdomains, not itself; \
                 `default = \"public\"` opens every public endpoint"
                    .into()
            }
            _ => {
                "a rule is a name, `*.suffix`, an address or a network, each with an optional port: `api.example.com`, \
                  `*.example.org:443`, `10.1.2.0/24:5432`, `[2001:db8::1]:443`"
                    .into()
            }
        }
    }
}
