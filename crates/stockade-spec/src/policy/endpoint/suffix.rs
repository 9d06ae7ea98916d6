//! Suffixes below which unrelated owners have names.
//!
//! A table of our own, and not the Public Suffix List: as a library that is nearly a megabyte of code, whose relocations
//! every start would pay for, and what it knows besides this is in little use.

/// Countries and labels; see the file.
const SUFFIXES: &str = include_str!("../../../data/suffixes.txt");

/// Whether a registry lets anybody have a name right below `suffix`: a single label, or one of the table.
///
/// Suffixes of companies that give names to their customers are not among them: whoever allows everything below one is taken
/// to know whose names those are.
pub(super) fn is_public(suffix: &str) -> bool {
    let Some((label, country)) = suffix.split_once('.') else { return true };
    let is_country = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_lowercase());
    is_country && lines().any(|(of, labels)| (of == "*" || of == country) && labels.split(' ').any(|own| own == label))
}

fn lines() -> impl Iterator<Item = (&'static str, &'static str)> {
    SUFFIXES.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_of_registries_are_public_and_those_of_owners_are_not() {
        for (suffix, expected) in [
            ("com", true),
            ("internal", true),
            ("co.uk", true),
            ("com.br", true),
            ("tokyo.jp", true),
            ("example.org", false),
            ("example.co.uk", false),
            ("co.uk.example", false),
            ("github.io", false),
            ("web.de", false),
            ("id.me", false),
            ("co.example", false),
        ] {
            assert_eq!(is_public(suffix), expected, "{suffix}");
        }
    }

    #[test]
    fn every_line_of_the_table_is_a_country_with_labels() {
        let label = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        for (country, labels) in lines() {
            assert!(country == "*" || (country.len() == 2 && label(country)), "{country}");
            assert!(labels.split(' ').all(label), "{country}: {labels}");
        }
        assert!(lines().count() > 40);
    }
}
