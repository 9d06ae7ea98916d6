//! The settings of a text, read as git reads them (`git_parse_source` in its `config.c`).

/// One setting of the text.
#[derive(PartialEq, Eq)]
pub(super) struct Setting<'t> {
    /// `section.key`, lower case, without what stands between.
    pub(super) name: String,
    /// The section as it is written.
    pub(super) section: &'t str,
    /// The value, without quotes, escapes and comments; `true` where there is none.
    pub(super) value: String,
}

/// The settings in order; `None` for what is not understood, after which it goes on with the next line.
pub(super) fn all(text: &str) -> impl Iterator<Item = Option<Setting<'_>>> {
    let mut reader = Reader { rest: text.strip_prefix('\u{feff}').unwrap_or(text), section: "" };
    std::iter::from_fn(move || reader.next().transpose()).map(Result::ok)
}

struct Unclear;

struct Reader<'t> {
    rest: &'t str,
    section: &'t str,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<Option<Setting<'t>>, Unclear> {
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.is_empty() {
                return Ok(None);
            }
            if self.rest.starts_with(['#', ';']) {
                self.skip_line();
            } else if let Some(rest) = self.rest.strip_prefix('[') {
                let Some((section, after)) = header(line(rest)) else { return self.unclear() };
                self.section = section;
                self.rest = &rest[line(rest).len() - after.len()..];
            } else {
                return self.setting().map_or_else(|| self.unclear(), |setting| Ok(Some(setting)));
            }
        }
    }

    fn setting(&mut self) -> Option<Setting<'t>> {
        let is_key = |character: char| character.is_ascii_alphanumeric() || character == '-';
        let end = self.rest.find(|character| !is_key(character)).unwrap_or(self.rest.len());
        let (key, after) = self.rest.split_at(end);
        let after = after.trim_start_matches([' ', '\t']);
        let value = if line(after).is_empty() {
            self.rest = after;
            "true".to_owned()
        } else {
            let (value, after) = value(after.strip_prefix('=')?)?;
            self.rest = after;
            value
        };
        let first = self.section.split(['.', ' ', '\t']).next().unwrap_or("");
        let name = format!("{first}.{key}").to_ascii_lowercase();
        (!key.is_empty()).then_some(Setting { name, section: self.section, value })
    }

    fn unclear<T>(&mut self) -> Result<T, Unclear> {
        self.skip_line();
        Err(Unclear)
    }

    fn skip_line(&mut self) {
        self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
}

/// The rest of the line, without what ends it.
fn line(text: &str) -> &str {
    let line = text.split_once('\n').map_or(text, |(line, _)| line);
    line.strip_suffix('\r').unwrap_or(line)
}

/// Reads a value to the end of its last line, and gives what follows it (`parse_value` in git's `config.c`): spaces around it
/// and comments do not count outside of quotes, and a backslash at the end of a line goes on with the next.
fn value(text: &str) -> Option<(String, &str)> {
    let (mut value, mut kept, mut is_quoted) = (String::new(), 0, false);
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\n' if is_quoted => return None,
            '\n' => {
                value.truncate(kept);
                return Some((value, &text[at..]));
            }
            '\r' if text[at..].starts_with("\r\n") => continue,
            '#' | ';' if !is_quoted => {
                value.truncate(kept);
                return Some((value, &text[at + line(&text[at..]).len()..]));
            }
            '"' => is_quoted = !is_quoted,
            '\\' => match characters.next()?.1 {
                '\n' => {}
                '\r' if characters.next()?.1 == '\n' => {}
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'b' => value.push('\u{8}'),
                character @ ('"' | '\\') => value.push(character),
                _ => return None,
            },
            character if character.is_ascii_whitespace() && !is_quoted => {
                if !value.is_empty() {
                    value.push(character);
                }
                continue;
            }
            character => value.push(character),
        }
        kept = value.len();
    }
    value.truncate(kept);
    (!is_quoted).then_some((value, ""))
}

/// Splits what follows a `[` into the section and what comes after it, at the bracket where git ends it
/// (`get_base_var` and `get_extended_base_var` in its `config.c`).
fn header(text: &str) -> Option<(&str, &str)> {
    let plain = text.find(|byte: char| !byte.is_ascii_alphanumeric() && byte != '-' && byte != '.')?;
    let rest = text[plain..].trim_start_matches([' ', '\t']);
    let end = if let Some(quoted) = rest.strip_prefix('"').filter(|_| rest.len() < text.len() - plain) {
        let mut escaped = false;
        let close = quoted.find(|byte: char| {
            let ends = byte == '"' && !escaped;
            escaped = byte == '\\' && !escaped;
            ends
        })?;
        text.len() - quoted.len() + close + 1
    } else {
        plain
    };
    let after = text[end..].strip_prefix(']')?;
    Some((&text[..end], after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_ends_where_git_ends_it() {
        for (text, expected) in [
            ("core] bare = a]", Some(("core", " bare = a]"))),
            ("remote \"a]b\\\"]\"] x", Some(("remote \"a]b\\\"]\"", " x"))),
            ("remote.origin]", Some(("remote.origin", ""))),
            ("remote\"x\"]", None),
            ("remote \"x\" ]", None),
            ("remote x]", None),
            ("remote", None),
        ] {
            assert_eq!(header(text), expected, "{text}");
        }
    }

    #[test]
    fn values_are_what_git_takes_them_for() {
        for (text, expected) in [
            ("hk", "hk"),
            (" hk ; ours", "hk"),
            (" hk# ours", "hk"),
            ("h\"k\"", "hk"),
            ("\" h # k \"  ", " h # k "),
            (" a  b\t\r", "a  b"),
            ("a\\\n b", "a b"),
            ("\"a\\\"\\\\\\tb\"", "a\"\\\tb"),
            ("\"\" ", ""),
            ("\" \"x ", " x"),
        ] {
            let text = format!("[s]k={text}\nnext=1");
            let settings: Vec<_> =
                all(&text).map(|setting| setting.map(|setting| (setting.name, setting.value))).collect();
            let expected = [("s.k", expected), ("s.next", "1")];
            assert_eq!(settings, expected.map(|(name, value)| Some((name.to_owned(), value.to_owned()))), "{text:?}");
        }
    }

    #[test]
    fn what_git_refuses_is_unclear() {
        for text in ["k = \"a", "k = \"a\n\"", "k = \\x", "k v", "k # = v", "=v", "[x", "k \u{e9} = 1"] {
            assert!(all(&format!("[s]\n{text}")).any(|setting| setting.is_none()), "{text}");
        }
    }
}
