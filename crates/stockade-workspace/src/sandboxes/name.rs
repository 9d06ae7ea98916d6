//! Names of sandboxes, which are names of folders as well, and labels of checkpoints.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::SandboxError;

/// Longest name.
const MAX_NAME: usize = 64;

/// Longest label, in bytes.
const MAX_LABEL: usize = 200;

/// Room for `-` and a number at the end of a name that is made up.
const MAX_NUMBER: usize = 11;

const fn is_letter_or_digit(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// Whether the text can be the name of a sandbox. None begins with a dot, so that folders which do are never sandboxes.
fn is_name(text: &str) -> bool {
    let inner = |byte: u8| is_letter_or_digit(byte) || matches!(byte, b'.' | b'_' | b'-');
    text.len() <= MAX_NAME && text.bytes().next().is_some_and(is_letter_or_digit) && text.bytes().all(inner)
}

/// Checks a name that somebody gave.
pub(super) fn check(text: &str) -> Result<(), SandboxError> {
    if is_name(text) { Ok(()) } else { Err(SandboxError::Name(text.to_owned())) }
}

/// What names that are made up for sandboxes of a workspace begin with: the workspace's own name, as far as it can be one.
pub(super) fn stem(workspace: &Path) -> String {
    let name = workspace.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let mut stem = String::new();
    for letter in
        name.chars().map(|letter| if letter.is_ascii() && is_letter_or_digit(letter as u8) { letter } else { '-' })
    {
        if letter != '-' || !(stem.is_empty() || stem.ends_with('-')) {
            stem.push(letter);
        }
    }
    stem.truncate(MAX_NAME - MAX_NUMBER);
    let stem = stem.trim_end_matches('-');
    if stem.is_empty() { "sandbox".to_owned() } else { stem.to_owned() }
}

/// What somebody calls a checkpoint: one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label(String);

impl Label {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Label {
    type Err = SandboxError;

    fn from_str(text: &str) -> Result<Self, SandboxError> {
        let is_label = !text.trim().is_empty() && text.len() <= MAX_LABEL && !text.contains(char::is_control);
        if is_label { Ok(Self(text.to_owned())) } else { Err(SandboxError::Label(text.to_owned())) }
    }
}

impl TryFrom<String> for Label {
    type Error = SandboxError;

    fn try_from(text: String) -> Result<Self, SandboxError> {
        text.parse()
    }
}

impl From<Label> for String {
    fn from(label: Label) -> Self {
        label.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_contract() {
        for name in ["a", "0", "project-1", "a.b_c-d", &"x".repeat(64)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".", "..", ".a", "-a", "_a", "A", "a/b", "a b", "a\n", "ä", &"x".repeat(65)] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn every_workspace_gives_a_stem_that_is_a_name() {
        for (path, expected) in [
            ("/home/ann/project", "project"),
            ("/home/ann/My Project (2)", "my-project-2"),
            ("/srv/.dotfiles", "dotfiles"),
            ("/srv/Äpfel", "pfel"),
            ("/srv/---", "sandbox"),
            ("/", "sandbox"),
        ] {
            let stem = stem(path.as_ref());
            assert_eq!(stem, expected, "{path}");
            assert!(is_name(&format!("{stem}-{}", u32::MAX)), "{path}");
        }
        let long = stem(Path::new("/").join("y".repeat(255)).as_path());
        assert!(is_name(&format!("{long}-{}", u32::MAX)));
    }

    #[test]
    fn labels_are_single_lines() {
        assert_eq!("before the fix".parse::<Label>().expect("a label").as_str(), "before the fix");
        for wrong in ["", "  ", "a\nb", "a\u{1b}[31m", &"x".repeat(201)] {
            assert!(wrong.parse::<Label>().is_err(), "{wrong:?}");
        }
    }
}
