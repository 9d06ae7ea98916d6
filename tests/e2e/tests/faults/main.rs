//! Faults and bad input: what goes wrong is told, and nothing stays behind.
//!
//! Every trial runs as whoever runs the tests and, where that is root, as an ordinary user as well. The program under test
//! is `stockade-faults`: the `stockade` program with steps that fail, wait or kill where a trial wants it. `STOCKADE_BIN`
//! names another build of it.

#![allow(clippy::print_stdout, reason = "a test program reports to whoever runs it")]

mod input;
mod jobs;
mod kills;
mod memory;
#[path = "../containment/options.rs"]
mod options;
mod place;
mod runners;
mod signals;
mod steps;
mod streams;
mod surroundings;
mod terminals;
mod traces;
#[path = "../containment/user.rs"]
mod user;
mod workspaces;

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::Instant;

use options::Options;
use place::Place;
use user::User;

/// One trial: a name, and what is tried; it panics when something is wrong.
type Trial = (&'static str, fn(&Place));

const TRIALS: &[&[Trial]] = &[
    steps::TRIALS,
    kills::TRIALS,
    signals::TRIALS,
    jobs::TRIALS,
    runners::TRIALS,
    memory::TRIALS,
    terminals::TRIALS,
    streams::TRIALS,
    surroundings::TRIALS,
    workspaces::TRIALS,
    input::TRIALS,
];

fn main() -> ExitCode {
    let options = Options::parse(std::env::args().skip(1));
    let users = User::available();
    let mut failed = Vec::new();
    let all = users
        .iter()
        .flat_map(|user| TRIALS.iter().flat_map(move |trials| trials.iter().map(move |trial| (user, trial))));
    for (user, (trial, run)) in all {
        let name = format!("{}::{trial}", if user.is_root() { "root" } else { "user" });
        if !options.takes(&name) {
            continue;
        }
        if options.list {
            println!("{name}: test");
            continue;
        }
        traces::adopt_orphans();
        let started = Instant::now();
        let passed = catch_unwind(|| Place::with(user, run)).is_ok();
        println!("test {name} ... {} ({:.1} s)", if passed { "ok" } else { "FAILED" }, started.elapsed().as_secs_f64());
        if !passed {
            failed.push(name);
        }
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("failed: {}", failed.join(", "));
    ExitCode::FAILURE
}
