//! Who the caller is to git: `user.name` and `user.email`, and nothing else of the configuration.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use stockade_spec::facts::GitIdentity;

/// A larger configuration is cut; the identity stands at its beginning, where `git config` puts it.
const MAX_CONFIGURATION: u64 = 64 * 1024;

/// The text of a configuration file; `None` when it cannot be read.
pub(super) fn read_configuration(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MAX_CONFIGURATION).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Takes name and email over from a configuration's text.
pub(super) fn add(identity: &mut GitIdentity, text: &str) {
    let mut in_user = false;
    for line in text.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            // A subsection, as in [user "x"], is another section.
            in_user = header.split(']').next().is_some_and(|name| name.trim().eq_ignore_ascii_case("user"));
        } else if in_user && let Some((key, value)) = line.split_once('=') {
            let value = unquote(value);
            match key.trim().to_ascii_lowercase().as_str() {
                "name" => identity.name = Some(value),
                "email" => identity.email = Some(value),
                _ => {}
            }
        }
    }
}

/// The value without quotes, escapes and comment (`git-config(1)`, Syntax).
fn unquote(text: &str) -> String {
    let mut value = String::new();
    let mut quoted = false;
    let mut characters = text.trim().chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => quoted = !quoted,
            '\\' => value.extend(characters.next()),
            '#' | ';' if !quoted => break,
            other => value.push(other),
        }
    }
    value.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_identity_is_taken() {
        let mut identity = GitIdentity::default();
        let text = "[user]\n\tname = \"A \\\"B\\\" C\" ; who\n\temail = a@b.example # x\n[user \"x\"]\nname = no\n[core]\nname = no\n";
        add(&mut identity, text);
        assert_eq!(identity.name.as_deref(), Some("A \"B\" C"));
        assert_eq!(identity.email.as_deref(), Some("a@b.example"));
        add(&mut identity, "[USER]\nName=Later\n");
        assert_eq!(identity.name.as_deref(), Some("Later"));
    }
}
