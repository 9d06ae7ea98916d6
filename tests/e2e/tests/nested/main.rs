//! Stockade inside other sandboxes: itself, to three levels, and bubblewrap, with and without filters like those of containers;
//! and the gate of the tier that is left then.
//!
//! Every trial runs as whoever runs the tests and, where that is root, as an ordinary user as well. `bwrap` and `python3`
//! have to be there. `STOCKADE_BIN` names another program to test than what cargo builds from this tree.

#![allow(clippy::print_stdout, reason = "a test program reports to whoever runs it")]

mod bubblewrap;
mod gate;
#[path = "../containment/options.rs"]
mod options;
mod place;
mod refusals;
mod stockade;
#[path = "../containment/user.rs"]
mod user;

use std::panic::catch_unwind;
use std::process::ExitCode;

use options::Options;
use place::Place;
use user::User;

/// One trial: a name, and what is tried; it panics when something is wrong.
type Trial = (&'static str, fn(&Place));

const TRIALS: &[&[Trial]] = &[stockade::TRIALS, refusals::TRIALS, gate::TRIALS, bubblewrap::TRIALS];

fn main() -> ExitCode {
    let options = Options::parse(std::env::args().skip(1));
    let users = User::available();
    let mut failed = Vec::new();
    let all = users.iter().flat_map(|user| TRIALS.iter().copied().flatten().map(move |trial| (user, trial)));
    for (user, (trial, run)) in all {
        let name = format!("{}::{trial}", if user.is_root() { "root" } else { "user" });
        if !options.takes(&name) {
            continue;
        }
        if options.list {
            println!("{name}: test");
            continue;
        }
        let passed = catch_unwind(|| Place::with(user, run)).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
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
