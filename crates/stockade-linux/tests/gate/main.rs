//! The inside of the gate against the real kernel, as whatever user runs the tests.
//!
//! A program of its own instead of the standard harness, because only a process with one thread can launch. It runs itself
//! again inside, as the program that wants out (`visitor`).

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "this program is a test")]

mod asked;
mod keeper;
mod reached;
mod refused;
mod run;
mod served;
mod shown;
mod visitor;

use std::panic::catch_unwind;
use std::process::ExitCode;

/// One test: its name and its body.
type Test = (&'static str, fn());

const TESTS: &[&[Test]] = &[asked::TESTS, reached::TESTS, refused::TESTS, served::TESTS, shown::TESTS];

/// Runs the tests whose name the arguments contain, or all; answers `--list` as `cargo nextest` asks.
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("visit", actions)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        visitor::visit(actions);
        return ExitCode::SUCCESS;
    }
    let tests = || TESTS.iter().copied().flatten();
    if arguments.iter().any(|argument| argument == "--list") {
        if !arguments.iter().any(|argument| argument == "--ignored") {
            tests().for_each(|(name, _)| println!("{name}: test"));
        }
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let exact = arguments.iter().any(|argument| argument == "--exact");
    let chosen = |name: &str| filters.iter().any(|filter| if exact { *filter == name } else { name.contains(*filter) });
    let mut failures = 0;
    for (name, body) in tests().filter(|(name, _)| filters.is_empty() || chosen(name)) {
        let passed = catch_unwind(body).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failures += u32::from(!passed);
    }
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
