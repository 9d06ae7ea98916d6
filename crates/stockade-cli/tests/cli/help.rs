//! Help texts are a contract: a change of one is a change of the file that holds it. `BLESS=1 cargo test` writes them.

use std::path::Path;

use crate::program::{User, outcome};

/// Columns to which the texts are wrapped.
const WIDTH: usize = 100;

#[test]
fn help_texts_are_as_agreed() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/help");
    let mut command = stockade_cli::command().term_width(WIDTH);
    command.build();
    let mut expected = Vec::new();
    check(&directory, &mut command, "stockade", &mut expected);
    let mut found: Vec<String> = std::fs::read_dir(&directory)
        .expect("directory")
        .map(|entry| entry.expect("entry").file_name().into_string().expect("name"))
        .collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "files of commands that are gone");
}

fn check(directory: &Path, command: &mut clap::Command, name: &str, expected: &mut Vec<String>) {
    let path = directory.join(format!("{name}.txt"));
    let text = command.render_long_help().to_string();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).expect("write");
    }
    let agreed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, agreed, "{} differs; BLESS=1 cargo test writes it anew", path.display());
    expected.push(format!("{name}.txt"));
    for subcommand in command.get_subcommands_mut() {
        let name = format!("{name}-{}", subcommand.get_name());
        check(directory, subcommand, &name, expected);
    }
}

#[test]
fn every_command_shows_examples() {
    let mut command = stockade_cli::command();
    command.build();
    for subcommand in command.get_subcommands() {
        let after = subcommand.get_after_long_help().map(ToString::to_string).unwrap_or_default();
        assert!(after.contains(&format!("stockade {}", subcommand.get_name())), "{}", subcommand.get_name());
    }
}

#[test]
fn help_names_every_profile() {
    let mut command = stockade_cli::command();
    command.build();
    let text = command.find_subcommand_mut("run").expect("run").render_long_help().to_string();
    for (name, _) in stockade::policy::PROFILES {
        assert!(text.contains(name), "{name}");
    }
}

#[test]
fn help_and_version_are_results_and_mistakes_are_not() {
    let user = User::new();
    for (arguments, status) in [(vec!["--help"], 0), (vec!["run", "-h"], 0), (vec!["--version"], 0)] {
        let (found, stdout, stderr) = outcome(&mut user.stockade(&arguments));
        assert_eq!((found, stdout.is_empty(), stderr.as_str()), (status, false, ""), "{arguments:?}");
        assert!(!stdout.contains('\u{1b}'), "colour without a terminal");
    }
    for arguments in [vec![], vec!["gate"], vec!["run", "--memory", "lots"]] {
        let (found, stdout, stderr) = outcome(&mut user.stockade(&arguments));
        assert_eq!((found, stdout.as_str(), stderr.is_empty()), (125, "", false), "{arguments:?}");
    }
}
