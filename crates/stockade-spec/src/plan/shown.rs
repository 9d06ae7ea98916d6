//! Names and texts that came from outside, made fit for a terminal.

use std::ffi::OsStr;
use std::fmt::{self, Write};

use crate::characters::misleads;

/// Shows a text in which nothing can act on a terminal or mislead a reader: characters that [mislead](misleads), and bytes
/// that are not Unicode, are escaped, and so is the backslash that escapes them.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(&'a OsStr);

impl<'a> Shown<'a> {
    /// Shows a path, a name or a text.
    pub fn new<T: AsRef<OsStr> + ?Sized>(text: &'a T) -> Self {
        Self(text.as_ref())
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.as_encoded_bytes().utf8_chunks() {
            for character in chunk.valid().chars() {
                match character {
                    '\\' | '\n' | '\r' | '\t' => write!(f, "{}", character.escape_default())?,
                    _ if misleads(character) => write!(f, "{}", character.escape_unicode())?,
                    _ => f.write_char(character)?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal() {
        for (text, expected) in [
            ("/a b/ü", "/a b/ü"),
            ("/a\nb", "/a\\nb"),
            ("\x1b[31m", "\\u{1b}[31m"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("a\u{9b}b", "a\\u{9b}b"),
            ("a\\nb", "a\\\\nb"),
        ] {
            assert_eq!(Shown::new(text).to_string(), expected);
        }
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_not_unicode_are_escaped() {
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(Shown::new(OsStr::from_bytes(b"a\xffb")).to_string(), "a\\xffb");
    }
}
