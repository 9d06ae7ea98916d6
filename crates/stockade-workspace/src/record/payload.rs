//! What an event is about, as text that fits a line.

use serde_json::Value;

use super::line::{MAX_LINE, OVERHEAD};

/// The text of a payload that fits a line.
#[derive(Debug)]
pub(super) struct Payload {
    /// JSON.
    pub(super) text: String,
    /// How long the text was that this is the beginning of.
    pub(super) cut: Option<u64>,
}

impl Payload {
    pub(super) fn new(value: &Value) -> Self {
        let text = value.to_string();
        // What could not be read again, since it is nested too deeply, is kept as text too.
        if text.len() <= MAX_LINE - OVERHEAD && is_json(text.as_bytes()) {
            return Self { text, cut: None };
        }
        let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
        Self { text: beginning(&text), cut: Some(bytes) }
    }
}

/// How deep lists and objects may lie in each other: less than readers of JSON commonly take, such as 128 of serde_json.
const MAX_DEPTH: usize = 100;

/// Whether it is JSON that can be read.
pub(super) fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok() && depth(text) <= MAX_DEPTH
}

/// How deep lists and objects lie in each other.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The beginning of a text as a JSON string that fits a line.
fn beginning(text: &str) -> String {
    let mut left = MAX_LINE - OVERHEAD - 2;
    let written = |character: char| match character {
        '"' | '\\' => 2,
        // Those that have no short form take six bytes, the others two.
        character if character < ' ' => 6,
        character => character.len_utf8(),
    };
    let fits = |&(_, character): &(usize, char)| {
        let room = left.checked_sub(written(character));
        left = room.unwrap_or(0);
        room.is_some()
    };
    let end = text.char_indices().take_while(fits).last().map_or(0, |(at, character)| at + character.len_utf8());
    Value::from(&text[..end]).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_brackets_outside_of_texts_count() {
        for (json, expected) in [("1", 0), ("[]", 1), (r#"{"a":[1,{}],"b":[]}"#, 3), (r#"["[[[","\"[[","\\",[]]"#, 2)] {
            assert_eq!(depth(json.as_bytes()), expected, "{json}");
        }
        let nested = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
        assert!(is_json(nested(MAX_DEPTH).as_bytes()) && !is_json(nested(MAX_DEPTH + 1).as_bytes()));
        assert!(serde_json::from_str::<Value>(&nested(MAX_DEPTH)).is_ok());
    }
}
