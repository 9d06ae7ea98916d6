//! Finds the name that was probably meant.

/// Longest text that is compared; no name is near it.
const MAX_LENGTH: usize = 40;

/// The candidate that differs least, where at most a third of it differs; `_` and `-` and letter case are alike.
pub(super) fn nearest<'c>(text: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    if text.len() > MAX_LENGTH {
        return None;
    }
    let text = folded(text);
    let distances = candidates.map(|candidate| (distance(&text, &folded(candidate)), candidate));
    let (least, nearest) = distances.min_by_key(|(distance, _)| *distance)?;
    (least <= nearest.len().div_ceil(3)).then_some(nearest)
}

/// The names with commas between them.
pub(super) fn listed<'c>(names: impl Iterator<Item = &'c str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn folded(text: &str) -> Vec<char> {
    text.chars().map(|c| if c == '_' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// Edits between two short texts: insertions, deletions and substitutions (Wagner and Fischer).
fn distance(left: &[char], right: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_their_name_and_strangers_do_not() {
        let names = ["filesystem", "network", "limits", "accept_degraded"];
        for (text, expected) in [
            ("filesytem", Some("filesystem")),
            ("Network", Some("network")),
            ("limit", Some("limits")),
            ("accept-degraded", Some("accept_degraded")),
            ("xyz", None),
            ("", None),
        ] {
            assert_eq!(nearest(text, names.into_iter()), expected, "{text}");
        }
        assert_eq!(nearest(&"limits".repeat(1_000), names.into_iter()), None);
    }
}
