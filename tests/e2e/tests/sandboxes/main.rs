//! Sandboxes that last: real work in them, nothing lost whoever is killed, and attacks on what is particular to them.
//!
//! `cargo test -p e2e --test sandboxes [PART OF A NAME]...`; `STOCKADE_BIN` names the program to test, which is built
//! otherwise, and `STOCKADE_KILLS` how often something is killed for each user. Every trial is made as whoever runs the tests
//! and, where that is root, as an ordinary user as well.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a test program reports to whoever runs it")]

mod attacks;
mod bounds;
mod crossing;
mod disks;
mod held_up;
mod inside;
mod kills;
mod leftovers;
mod mapped;
mod marks;
mod names;
#[path = "../containment/options.rs"]
mod options;
mod outside;
mod place;
#[allow(dead_code, reason = "this file belongs to several test targets")]
#[path = "../containment/run.rs"]
mod run;
mod services;
mod spawner;
mod terminals;
mod tree;
#[path = "../containment/user.rs"]
mod user;
mod work;

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::Instant;

use e2e::Attack;
use e2e::attack::Users;
use e2e::families::{self, layers};
use options::Options;
use place::Place;
use user::User;

/// One trial: a name, and what is tried; it panics when something is wrong.
type Trial = (&'static str, fn(&Place));

const TRIALS: &[(&str, &[Trial])] = &[
    ("work", work::TRIALS),
    ("services", services::TRIALS),
    ("names", names::TRIALS),
    ("marks", marks::TRIALS),
    ("mapped", mapped::TRIALS),
    ("inside", inside::TRIALS),
    ("spawner", spawner::TRIALS),
    ("terminals", terminals::TRIALS),
    ("held_up", held_up::TRIALS),
    ("bounds", bounds::TRIALS),
    ("outside", outside::TRIALS),
    ("disks", disks::TRIALS),
    ("crossing", crossing::TRIALS),
    ("kills", kills::TRIALS),
];

/// What is tried.
#[derive(Clone, Copy)]
enum Subject {
    Trial(fn(&Place)),
    Attack(&'static Attack),
}

impl Subject {
    fn is_for(self, user: &User) -> bool {
        match self {
            Self::Trial(_) => true,
            Self::Attack(attack) => matches!(
                (attack.users, user.is_root()),
                (Users::Both, _) | (Users::Root, true) | (Users::Ordinary, false)
            ),
        }
    }
}

fn main() -> ExitCode {
    let options = Options::parse(std::env::args().skip(1));
    let users = User::available();
    let families = families::FAMILIES.iter().flat_map(|(_, attacks)| *attacks);
    let attacks = layers::ATTACKS.iter().chain(families).filter(|attack| attacks::is_made(attack));
    let attacks = attacks.map(|attack| (format!("attacks::{}", attack.name), Subject::Attack(attack)));
    let trials = TRIALS.iter().flat_map(|(group, trials)| {
        trials.iter().map(move |(name, trial)| (format!("{group}::{name}"), Subject::Trial(*trial)))
    });
    let subjects: Vec<(String, Subject)> = attacks.chain(trials).collect();
    let (mut passed, mut failed) = (0, Vec::new());
    for (user, (name, subject)) in users.iter().flat_map(|user| subjects.iter().map(move |subject| (user, subject))) {
        let name = format!("{name}::{}", if user.is_root() { "root" } else { "user" });
        if !options.takes(&name) || !subject.is_for(user) {
            continue;
        }
        if options.list {
            println!("{name}: test");
            continue;
        }
        leftovers::adopt_orphans();
        let started = Instant::now();
        let good = catch_unwind(|| match subject {
            Subject::Trial(trial) => Place::with(user, trial),
            Subject::Attack(attack) => attacks::judge(attack, user),
        })
        .is_ok();
        println!("test {name} ... {} ({:.1} s)", if good { "ok" } else { "FAILED" }, started.elapsed().as_secs_f64());
        if good { passed += 1 } else { failed.push(name) }
    }
    failed.iter().for_each(|name| println!("failed: {name}"));
    if !options.list {
        println!("{passed} passed, {} failed", failed.len());
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
