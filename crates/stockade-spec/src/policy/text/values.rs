//! Reads single values of a document: their types, and then what they must be like.

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::MAX_ENTRIES;
use super::problems::Problems;
use crate::policy::checks;
use crate::policy::diagnostic::{Fault, quoted};
use crate::policy::layer::{Field, List, Located};
use crate::units::{ByteSize, Span, UnitError};

pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// What is wrong with a value of another type.
fn wrong_type(wanted: &str, example: &str, value: &DeValue<'_>) -> Fault {
    Fault::new(format!("expected {wanted}, found {}", kind(value)), format!("write it like this: `{example}`"))
}

const fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// One value, read by `read`.
pub(super) fn field<T>(
    value: &Value<'_>,
    problems: &mut Problems<'_>,
    read: impl FnOnce(&DeValue<'_>) -> Result<T, Fault>,
) -> Field<T> {
    let read = read(value.get_ref());
    problems.accept(value.span(), read).map(|read| Located { value: read, span: value.span() })
}

/// A list, each entry read by `read`.
pub(super) fn list<T>(
    value: &Value<'_>,
    problems: &mut Problems<'_>,
    read: impl Fn(&DeValue<'_>) -> Result<T, Fault>,
) -> List<T> {
    let DeValue::Array(entries) = value.get_ref() else {
        problems.report(value.span(), wrong_type("a list", "[\"…\", \"…\"]", value.get_ref()));
        return None;
    };
    if entries.len() > MAX_ENTRIES {
        let message = format!("a list of {} entries is too long", entries.len());
        problems.report(value.span(), Fault::new(message, format!("at most {MAX_ENTRIES} are read")));
        return None;
    }
    Some(entries.iter().filter_map(|entry| field(entry, problems, &read)).collect())
}

/// A table inside a section.
pub(super) fn table<'v, 'i>(
    value: &'v Value<'i>,
    problems: &mut Problems<'_>,
    example: &str,
) -> Option<&'v DeTable<'i>> {
    let DeValue::Table(table) = value.get_ref() else {
        problems.report(value.span(), wrong_type("a table", example, value.get_ref()));
        return None;
    };
    Some(table)
}

/// Text, checked by `check`.
pub(super) fn text<T>(check: impl Fn(&str) -> Result<T, Fault>) -> impl Fn(&DeValue<'_>) -> Result<T, Fault> {
    move |value| match value {
        DeValue::String(text) => check(text),
        other => Err(wrong_type("text", "\"…\"", other)),
    }
}

pub(super) fn boolean(value: &DeValue<'_>) -> Result<bool, Fault> {
    match value {
        DeValue::Boolean(boolean) => Ok(*boolean),
        other => Err(wrong_type("true or false", "true", other)),
    }
}

/// A number of bytes: text with a unit, or a whole number.
pub(super) fn size(
    check: impl Fn(ByteSize) -> Result<ByteSize, Fault>,
) -> impl Fn(&DeValue<'_>) -> Result<ByteSize, Fault> {
    move |value| match value {
        DeValue::String(text) => check(text.parse().map_err(|error| unit(&error, "512MiB"))?),
        DeValue::Integer(number) => check(ByteSize(whole(number)?)),
        other => Err(wrong_type("a size", "\"512MiB\"", other)),
    }
}

/// A span of time: text with units.
pub(super) fn span(check: impl Fn(Span) -> Result<Span, Fault>) -> impl Fn(&DeValue<'_>) -> Result<Span, Fault> {
    move |value| match value {
        DeValue::String(text) => check(text.parse().map_err(|error| unit(&error, "10m"))?),
        other => Err(wrong_type("a span of time with its unit", "\"10m\"", other)),
    }
}

fn unit(error: &UnitError, example: &str) -> Fault {
    Fault::new(error.to_string(), format!("write a number and its unit, like `\"{example}\"`"))
}

/// A count.
pub(super) fn count(check: impl Fn(u32) -> Result<u32, Fault>) -> impl Fn(&DeValue<'_>) -> Result<u32, Fault> {
    move |value| match value {
        DeValue::Integer(number) => {
            let number = whole(number)?;
            let too_large = |_| Fault::new(format!("{number} is too large"), "write a smaller number");
            check(u32::try_from(number).map_err(too_large)?)
        }
        other => Err(wrong_type("a whole number", "512", other)),
    }
}

/// Processors: a whole or decimal number.
pub(super) fn processors(value: &DeValue<'_>) -> Result<u32, Fault> {
    match value {
        DeValue::Integer(number) => checks::cpus(&whole(number)?.to_string()),
        DeValue::Float(number) => checks::cpus(number.as_str()),
        other => Err(wrong_type("a number of processors", "2", other)),
    }
}

/// A port: text, as in endpoint rules, or a whole number.
pub(super) fn port(value: &DeValue<'_>) -> Result<u16, Fault> {
    match value {
        DeValue::String(text) => checks::published_port(text),
        DeValue::Integer(number) => checks::published_port(&whole(number)?.to_string()),
        other => Err(wrong_type("a port", "\"8080\"", other)),
    }
}

/// A whole number that is not negative, in any of TOML's notations.
pub(super) fn whole(number: &DeInteger<'_>) -> Result<u64, Fault> {
    let digits = number.as_str();
    u64::from_str_radix(digits, number.radix()).map_err(|_| {
        Fault::new(
            format!("{} is no number that can be used here", quoted(digits)),
            "write a whole number, not negative",
        )
    })
}
