//! Quantities with their text forms: `512MB`, `4GiB`, `10m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A number of bytes. Text form: a whole number and a unit, decimal (`kB`, `MB`, `GB`, `TB`) or binary (`KiB`, `MiB`,
/// `GiB`, `TiB`); a bare number means bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByteSize(pub u64);

/// A span of time of whole milliseconds. Text form: `90s`, `10m`, `2h`, `1h30m`, `500ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span {
    /// Milliseconds.
    pub milliseconds: u64,
}

/// Why a text is not a quantity.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnitError {
    /// No digits where a number is due.
    #[error("`{0}` does not start with a whole number")]
    NoNumber(String),
    /// A unit that is not known.
    #[error("`{unit}` is not a unit; use one of {expected}")]
    UnknownUnit {
        /// The text found.
        unit: String,
        /// What is accepted.
        expected: &'static str,
    },
    /// More than 64 bits can hold.
    #[error("`{0}` is too large")]
    TooLarge(String),
}

const SIZE_UNITS: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];
const SIZE_NAMES: &str = "B, kB, MB, GB, TB, KiB, MiB, GiB, TiB";
const SPAN_UNITS: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SPAN_NAMES: &str = "ms, s, m, h, d";

/// Splits the leading digits off.
fn number<'t>(text: &'t str, whole: &str) -> Result<(u64, &'t str), UnitError> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() {
        return Err(UnitError::NoNumber(whole.to_owned()));
    }
    let value = digits.parse().map_err(|_| UnitError::TooLarge(whole.to_owned()))?;
    Ok((value, rest))
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (value, unit) = number(text.trim(), text)?;
        let unit = unit.trim_start();
        let factor = if unit.is_empty() {
            1
        } else {
            let known = SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
            known.ok_or_else(|| UnitError::UnknownUnit { unit: unit.to_owned(), expected: SIZE_NAMES })?.1
        };
        value.checked_mul(factor).map(Self).ok_or_else(|| UnitError::TooLarge(text.to_owned()))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |factor: u64| self.0 != 0 && self.0.is_multiple_of(factor);
        let (name, factor) = SIZE_UNITS.iter().find(|(_, factor)| fits(*factor)).unwrap_or(&("B", 1));
        write!(f, "{}{name}", self.0 / factor)
    }
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let mut rest = text.trim();
        let mut total: u64 = 0;
        loop {
            let (value, after) = number(rest, text)?;
            let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
            let (unit, next) = after.split_at(end);
            let known = SPAN_UNITS.iter().find(|(name, _)| *name == unit.trim());
            let factor =
                known.ok_or_else(|| UnitError::UnknownUnit { unit: unit.trim().to_owned(), expected: SPAN_NAMES })?.1;
            total = value
                .checked_mul(factor)
                .and_then(|part| total.checked_add(part))
                .ok_or_else(|| UnitError::TooLarge(text.to_owned()))?;
            if next.is_empty() {
                return Ok(Self { milliseconds: total });
            }
            rest = next;
        }
    }
}

impl Span {
    /// The same span as the standard library's type.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.milliseconds)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |factor: u64| self.milliseconds != 0 && self.milliseconds.is_multiple_of(factor);
        let (name, factor) = SPAN_UNITS.iter().rev().find(|(_, factor)| fits(*factor)).unwrap_or(&("s", 1_000));
        write!(f, "{}{name}", self.milliseconds / factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_and_print() {
        for (text, bytes, printed) in [
            ("0", 0, "0B"),
            ("512", 512, "512B"),
            ("1KiB", 1024, "1KiB"),
            ("4 GiB", 4 << 30, "4GiB"),
            ("50MB", 50_000_000, "50MB"),
            ("2gib", 2 << 30, "2GiB"),
        ] {
            let size: ByteSize = text.parse().expect(text);
            assert_eq!((size.0, size.to_string().as_str()), (bytes, printed));
        }
    }

    #[test]
    fn spans_read_and_print() {
        for (text, milliseconds, printed) in
            [("500ms", 500, "500ms"), ("90s", 90_000, "90s"), ("1h30m", 5_400_000, "90m"), ("0s", 0, "0s")]
        {
            let span: Span = text.parse().expect(text);
            assert_eq!((span.milliseconds, span.to_string().as_str()), (milliseconds, printed));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "GiB", "-1", "1.5GiB", "1XB", "99999999999999999999", "20000000TiB"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
        for text in ["", "10", "m", "1m2", "-1s", "9999999999999999999d"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
