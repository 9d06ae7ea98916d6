//! Makes foreign text safe to print.

use std::fmt::{self, Write as _};
use std::path::Path;

use stockade::characters::misleads;

/// Characters of one foreign text in a line that are printed at most.
const MAX_CHARACTERS: usize = 200;

/// One piece of foreign text inside a line: every control and formatting character is written out, and the rest is cut
/// off after 200 characters, so that it cannot drive the terminal, reorder the line or fill the screen.
pub(crate) fn escaped(text: &str) -> impl fmt::Display {
    Escaped { text, most: MAX_CHARACTERS, kept: None }
}

/// As [`escaped`], but whole: a path of which the end is missing is of no use.
pub(crate) fn escaped_whole(text: &str) -> impl fmt::Display {
    Escaped { text, most: usize::MAX, kept: None }
}

/// A path of somebody else's choice, whole.
pub(super) fn shown(path: impl AsRef<Path>) -> String {
    escaped_whole(&path.as_ref().to_string_lossy()).to_string()
}

/// A line of a file: as [`escaped_whole`], but it keeps its tabs.
pub(crate) fn escaped_tabbed(text: &str) -> impl fmt::Display {
    Escaped { text, most: usize::MAX, kept: Some('\t') }
}

/// A message of several lines that may quote foreign text: as [`escaped`], but whole, and it keeps its line breaks.
pub(crate) fn escaped_lines(text: &str) -> impl fmt::Display {
    Escaped { text, most: usize::MAX, kept: Some('\n') }
}

struct Escaped<'t> {
    text: &'t str,
    most: usize,
    /// The one active character that stays.
    kept: Option<char>,
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, character) in self.text.chars().enumerate() {
            if count == self.most {
                return f.write_char('…');
            }
            if misleads(character) && self.kept != Some(character) {
                write!(f, "{}", character.escape_default())?;
            } else {
                f.write_char(character)?;
            }
        }
        Ok(())
    }
}

/// JSON of the same value, with everything in its texts written out that would be in a line: outside of them, JSON has nothing of
/// the kind but line breaks.
pub(crate) fn escaped_json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if character == '\n' || !misleads(character) {
            escaped.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _infallible = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_active_gets_through() {
        for (text, printed) in [
            ("plain/päth 文", "plain/päth 文"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("a\r\nb", "a\\r\\nb"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("x\u{202e}txt.exe", "x\\u{202e}txt.exe"),
        ] {
            assert_eq!(escaped(text).to_string(), printed);
        }
        assert_eq!(escaped(&"x".repeat(1_000)).to_string().chars().count(), MAX_CHARACTERS + 1);
    }

    #[test]
    fn messages_keep_their_lines() {
        assert_eq!(escaped_lines("a\r\n\u{1b}b").to_string(), "a\\r\n\\u{1b}b");
    }

    #[test]
    fn json_is_of_the_same_value_and_steers_nothing() {
        let value =
            serde_json::json!({ "a\u{9b}\u{7f}": ["\u{202e}\u{e0041}\u{ad}\n\u{1b}", "p\u{e4}th \u{1f600}", 1] });
        for json in [value.to_string(), format!("{value:#}")] {
            let escaped = escaped_json(&json);
            assert!(!escaped.chars().any(|character| character != '\n' && misleads(character)), "{escaped}");
            assert!(
                escaped.contains("\\u202e\\udb40\\udc41\\u00ad") && escaped.contains("p\u{e4}th \u{1f600}"),
                "{escaped}"
            );
            assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).expect("JSON"), value);
        }
    }
}
