//! One component of a rule, and how it matches one name.

use super::fold::fold;

/// One component of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Component {
    /// `**`: any number of names.
    Deep,
    /// Exactly this name.
    Literal(Box<[u8]>),
    /// A name with wildcards.
    Name(Box<[Token]>),
}

/// One part of a name with wildcards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// These bytes.
    Literal(Box<[u8]>),
    /// `?`
    AnyCharacter,
    /// `*`
    AnyRun,
    /// `[…]`
    Class(Class),
}

/// The characters of a `[…]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Class {
    negated: bool,
    ignore_case: bool,
    /// First and last character of each range.
    ranges: Box<[(char, char)]>,
}

impl Class {
    pub(super) fn new(negated: bool, ranges: Vec<(char, char)>) -> Self {
        Self { negated, ignore_case: false, ranges: ranges.into_boxed_slice() }
    }

    /// A byte that belongs to no character is in no class, and so in every negated one.
    fn matches(&self, character: Option<char>) -> bool {
        let within = |c: char| self.ranges.iter().any(|(from, to)| (*from..=*to).contains(&c));
        let found = character.is_some_and(|c| {
            within(c) || self.ignore_case && (c.to_uppercase().any(within) || c.to_lowercase().any(within))
        });
        found != self.negated
    }
}

impl Component {
    /// The same component for names that [`fold`] has gone over.
    pub(super) fn fold(&self) -> Self {
        match self {
            Self::Deep => Self::Deep,
            Self::Literal(bytes) => Self::Literal(fold(bytes).into()),
            Self::Name(tokens) => Self::Name(tokens.iter().map(Token::fold).collect()),
        }
    }

    /// Whether [`Component::fold`] gives another component.
    pub(super) fn changes_when_folded(&self) -> bool {
        match self {
            Self::Deep => false,
            Self::Literal(bytes) => *fold(bytes) != **bytes,
            Self::Name(tokens) => tokens.iter().any(|token| token.fold() != *token),
        }
    }

    /// Whether one name matches. `**` matches any.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Deep => true,
            Self::Literal(bytes) => **bytes == *name,
            Self::Name(tokens) => matches(tokens, name),
        }
    }
}

impl Token {
    fn fold(&self) -> Self {
        match self {
            Self::Literal(bytes) => Self::Literal(fold(bytes).into()),
            Self::Class(class) => Self::Class(Class { ignore_case: true, ..class.clone() }),
            Self::AnyCharacter | Self::AnyRun => self.clone(),
        }
    }

    /// The bytes that this part takes off the front of `name`; `None` where it does not match.
    fn takes(&self, name: &[u8]) -> Option<usize> {
        match self {
            Self::Literal(bytes) => name.starts_with(bytes).then_some(bytes.len()),
            Self::AnyRun => Some(0),
            Self::AnyCharacter if name.is_empty() => None,
            Self::AnyCharacter => Some(first_character(name).1),
            Self::Class(_) if name.is_empty() => None,
            Self::Class(class) => {
                let (character, length) = first_character(name);
                class.matches(character).then_some(length)
            }
        }
    }
}

/// Matches a whole name. Only the last `*` passed is ever tried again with a longer run: an earlier one could not lead to a
/// match that the later one misses. Hence at most `tokens * name` steps.
fn matches(tokens: &[Token], name: &[u8]) -> bool {
    if let Some(Token::Literal(end)) = tokens.last()
        && !name.ends_with(end)
    {
        return false;
    }
    let (mut token, mut at) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if token == tokens.len() && at == name.len() {
            return true;
        }
        let taken = tokens.get(token).and_then(|part| part.takes(&name[at..]));
        if let Some(length) = taken {
            if tokens[token] == Token::AnyRun {
                retry = Some((token, at));
            }
            token += 1;
            at += length;
            continue;
        }
        let Some((run, from)) = retry.filter(|(_, from)| *from < name.len()) else { return false };
        at = from + first_character(&name[from..]).1;
        token = run + 1;
        retry = Some((run, at));
    }
}

/// The first character of a name that is not empty, and its length; a byte that starts no valid character counts alone.
fn first_character(name: &[u8]) -> (Option<char>, usize) {
    let length = match name[0] {
        byte @ 0..0x80 => return (Some(char::from(byte)), 1),
        0xc2..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0..0xf5 => 4,
        _ => 1,
    };
    let text = name.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok());
    text.and_then(|text| text.chars().next()).map_or((None, 1), |character| (Some(character), character.len_utf8()))
}
