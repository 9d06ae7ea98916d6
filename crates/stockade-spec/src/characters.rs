//! Which characters of a foreign text are not shown as they are.

/// Whether a terminal does something else with a character than to show it in its place, or a reader cannot see it: control
/// characters, line and paragraph separators, the controls of the Unicode bidirectional algorithm (annex 9), and characters
/// without a width or without ink, by which two names that look equal could differ.
#[must_use]
pub fn misleads(character: char) -> bool {
    let steers = matches!(
        character,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    );
    // Soft hyphens, joiners, fillers, separators, selectors of variants, and tags.
    let is_invisible = matches!(
        character,
        '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}'
    );
    character.is_control() || steers || is_invisible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_in_its_place_does_not_mislead() {
        let seen = "plain/p\u{e4}th \u{6587} \u{300}\u{1f600}\u{5d0}";
        assert!(!seen.chars().any(misleads));
        let steering = "\0\t\n\u{1b}\u{7f}\u{85}\u{9b}\u{61c}\u{200b}\u{200e}\u{2028}\u{202e}\u{2066}\u{feff}";
        let invisible =
            "\u{ad}\u{34f}\u{115f}\u{1160}\u{17b4}\u{17b5}\u{180b}\u{180f}\u{3164}\u{ffa0}\u{fe0f}\u{e0001}\u{e0fff}";
        assert!(steering.chars().chain(invisible.chars()).all(misleads));
    }
}
