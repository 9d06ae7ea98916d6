//! Reads the values of options. Every message names what is accepted.

use stockade::report::Protection;
use stockade::request::Trace;
use stockade::units::{ByteSize, Span, UnitError};
use stockade::{Endpoint, NoEndpoint, Tier};

/// `--env NAME` or `--env NAME=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Variable {
    /// Taken over from the caller.
    Pass(String),
    /// Set.
    Set(String, String),
}

pub(super) fn variable(text: &str) -> Result<Variable, String> {
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    if name.is_empty() {
        return Err("a variable needs a name: NAME or NAME=VALUE".to_owned());
    }
    Ok(match value {
        Some(value) => Variable::Set(name.to_owned(), value.to_owned()),
        None => Variable::Pass(name.to_owned()),
    })
}

pub(super) fn endpoint(text: &str) -> Result<Endpoint, NoEndpoint> {
    text.parse()
}

pub(super) fn size(text: &str) -> Result<ByteSize, UnitError> {
    text.parse()
}

pub(super) fn span(text: &str) -> Result<Span, UnitError> {
    text.parse()
}

/// Thousandths of a processor from a decimal number, without floating point: `2`, `0.5`, `1.25`.
pub(super) fn milli_cpus(text: &str) -> Result<u32, String> {
    let wrong = || format!("`{text}` is not a number of processors; write 2 or 0.5, with at most three decimals");
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 3 {
        return Err(wrong());
    }
    let whole: u32 = whole.parse().map_err(|_| wrong())?;
    let thousandths: u32 = format!("{decimals:0<3}").parse().map_err(|_| wrong())?;
    let milli = whole.checked_mul(1_000).and_then(|milli| milli.checked_add(thousandths)).ok_or_else(wrong)?;
    if milli == 0 {
        return Err("nothing runs on 0 processors; the least is 0.001".to_owned());
    }
    Ok(milli)
}

pub(super) fn isolation(text: &str) -> Result<Tier, String> {
    const TIERS: &[Tier] = &[Tier::Namespaces, Tier::Landlock];
    let known = TIERS.iter().copied().find(|tier| tier.name() == text);
    known.ok_or_else(|| format!("the tiers are {}", names(TIERS.iter().map(|tier| tier.name()))))
}

pub(super) fn protection(text: &str) -> Result<Protection, String> {
    let known = Protection::from_name(text);
    known.ok_or_else(|| format!("the protections are {}", names(Protection::ALL.iter().map(|p| p.name()))))
}

pub(super) fn trace(text: &str) -> Result<Trace, String> {
    match text {
        "writes" => Ok(Trace::Writes),
        "all" => Ok(Trace::All),
        _ => Err("write --trace, --trace=writes or --trace=all".to_owned()),
    }
}

fn names<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_exact_decimals() {
        for (text, milli) in [("2", 2_000), ("0.5", 500), ("1.25", 1_250), ("0.001", 1), ("16.0", 16_000)] {
            assert_eq!(milli_cpus(text), Ok(milli), "{text}");
        }
        for text in ["", "0", "0.0", "-1", "+1", "1.", ".5", "1.2345", "1e3", "two", "4294968", "99999999999"] {
            assert!(milli_cpus(text).is_err(), "{text}");
        }
    }

    #[test]
    fn variables_split_at_the_first_equals_sign() {
        assert_eq!(variable("CI"), Ok(Variable::Pass("CI".into())));
        assert_eq!(variable("A=b=c"), Ok(Variable::Set("A".into(), "b=c".into())));
        assert_eq!(variable("A="), Ok(Variable::Set("A".into(), String::new())));
        assert!(variable("=x").is_err() && variable("").is_err());
    }

    #[test]
    fn names_are_listed_when_one_is_wrong() {
        assert!(isolation("vm").is_err_and(|message| message.contains("namespaces, landlock")));
        assert!(protection("all").is_err_and(|message| message.contains("process-visibility")));
        assert_eq!(protection("caches"), Ok(Protection::Caches));
    }
}
