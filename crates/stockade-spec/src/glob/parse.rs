//! Reads the text of a rule.

use super::component::{Class, Component, Token};
use super::{GlobError, MAX_BYTES, MAX_COMPONENTS};

/// The rule's components, and whether it starts at the root.
pub(super) fn parse(text: &str) -> Result<(bool, Box<[Component]>), GlobError> {
    if text.len() > MAX_BYTES {
        return Err(GlobError::TooLong(text.len()));
    }
    if text.contains('\0') {
        return Err(GlobError::Nul(text.to_owned()));
    }
    if text.starts_with('!') {
        return Err(GlobError::Negated(text.to_owned()));
    }
    let mut components: Vec<Component> = Vec::with_capacity(text.matches('/').count() + 1);
    for name in text.split('/').filter(|name| !matches!(*name, "" | ".")) {
        let component = component(name, text)?;
        if component != Component::Deep || components.last() != Some(&Component::Deep) {
            components.push(component);
        }
    }
    drop_trailing_deep(&mut components);
    match components.len() {
        0 => Err(GlobError::Empty(text.to_owned())),
        count if count > MAX_COMPONENTS => Err(GlobError::TooDeep { rule: text.to_owned(), count }),
        _ => Ok((text.starts_with('/'), components.into_boxed_slice())),
    }
}

/// Takes the last `**` off, since a match covers what is below it; a lone `**` means every name.
fn drop_trailing_deep(components: &mut Vec<Component>) {
    if components.last() == Some(&Component::Deep) {
        if components.len() == 1 {
            components.push(Component::Name(Box::new([Token::AnyRun])));
        } else {
            components.pop();
        }
    }
}

fn component(name: &str, rule: &str) -> Result<Component, GlobError> {
    match name {
        ".." => return Err(GlobError::Parent(rule.to_owned())),
        "**" => return Ok(Component::Deep),
        _ => {}
    }
    // Most names are plain, and every run reads many.
    if !name.contains(['*', '?', '[', '{', '}', '\\']) {
        return Ok(Component::Literal(name.as_bytes().into()));
    }
    let mut tokens = Vec::new();
    let mut literal = String::new();
    let mut rest = name.chars();
    while let Some(character) = rest.next() {
        let token = match character {
            '*' if rest.as_str().starts_with('*') => return Err(GlobError::DeepInName(rule.to_owned())),
            '*' => Token::AnyRun,
            '?' => Token::AnyCharacter,
            '[' => {
                let (class, after) = class(rest.as_str(), rule)?;
                rest = after.chars();
                Token::Class(class)
            }
            '{' | '}' | '\\' => return Err(GlobError::Unsupported { rule: rule.to_owned(), found: character }),
            _ => {
                literal.push(character);
                continue;
            }
        };
        flush(&mut literal, &mut tokens);
        tokens.push(token);
    }
    if tokens.is_empty() {
        return Ok(Component::Literal(literal.into_bytes().into_boxed_slice()));
    }
    flush(&mut literal, &mut tokens);
    Ok(Component::Name(tokens.into_boxed_slice()))
}

fn flush(literal: &mut String, tokens: &mut Vec<Token>) {
    if !literal.is_empty() {
        tokens.push(Token::Literal(std::mem::take(literal).into_bytes().into_boxed_slice()));
    }
}

/// Reads a class after its `[`; gives what follows its `]`.
fn class<'t>(text: &'t str, rule: &str) -> Result<(Class, &'t str), GlobError> {
    let body = text.strip_prefix(['!', '^']);
    let negated = body.is_some();
    let mut rest = body.unwrap_or(text).chars();
    let mut ranges = Vec::new();
    loop {
        let from = match rest.next() {
            Some(']') if !ranges.is_empty() => break,
            Some(from) => from,
            None => return Err(GlobError::Unclosed(rule.to_owned())),
        };
        let mut ahead = rest.clone();
        let to = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(to)) if to != ']' => {
                rest = ahead;
                to
            }
            _ => from,
        };
        if to < from {
            return Err(GlobError::EmptyRange { rule: rule.to_owned(), from, to });
        }
        ranges.push((from, to));
    }
    Ok((Class::new(negated, ranges), rest.as_str()))
}
