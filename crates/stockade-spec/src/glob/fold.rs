//! Folds a name to the form in which file systems that ignore letter case compare it.
//!
//! Such file systems do more than lower-case ASCII. ext4 and f2fs with `casefold`, APFS and HFS+ fold by Unicode's
//! `CaseFolding.txt`, where the Kelvin sign is a `k`, the long s an `s` and the ligature U+FB01 an `fi`; HFS+, and ext4 by
//! `fs/unicode` of the kernel, also skip code points that Unicode calls default-ignorable (git's CVE-2014-9390 was
//! `.g\u{200c}it`). Accents are compared as they are written: no rule needs them composed or taken apart.

use std::borrow::Cow;

/// The folded name. Bytes that are not UTF-8 stay as they are.
pub(super) fn fold(name: &[u8]) -> Cow<'_, [u8]> {
    if name.is_ascii() {
        return if name.iter().any(u8::is_ascii_uppercase) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        };
    }
    let mut folded = Vec::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars().filter(|character| !is_ignorable(*character)) {
            push(character, &mut folded);
        }
        folded.extend_from_slice(chunk.invalid());
    }
    Cow::Owned(folded)
}

fn push(character: char, folded: &mut Vec<u8>) {
    let text = match character {
        '\u{17f}' => "s",
        '\u{df}' | '\u{1e9e}' => "ss",
        '\u{fb00}' => "ff",
        '\u{fb01}' => "fi",
        '\u{fb02}' => "fl",
        '\u{fb03}' => "ffi",
        '\u{fb04}' => "ffl",
        '\u{fb05}' | '\u{fb06}' => "st",
        _ => {
            let mut buffer = [0; 4];
            for lower in character.to_lowercase() {
                folded.extend_from_slice(lower.encode_utf8(&mut buffer).as_bytes());
            }
            return;
        }
    };
    folded.extend_from_slice(text.as_bytes());
}

/// Unicode's `Default_Ignorable_Code_Point`.
fn is_ignorable(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}
