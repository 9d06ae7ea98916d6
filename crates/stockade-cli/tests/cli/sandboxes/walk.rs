//! The walk-through of `docs/SANDBOXES.md`: every command, with what it prints.

use crate::program::{User, outcome};

const PAGE: &str = include_str!("../../../../../docs/SANDBOXES.md");

/// A command of the page, and the lines that it prints.
struct Shown {
    command: String,
    printed: Vec<String>,
}

/// The commands in the page's `console` blocks, in order.
fn shown() -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    let mut inside = false;
    for line in PAGE.lines() {
        match line.strip_prefix("```") {
            Some(kind) => inside = !inside && kind == "console",
            None if !inside => {}
            None => match (line.strip_prefix("$ "), all.last_mut()) {
                (Some(command), _) => all.push(Shown { command: command.to_owned(), printed: Vec::new() }),
                (None, Some(last)) => last.printed.push(line.to_owned()),
                (None, None) => panic!("output before the first command: {line}"),
            },
        }
    }
    all
}

/// Whether a line is as the page has it, where an ellipsis stands for any text.
fn is_like(line: &str, shown: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn the_walk_through_prints_what_it_shows() {
    let all = shown();
    assert!(all.len() > 15, "the page has lost its commands");
    let user = User::new();
    user.write("workspace/calc.py", "def add(a, b): return a + b\n");
    user.write("workspace/test_calc.py", "from calc import add\nassert add(1, 2) == 3\nprint('ok')\n");
    for Shown { command, printed } in all {
        let (status, stdout, stderr) = outcome(&mut user.shell(&command));
        assert_eq!(status, 0, "{command}: {stdout}{stderr}");
        let lines: Vec<&str> = stdout.lines().collect();
        let same = lines.len() == printed.len() && lines.iter().zip(&printed).all(|(line, shown)| is_like(line, shown));
        assert!(same, "{command} printed {lines:?}, and the page shows {printed:?}");
    }
}

#[test]
fn an_ellipsis_stands_for_any_text() {
    for (line, shown, expected) in [
        ("a b c", "a … c", true),
        ("a b c", "a …", true),
        ("a b c", "a b c", true),
        ("a b c", "a … d", false),
        ("a", "b", false),
    ] {
        assert_eq!(is_like(line, shown), expected, "{line} {shown}");
    }
}
