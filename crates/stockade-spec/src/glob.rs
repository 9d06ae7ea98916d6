//! Path rules: `**/.env`, `secrets/`, `deploy/hooks/**`.
//!
//! A rule is matched component by component, on bytes, so that names that are not Unicode are matched like any other:
//!
//! | text | matches |
//! |---|---|
//! | `*` | any run of characters within one component, also none, also a leading dot |
//! | `?` | one character (one byte where the name is not valid UTF-8) |
//! | `[a-z]`, `[!x]` | one character in, or not in, the class; `]` stands for itself in the first place |
//! | `**` | any number of components, also none; must be a whole component |
//!
//! A rule is anchored: `x` means `x` in the directory to which rules are relative, `**/x` means it anywhere below.
//! Whatever matches covers everything below it, so `secrets`, `secrets/` and `secrets/**` mean the same. Syntax of other
//! tools that means nothing here (`{a,b}`, a leading `!`, a backslash) is refused instead of being taken literally: such a
//! rule would look as if it protected something.

mod component;
mod error;
mod fold;
mod parse;
mod rules;

use std::path::Path;

pub use error::GlobError;
pub use rules::{Case, Cursor, MAX_RULES, Rules};

use component::Component;

/// Longest rule, in bytes.
pub const MAX_BYTES: usize = 4096;

/// Most components of one rule.
pub const MAX_COMPONENTS: usize = 64;

/// One path rule, ready to match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    text: String,
    absolute: bool,
    /// At least one; `Deep` is neither last nor next to another `Deep`.
    components: Box<[Component]>,
    /// The same with letter case folded; `None` where folding changes nothing.
    folded: Option<Box<[Component]>>,
}

impl Glob {
    /// Reads a rule.
    ///
    /// # Errors
    /// When the text is empty, longer than [`MAX_BYTES`], of more than [`MAX_COMPONENTS`] components, or holds something
    /// that has no meaning in a rule; see [`GlobError`].
    pub fn new(text: &str) -> Result<Self, GlobError> {
        let (absolute, components) = parse::parse(text)?;
        let folding_counts = components.iter().any(Component::changes_when_folded);
        let folded = folding_counts.then(|| components.iter().map(Component::fold).collect());
        Ok(Self { text: text.to_owned(), absolute, components, folded })
    }

    /// The rule as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the rule starts at the root of the file system; such a rule matches absolute paths only, any other relative
    /// ones only.
    #[must_use]
    pub const fn is_absolute(&self) -> bool {
        self.absolute
    }

    /// Whether the rule matches `path` or a directory above it.
    ///
    /// The path is taken as written: whoever asks has resolved links and `..` before. Takes time in proportion to the
    /// product of the lengths of both, never more.
    #[must_use]
    pub fn matches(&self, path: &Path) -> bool {
        let names = names(path);
        path.has_root() == self.absolute && advance(&self.components, names)
    }

    /// Like [`Self::matches`], but comparing names as file systems that ignore letter case do: `.Git` and `.g\u{200c}it` like
    /// `.git`, `con\u{fb01}g` like `config`.
    #[must_use]
    pub fn matches_folded(&self, path: &Path) -> bool {
        let names = names(path).map(fold::fold);
        path.has_root() == self.absolute && advance(self.components(Case::Folded), names)
    }

    fn components(&self, case: Case) -> &[Component] {
        match case {
            Case::Exact => &self.components,
            Case::Folded => self.folded.as_ref().unwrap_or(&self.components),
        }
    }
}

/// The components of a path, as bytes.
fn names(path: &Path) -> impl Iterator<Item = &[u8]> {
    let bytes = path.as_os_str().as_encoded_bytes();
    bytes.split(|byte| std::path::is_separator(char::from(*byte))).filter(|name| !matches!(*name, b"" | b"."))
}

/// Runs every way of matching at once: one bit for each component that may match the next name.
fn advance<N: AsRef<[u8]>>(components: &[Component], names: impl Iterator<Item = N>) -> bool {
    let mut active = start(components, 0);
    for name in names {
        let mut next = 0_u64;
        for (at, component) in components.iter().enumerate().filter(|(at, _)| active >> at & 1 == 1) {
            if matches!(component, Component::Deep) {
                next |= start(components, at);
            } else if component.matches(name.as_ref()) {
                if at + 1 == components.len() {
                    return true;
                }
                next |= start(components, at + 1);
            }
        }
        active = next;
        if active == 0 {
            return false;
        }
    }
    false
}

/// The bit of one component, and of the one after it where it is `**`, which may match no name at all.
fn start(components: &[Component], at: usize) -> u64 {
    let skip = matches!(components.get(at), Some(Component::Deep));
    1 << at | u64::from(skip) << 1 << at
}

#[cfg(test)]
mod tests;
