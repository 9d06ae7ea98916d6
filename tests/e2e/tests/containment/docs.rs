//! Holds `docs/ESCAPES.md` to the attacks.

use std::fs;

use e2e::escapes::{GROUPS, page};
use e2e::families;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ESCAPES.md");
/// The page as it was when this was compiled: the suite also runs on machines that have no repository.
const TEXT: &str = include_str!("../../../../docs/ESCAPES.md");

/// What is wrong with the page; with `UPDATE_GOLDEN` set it is written anew.
pub(crate) fn compare() -> Vec<String> {
    let mut mistakes = uncovered();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        mistakes.extend(fs::write(PAGE, page()).err().map(|error| format!("{PAGE}: {error}")));
    } else if TEXT != page() {
        mistakes.push("docs/ESCAPES.md is not what the attacks make of it; UPDATE_GOLDEN=1 writes it anew".to_owned());
    }
    mistakes
}

/// Every technique has an attack or a reason, every number is there once, and names of attacks are unique.
fn uncovered() -> Vec<String> {
    let techniques: Vec<_> = GROUPS.iter().flat_map(|(_, techniques)| *techniques).collect();
    let numbers: Vec<u8> = techniques.iter().map(|technique| technique.number).collect();
    let mut mistakes = Vec::new();
    if numbers != (1..=90).collect::<Vec<u8>>() {
        mistakes.push(format!("the techniques are not 1 to 90, once each: {numbers:?}"));
    }
    let bare = techniques.iter().filter(|technique| {
        technique.note.is_empty() && !families::all().any(|attack| attack.techniques.contains(&technique.number))
    });
    mistakes.extend(bare.map(|technique| format!("technique {} has neither an attack nor a reason", technique.number)));
    let names: Vec<&str> = families::all().map(|attack| attack.name).collect();
    let twice = names.iter().enumerate().filter(|(at, name)| names[..*at].contains(name));
    mistakes.extend(twice.map(|(_, name)| format!("two attacks are called {name}")));
    mistakes
}
