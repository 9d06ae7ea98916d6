//! What is wrong with a policy, where, and what to do about it: data, and one plain rendering of it.
//!
//! Policies may come from hostile hands (a workspace's own file), so everything quoted here is bounded in length and freed
//! of characters that a terminal would obey.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::characters::misleads;

/// One policy text with the name under which messages speak of it, usually its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source<'t> {
    /// The name.
    pub name: &'t str,
    /// The text.
    pub text: &'t str,
}

/// One thing that is wrong with a policy. [`fmt::Display`] renders it on several lines without colour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// What is wrong; no final full stop.
    pub message: String,
    /// The name of the [`Source`], or the command-line option.
    pub source: String,
    /// The place in the text, in bytes.
    pub span: Range<usize>,
    /// Line of the place, from 1; 0 where it is the value of a command-line option.
    pub line: usize,
    /// Column of the place in characters, from 1.
    pub column: usize,
    /// The line, or the part of a long line that holds the place.
    pub excerpt: String,
    /// The place in [`Diagnostic::excerpt`], in characters; never empty.
    pub underlined: Range<usize>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What is wrong with a value, before its place is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()) }
    }

    pub(super) fn bare(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }
}

/// Longest message or hint, in characters.
const MAX_MESSAGE: usize = 600;
/// Longest excerpt, in characters.
const MAX_EXCERPT: usize = 120;
/// Characters of a long line that are shown before the place.
const LEAD: usize = 40;
/// Longest quoted value, in characters.
const MAX_QUOTE: usize = 80;

impl Diagnostic {
    pub(super) fn new(source: Source<'_>, span: Range<usize>, fault: Fault) -> Self {
        let start = source.text.floor_char_boundary(span.start.min(source.text.len()));
        let end = source.text.ceil_char_boundary(span.end.clamp(start, source.text.len()));
        let before = &source.text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = source.text[start..].find('\n').map_or(source.text.len(), |newline| start + newline);
        let (excerpt, underlined) = excerpt(&source.text[line_start..line_end], start - line_start, end - line_start);
        Self {
            message: bounded(&fault.message, MAX_MESSAGE),
            source: bounded(source.name, MAX_MESSAGE),
            span: start..end,
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: source.text[line_start..start].chars().count() + 1,
            excerpt,
            underlined,
            hint: fault.hint.map(|hint| bounded(&hint, MAX_MESSAGE)),
        }
    }

    /// For the value of a command-line option.
    pub(super) fn of_option(option: &str, value: &str, fault: Fault) -> Self {
        let place = Source { name: option, text: value };
        Self { line: 0, ..Self::new(place, 0..value.len(), fault) }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.message)?;
        if self.line == 0 {
            writeln!(f, "  --> {}", self.source)?;
        } else {
            writeln!(f, "  --> {}:{}:{}", self.source, self.line, self.column)?;
        }
        let number = if self.line == 0 { String::new() } else { self.line.to_string() };
        let width = number.len().max(1);
        let carets = "^".repeat(self.underlined.len());
        writeln!(f, "{:width$} |", "")?;
        writeln!(f, "{number:width$} | {}", self.excerpt)?;
        writeln!(f, "{:width$} | {:skip$}{carets}", "", "", skip = self.underlined.start)?;
        match &self.hint {
            Some(hint) => writeln!(f, "{:width$} = hint: {hint}", ""),
            None => Ok(()),
        }
    }
}

/// The part of `line` around the bytes `start..end`, and the characters of it that they are.
fn excerpt(line: &str, start: usize, end: usize) -> (String, Range<usize>) {
    let line = line.strip_suffix('\r').unwrap_or(line);
    let (start, end) = (start.min(line.len()), end.min(line.len()));
    let lead = line[..start].chars().count();
    let skipped = if line.chars().count() > MAX_EXCERPT { lead.saturating_sub(LEAD) } else { 0 };
    let shown: String = line.chars().skip(skipped).take(MAX_EXCERPT).map(printable).collect();
    let from = lead - skipped;
    let length = line[start..end].chars().count().clamp(1, MAX_EXCERPT - from.min(MAX_EXCERPT - 1));
    (shown, from..from + length)
}

/// The text in backquotes, cut where it is long.
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", bounded(text, MAX_QUOTE))
}

fn bounded(text: &str, most: usize) -> String {
    let mut shown: String = text.chars().take(most).map(printable).collect();
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}

/// Replaces what a terminal would obey, or a reader could not see.
fn printable(character: char) -> char {
    match character {
        '\t' => ' ',
        _ if misleads(character) => '\u{fffd}',
        _ => character,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, span: Range<usize>) -> Diagnostic {
        Diagnostic::new(Source { name: "p.toml", text }, span, Fault::new("wrong", "right"))
    }

    #[test]
    fn rendering_points_at_the_place() {
        let text = "version = 1\n[limits]\nmemory = 7\n";
        let expected = "error: wrong\n  --> p.toml:3:10\n  |\n3 | memory = 7\n  |          ^\n  = hint: right\n";
        assert_eq!(at(text, 30..31).to_string(), expected);
    }

    #[test]
    fn places_are_counted_in_characters_and_tolerate_any_span() {
        let diagnostic = at("ä = \"ö\" x", 5..9);
        assert_eq!((diagnostic.line, diagnostic.column), (1, 5));
        assert_eq!(diagnostic.underlined, 4..7);
        let text = "a\r\nü\n";
        for start in 0..12 {
            for end in 0..12 {
                let shown = at(text, start..end);
                assert!(shown.underlined.start < shown.underlined.end && shown.span.end <= text.len());
            }
        }
    }

    #[test]
    fn long_lines_and_terminal_codes_do_not_get_through() {
        let text = format!("{}\u{1b}[2J\u{202e}x", "k".repeat(10_000));
        let diagnostic = at(&text, 10_000..10_001);
        assert!(diagnostic.excerpt.chars().count() <= MAX_EXCERPT);
        assert!(!diagnostic.to_string().contains(['\u{1b}', '\u{202e}']));
        assert!(quoted(&text).chars().count() <= MAX_QUOTE + 3);
    }

    #[test]
    fn options_have_no_line() {
        let shown = Diagnostic::of_option("--memory", "1KiB", Fault::bare("too small")).to_string();
        assert_eq!(shown, "error: too small\n  --> --memory\n  |\n  | 1KiB\n  | ^^^^\n");
    }
}
