//! One host name, in its one canonical spelling.

use std::fmt;
use std::str::FromStr;

use super::EndpointError;

/// Longest host name, in bytes (RFC 1035, section 2.3.4, less the root's dot and length).
const MAX_NAME: usize = 253;
/// Longest label, in bytes.
const MAX_LABEL: usize = 63;

/// A host name: 1 to 253 bytes of lower-case letters, digits, hyphens and dots, in labels of 1 to 63 bytes (RFC 1123,
/// section 2.1), whose last label is no number.
///
/// This is the one reader of names, whether they stand in a rule, in a DNS message, in a TLS ClientHello or in an HTTP
/// request. What any program could take for something else (a dot at the end, `0x7f.1`, a NUL, `user@`, letters of other
/// scripts) is not a host name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(String);

impl HostName {
    /// The name, in lower case and without a dot at the end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it lies below `suffix`, and is not that name itself.
    #[must_use]
    pub fn is_below(&self, suffix: &str) -> bool {
        is_below(&self.0, suffix)
    }

    /// The name without its first label; `None` of a name with only one.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.split_once('.').map(|(_, parent)| Self(parent.to_owned()))
    }
}

impl FromStr for HostName {
    type Err = EndpointError;

    /// Reads a name in letters of any case.
    ///
    /// # Errors
    /// Whatever is not a host name, addresses included.
    fn from_str(text: &str) -> Result<Self, EndpointError> {
        if text.is_empty() {
            return Err(EndpointError::Empty);
        }
        if is_numeric(text) {
            return Err(EndpointError::Numeric(text.to_owned()));
        }
        if text.len() > MAX_NAME {
            return Err(EndpointError::NameTooLong(text.len()));
        }
        match text.split('.').find(|label| !is_label(label)) {
            Some(label) => Err(EndpointError::Label(label.to_owned())),
            None => Ok(Self(text.to_ascii_lowercase())),
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn is_below(name: &str, suffix: &str) -> bool {
    name.strip_suffix(suffix).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

/// Whether some reader would take the text for an IPv4 address: its last label is a decimal, octal or hexadecimal number
/// (URL Standard, "ends in a number checker").
pub(super) fn is_numeric(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let last = text.rsplit('.').next().unwrap_or(text);
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let digits = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    digits || hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}
