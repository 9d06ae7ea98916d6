//! Suffixes below which unrelated owners have names.

/// Whether a registry lets anybody have a name right below `suffix`: a single label, or one that the Public Suffix List
/// (<https://publicsuffix.org>) has in its part of the registries. Suffixes of companies that give names to their customers
/// are not among them: whoever allows `*.githubusercontent.com` is taken to know whose names those are.
#[cfg(feature = "public-suffixes")]
pub(super) fn is_public(suffix: &str) -> bool {
    let by_registry = |name: &str| {
        let found = psl::suffix(name.as_bytes());
        found.is_some_and(|found| found.typ() == Some(psl::Type::Icann) && found.as_bytes() == name.as_bytes())
    };
    // Of some suffixes the list says that every name right below them is one.
    !suffix.contains('.') || by_registry(suffix) || by_registry(&format!("0.{suffix}"))
}

/// Whether `suffix` is a single label, which is all that can be told without the Public Suffix List.
#[cfg(not(feature = "public-suffixes"))]
pub(super) fn is_public(suffix: &str) -> bool {
    !suffix.contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_label_is_public() {
        assert!(is_public("com") && is_public("internal") && !is_public("example.org"));
    }

    #[cfg(feature = "public-suffixes")]
    #[test]
    fn suffixes_of_registries_are_public_and_those_of_companies_are_not() {
        for (suffix, expected) in [
            ("co.uk", true),
            ("kawasaki.jp", true),
            ("city.kawasaki.jp", false),
            ("x.kawasaki.jp", true),
            ("example.co.uk", false),
            ("github.io", false),
            ("corp.internal", false),
        ] {
            assert_eq!(is_public(suffix), expected, "{suffix}");
        }
    }
}
