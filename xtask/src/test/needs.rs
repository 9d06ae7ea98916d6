//! Which programs are missing, and what would install them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use super::Failure;

/// Where each program comes from.
const SOURCES: &str = include_str!("needs.txt");

/// What names the programs of these that are missing, if any, with the commands that install them.
pub(super) fn missing<'n>(needs: impl Iterator<Item = &'n &'n str>) -> Result<Option<String>, Failure> {
    let needs: BTreeSet<&str> = needs.copied().collect();
    let mut wanted = BTreeMap::new();
    for program in needs {
        let source = source(program).ok_or_else(|| format!("needs.txt does not name {program}"))?;
        if !is_there(program, &source) {
            wanted.insert(program, source);
        }
    }
    Ok((!wanted.is_empty()).then(|| remedy(&wanted)))
}

/// Where a program comes from: `[kind, name]`, or `[kind, name, version]`.
fn source(program: &str) -> Option<Vec<&'static str>> {
    let mut lines = SOURCES.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_whitespace());
    lines.find_map(|mut words| (words.next()? == program).then(|| words.collect()))
}

fn is_there(program: &str, source: &[&str]) -> bool {
    // Programs of the system's administrator are not in the search path of everyone.
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let found = path.split(':').any(|directory| Path::new(directory).join(program).is_file());
    match source {
        ["cargo", _, version] if found => has_version(program, version),
        _ => found,
    }
}

/// `cargo-deny --version` prints `cargo-deny VERSION`.
fn has_version(program: &str, version: &str) -> bool {
    let output = Command::new(program).arg("--version").output();
    output.is_ok_and(|output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.split_whitespace().any(|word| word == version)
    })
}

fn remedy(missing: &BTreeMap<&str, Vec<&str>>) -> String {
    let programs: Vec<&str> = missing.keys().copied().collect();
    let mut text = format!("missing: {}. Nothing was run. To install:\n", programs.join(", "));
    let of = |kind: &str| -> BTreeSet<&str> {
        missing.values().filter(|source| source[0] == kind).map(|source| source[1]).collect()
    };
    let together = |names: BTreeSet<&str>| names.into_iter().collect::<Vec<_>>().join(" ");
    for (kind, command) in [("debian", "apt-get install"), ("rustup", "rustup component add")] {
        let names = of(kind);
        if !names.is_empty() {
            text.extend(["  ", command, " ", &together(names), "\n"]);
        }
    }
    for source in missing.values() {
        if let ["cargo", name, version] = source[..] {
            text.extend(["  cargo install --locked --version ", version, " ", name, "\n"]);
        }
    }
    text + "or leave their steps out with `cargo xtask test --without STEP`; `cargo xtask test --list` names the steps"
}

#[cfg(test)]
mod tests {
    use super::super::step::STEPS;
    use super::*;

    #[test]
    fn the_source_of_every_need_is_known() {
        for need in STEPS.iter().flat_map(|step| step.needs) {
            let source = source(need).unwrap_or_else(|| panic!("needs.txt names no source of {need}"));
            assert!(matches!(source[..], ["debian" | "rustup", _] | ["cargo", _, _]), "{need}: {source:?}");
        }
    }

    #[test]
    fn what_is_missing_is_named_with_its_remedy() {
        let missing =
            BTreeMap::from([("bwrap", vec!["debian", "bubblewrap"]), ("cargo-x", vec!["cargo", "cargo-x", "1.2.3"])]);
        let text = remedy(&missing);
        assert!(text.contains("missing: bwrap, cargo-x"), "{text}");
        assert!(text.contains("apt-get install bubblewrap\n"), "{text}");
        assert!(text.contains("cargo install --locked --version 1.2.3 cargo-x\n"), "{text}");
    }
}
