//! Finds what may be a path, or a host's name, in a line of error text.

/// Pairs of quotation marks that programs put around names.
const QUOTES: [(char, char); 4] = [('\'', '\''), ('"', '"'), ('`', '\''), ('\u{2018}', '\u{2019}')];

/// Characters that stand around a bare path in a sentence.
const PUNCTUATION: [char; 10] = [':', ';', ',', '(', ')', '[', ']', '\'', '"', '`'];

/// What comes before the name of a host that cannot be found: curl, git and wget; ssh; Node.js; Python's urllib3.
const BEFORE_HOST: [&str; 6] =
    ["resolve host: ", "resolve hostname ", "resolve host address ", "EAI_AGAIN ", "ENOTFOUND ", "host='"];

/// Longest name of a host, in bytes (RFC 1035, section 2.3.4).
const MAX_HOST: usize = 253;

/// Texts of the line that may be paths, most certain first: quoted ones, the parts between `: `, and words that hold a
/// slash. Parts and words have to look like paths; quoted text may be a bare name.
pub(super) fn paths(line: &str) -> impl Iterator<Item = &str> {
    let parts = line.split(": ").map(str::trim).filter(|part| looks_like_path(part));
    let words = line.split_whitespace().map(|word| word.trim_matches(PUNCTUATION)).filter(|word| looks_like_path(word));
    QUOTES.into_iter().flat_map(|marks| quoted(line, marks)).chain(parts).chain(words)
}

/// The texts within a pair of quotation marks.
fn quoted(line: &str, (open, close): (char, char)) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(open)?;
        let (text, after) = after.split_once(close)?;
        rest = after;
        Some(text)
    })
    .filter(|text| !text.is_empty() && !text.contains("://"))
}

fn looks_like_path(text: &str) -> bool {
    text.contains('/') && !text.contains("://") && !text.starts_with("//")
}

/// The name of a host that the line says cannot be found. It has to be a domain name of two labels or more.
pub(super) fn unresolved_host(line: &str) -> Option<&str> {
    let after = BEFORE_HOST.iter().find_map(|before| line.split_once(before).map(|(_, after)| after))?;
    let end = after.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '.' | '_')).unwrap_or(after.len());
    let host = after[..end].trim_end_matches('.');
    let label_is_right = |label: &str| !label.is_empty() && label.len() < 64 && !label.starts_with('-');
    (host.contains('.') && host.len() <= MAX_HOST && host.split('.').all(label_is_right)).then_some(host)
}
