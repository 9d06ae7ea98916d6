//! Why a text is not a path rule.

use thiserror::Error;

use super::{MAX_BYTES, MAX_COMPONENTS, MAX_RULES};

/// Why a text is not a path rule. Each message quotes the rule and says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GlobError {
    /// No component at all.
    #[error("the path rule `{0}` names nothing; write a file or directory, or `**` for everything")]
    Empty(String),
    /// More than [`MAX_BYTES`].
    #[error("a path rule of {0} bytes is too long; at most {MAX_BYTES} are read")]
    TooLong(usize),
    /// More than [`MAX_COMPONENTS`].
    #[error("the path rule `{rule}` has {count} components; at most {MAX_COMPONENTS} are read")]
    TooDeep {
        /// The rule.
        rule: String,
        /// Its components.
        count: usize,
    },
    /// A NUL byte, which no path can hold.
    #[error("the path rule {0:?} holds a NUL byte, which no path can")]
    Nul(String),
    /// A component `..`.
    #[error("the path rule `{0}` holds `..`; write the path that is meant without it")]
    Parent(String),
    /// A `[` without its `]` in the same component.
    #[error("the path rule `{0}` opens a class with `[` and does not close it; write `[[]` for a literal `[`")]
    Unclosed(String),
    /// A range whose ends are the wrong way round.
    #[error("the path rule `{rule}` holds the range `{from}-{to}`, which is empty; write `{to}-{from}`")]
    EmptyRange {
        /// The rule.
        rule: String,
        /// Its first character.
        from: char,
        /// Its last character.
        to: char,
    },
    /// A `**` with something beside it in the same component.
    #[error("the path rule `{0}` has `**` as part of a name; write `*` within a name, or `**/` before it")]
    DeepInName(String),
    /// `{`, `}` or `\`.
    #[error(
        "the path rule `{rule}` holds `{found}`, which has no meaning here; write one rule for each alternative, or `[{found}]` for the character itself"
    )]
    Unsupported {
        /// The rule.
        rule: String,
        /// The character.
        found: char,
    },
    /// A leading `!`.
    #[error(
        "the path rule `{0}` starts with `!`; rules cannot take back what others cover: remove it (or write `?` for a name that starts so)"
    )]
    Negated(String),
    /// More than [`MAX_RULES`] in one set.
    #[error("{0} path rules are too many; at most {MAX_RULES} are read")]
    TooMany(usize),
}
