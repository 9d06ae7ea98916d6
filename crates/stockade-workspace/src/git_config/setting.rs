//! The settings of a text, line by line.

/// One setting of the text.
#[derive(PartialEq, Eq)]
pub(super) struct Setting<'t> {
    /// `section.key`, lower case, without what stands between.
    pub(super) name: String,
    /// The section as it is written.
    pub(super) section: &'t str,
    pub(super) value: &'t str,
}

/// The settings line by line; `None` for a line that is not understood.
pub(super) fn all(text: &str) -> impl Iterator<Item = Option<Setting<'_>>> {
    let mut section = "";
    text.lines().filter_map(move |line| match setting(line, &mut section) {
        Ok(None) => None,
        Ok(Some(setting)) => Some(Some(setting)),
        Err(Unclear) => Some(None),
    })
}

struct Unclear;

fn setting<'t>(line: &'t str, section: &mut &'t str) -> Result<Option<Setting<'t>>, Unclear> {
    let mut line = line.trim();
    if let Some(rest) = line.strip_prefix('[') {
        let (header, after) = header(rest).ok_or(Unclear)?;
        *section = header;
        line = after.trim();
    }
    if line.is_empty() || line.starts_with(['#', ';']) {
        return Ok(None);
    }
    if line.ends_with('\\') {
        return Err(Unclear);
    }
    let (key, value) = line.split_once('=').unwrap_or((line, "true"));
    let key = key.trim();
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(Unclear);
    }
    let first = section.split(['.', ' ', '\t']).next().unwrap_or("");
    let name = format!("{first}.{key}").to_ascii_lowercase();
    Ok(Some(Setting { name, section, value: value.trim() }))
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
}
