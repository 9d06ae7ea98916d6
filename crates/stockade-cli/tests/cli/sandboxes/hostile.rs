//! What hostile names and arguments do to what is printed.

use serde_json::Value;

use super::Boxed;

/// Characters that a terminal obeys, or that nobody sees, and that JSON may hold as they are.
const HOSTILE: &str = "a\u{9b}2J\u{202e}b\u{ad}\u{e0041}\u{7f}";

#[test]
fn json_steers_no_terminal() {
    let boxed = Boxed::new();
    let script = format!("echo x > '{HOSTILE}'; echo y >> changed");
    let command = ["exec", "--json", "box", "--", "sh", "-c", &script];
    let (status, _, executed) = boxed.stockade(&command);
    assert_eq!(status, 0, "{executed}");
    let texts = [
        executed,
        boxed.good(&["diff", "box", "--json"]),
        boxed.good(&["diff", "box", "--json", "--names"]),
        boxed.good(&["events", "box"]),
        boxed.stockade(&["apply", "box", "--json", &format!("not-{HOSTILE}")]).2,
        boxed.good(&["apply", "box", "--json"]),
    ];
    for text in texts {
        assert!(!text.chars().any(|character| HOSTILE.contains(character) && !character.is_ascii_graphic()), "{text}");
        let escaped = "a\\u009b2J\\u202eb\\u00ad\\udb40\\udc41\\u007f";
        assert!(text.contains(escaped), "{text}");
        // A document, or one a line.
        let values: Vec<Value> = serde_json::Deserializer::from_str(&text).into_iter().map(Result::unwrap).collect();
        assert!(values.iter().any(|value| value.to_string().contains(HOSTILE)), "{text}");
    }
}
