//! Random identifiers of sandboxes and layers: 32 hexadecimal digits.

use std::fmt;
use std::str::FromStr;

use rustix::io::Errno;
use rustix::rand::GetRandomFlags;
use serde::{Deserialize, Serialize};

/// What sets a sandbox or a layer apart from every other, whatever it is called.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id([u8; 16]);

/// A text that is no identifier.
#[derive(Debug, thiserror::Error)]
#[error("an identifier is 32 hexadecimal digits, not {0:?}")]
pub struct NoId(String);

impl Id {
    /// A new one.
    pub(super) fn random() -> Result<Self, Errno> {
        let mut bytes = [0; 16];
        // The kernel gives up to 256 bytes at once.
        match rustix::rand::getrandom(&mut bytes, GetRandomFlags::empty())? {
            16 => Ok(Self(bytes)),
            _ => Err(Errno::IO),
        }
    }
}

impl FromStr for Id {
    type Err = NoId;

    fn from_str(text: &str) -> Result<Self, NoId> {
        let wrong = || NoId(text.to_owned());
        let digit = |digit: &u8| match digit {
            b'0'..=b'9' => Ok(digit - b'0'),
            b'a'..=b'f' => Ok(digit - b'a' + 10),
            _ => Err(wrong()),
        };
        let mut bytes = [0; 16];
        if text.len() != 2 * bytes.len() {
            return Err(wrong());
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = digit(&pair[0])? << 4 | digit(&pair[1])?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Id {
    type Error = NoId;

    fn try_from(text: String) -> Result<Self, NoId> {
        text.parse()
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.to_string()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_read_as_they_are_written() {
        let id = Id::random().expect("an identifier");
        assert_eq!(id.to_string().parse::<Id>().expect("read"), id);
        assert_ne!(id, Id::random().expect("another"));
    }

    #[test]
    fn what_could_lead_elsewhere_is_no_identifier() {
        let good = "0123456789abcdef0123456789abcdef";
        assert!(good.parse::<Id>().is_ok());
        for wrong in ["", "..", "0123456789ABCDEF0123456789ABCDEF", &good[1..], &format!("{good}0"), &"é".repeat(16)] {
            assert!(wrong.parse::<Id>().is_err(), "{wrong}");
        }
    }
}
