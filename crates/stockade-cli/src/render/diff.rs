//! Unified diffs on a terminal: coloured, and with everything that a terminal would obey written out. Elsewhere they are as
//! `git apply` wants them, byte for byte.

use anstream::ColorChoice;

use super::text::escaped_tabbed;

const BOLD: &str = "\u{1b}[1m";
const CYAN: &str = "\u{1b}[36m";
const GREEN: &str = "\u{1b}[32m";
const RED: &str = "\u{1b}[31m";
const PLAIN: &str = "\u{1b}[m";

/// How a diff is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// As it is.
    Exactly,
    /// Safe for a terminal.
    Safely,
    /// Safe for a terminal, and coloured.
    Coloured,
}

impl Shown {
    /// On standard output, which is a terminal or not. `NO_COLOR` is heeded.
    pub(crate) fn at(is_terminal: bool) -> Self {
        match (is_terminal, anstream::AutoStream::choice(&std::io::stdout())) {
            (false, _) => Self::Exactly,
            (true, ColorChoice::Never) => Self::Safely,
            (true, _) => Self::Coloured,
        }
    }

    /// The diff of one change.
    pub(crate) fn unified(self, text: Vec<u8>) -> Vec<u8> {
        if self == Self::Exactly {
            return text;
        }
        let mut out = String::new();
        let mut in_hunk = false;
        for line in String::from_utf8_lossy(&text).split_terminator('\n') {
            in_hunk = match line.as_bytes().first() {
                Some(b'@') => true,
                // Between hunks and after the last one, no line begins otherwise.
                Some(b' ' | b'+' | b'-' | b'\\') => in_hunk,
                _ => false,
            };
            let line_colour = if in_hunk { colour(line) } else { BOLD };
            if self == Self::Coloured && !line_colour.is_empty() {
                out.extend([line_colour, &escaped_tabbed(line).to_string(), PLAIN, "\n"]);
            } else {
                out.extend([&escaped_tabbed(line).to_string(), "\n"]);
            }
        }
        out.into_bytes()
    }
}

fn colour(line: &str) -> &'static str {
    match line.as_bytes().first() {
        Some(b'@') => CYAN,
        Some(b'+') => GREEN,
        Some(b'-') => RED,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFF: &str = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1,2 @@\n a\u{1b}[2J\tb\n--- gone\n+++ new\n";

    #[test]
    fn a_terminal_obeys_nothing_of_it() {
        let text = |shown: Shown| String::from_utf8(shown.unified(DIFF.into())).expect("text");
        assert_eq!(text(Shown::Exactly), DIFF);
        assert_eq!(text(Shown::Safely), DIFF.replace('\u{1b}', "\\u{1b}"));
        let coloured = text(Shown::Coloured);
        assert!(coloured.contains("\u{1b}[1m--- a/x\u{1b}[m\n") && coloured.contains("\u{1b}[31m--- gone\u{1b}[m\n"));
        assert!(coloured.contains("\u{1b}[36m@@ -1 +1,2 @@\u{1b}[m\n a\\u{1b}[2J\tb\n"), "{coloured}");
    }
}
