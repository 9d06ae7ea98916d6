//! Makes foreign text safe to print.

use std::fmt::{self, Write as _};

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
            if is_active(character) && self.kept != Some(character) {
                write!(f, "{}", character.escape_default())?;
            } else {
                f.write_char(character)?;
            }
        }
        Ok(())
    }
}

/// Whether a terminal does something else with a character than to show it in its place: control characters, line and
/// paragraph separators, and the controls of the Unicode bidirectional algorithm (annex 9).
fn is_active(character: char) -> bool {
    let invisible = matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    character.is_control() || invisible || matches!(character, '\u{2028}'..='\u{202e}')
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
}
