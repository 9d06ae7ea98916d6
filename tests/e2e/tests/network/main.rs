//! The network: real programs, attacks and faults, natively and in a sandbox, in an internet of the suite's own.
//!
//! `cargo test -p e2e --test network [PART OF A NAME]...`; `STOCKADE_BIN` names the binary to test, which is built otherwise.
//! Everything runs in network namespaces that the program `internet` makes, and no packet leaves the machine; only the
//! trials of `registries` use the machine's own network. Every trial is made as whoever runs the tests and, where that is
//! root, as an ordinary user as well.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a test runner talks to its caller")]

mod faults;
#[path = "../containment/judge.rs"]
mod judge;
#[path = "../containment/options.rs"]
mod options;
mod place;
mod program;
mod programs;
mod registries;
#[path = "../containment/run.rs"]
mod run;
#[path = "../containment/user.rs"]
mod user;

use std::process::ExitCode;
use std::time::Instant;

use e2e::Attack;
use e2e::attack::Users;
use e2e::families::network;
use options::Options;
use run::Bench;
use user::User;

/// What is tried.
#[derive(Clone, Copy)]
enum Subject {
    Attack(&'static Attack),
    Program(&'static program::Program),
    Fault(&'static faults::Fault),
    Registry(&'static registries::Registry),
}

impl Subject {
    fn all() -> impl Iterator<Item = Self> {
        let attacks = network::ATTACKS.iter().copied().flatten().map(Self::Attack);
        let programs = programs::PROGRAMS.iter().map(Self::Program);
        let faults = faults::FAULTS.iter().map(Self::Fault);
        attacks.chain(programs).chain(faults).chain(registries::REGISTRIES.iter().map(Self::Registry))
    }

    fn name(self) -> String {
        match self {
            Self::Attack(attack) => format!("attacks::{}", attack.name),
            Self::Program(program) => format!("programs::{}", program.name),
            Self::Fault(fault) => format!("faults::{}", fault.name),
            Self::Registry(registry) => format!("registries::{}", registry.name),
        }
    }

    /// Whether it is tried as this user.
    fn is_for(self, user: &User) -> bool {
        match self {
            Self::Attack(attack) => {
                matches!(
                    (attack.users, user.is_root()),
                    (Users::Both, _) | (Users::Root, true) | (Users::Ordinary, false)
                )
            }
            _ => true,
        }
    }

    /// What has to be installed before.
    fn missing(self, user: &User) -> Option<&'static str> {
        match self {
            Self::Program(program) => program.missing(user),
            Self::Registry(registry) => registry.missing(user),
            Self::Attack(_) | Self::Fault(_) => None,
        }
    }

    /// What is not as it should be.
    fn run(self, bench: &Bench, user: &User) -> Vec<String> {
        let mistakes = match self {
            Self::Attack(attack) => return judge::judge(bench, attack, user),
            Self::Program(program) => program.run(bench, user),
            Self::Fault(fault) => fault.run(bench, user),
            Self::Registry(registry) => registry.run(bench, user),
        };
        mistakes.unwrap_or_else(|error| vec![format!("could not be set up: {error}")])
    }
}

fn main() -> ExitCode {
    let options = Options::parse(std::env::args().skip(1));
    let users = User::available();
    let pairs = Subject::all().flat_map(|subject| users.iter().map(move |user| (subject, user)));
    let chosen: Vec<(String, Subject, &User)> = pairs
        .filter(|(subject, user)| subject.is_for(user))
        .map(|(subject, user)| {
            (format!("{}::{}", subject.name(), if user.is_root() { "root" } else { "user" }), subject, user)
        })
        .filter(|(name, ..)| options.takes(name))
        .collect();
    if options.list {
        chosen.iter().for_each(|(name, ..)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let bench = match Bench::new() {
        Ok(bench) => bench,
        Err(error) => {
            eprintln!("the suite cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let (mut passed, mut failed, mut ignored) = (0, Vec::new(), 0);
    for (name, subject, user) in &chosen {
        if let Some(missing) = subject.missing(user) {
            println!("test {name} ... ignored, {missing}");
            ignored += 1;
            continue;
        }
        let start = Instant::now();
        let mistakes = subject.run(&bench, user);
        let word = if mistakes.is_empty() { "ok" } else { "FAILED" };
        println!("test {name} ... {word} ({:.1} s)", start.elapsed().as_secs_f32());
        mistakes.iter().for_each(|mistake| println!("       {mistake}"));
        if mistakes.is_empty() { passed += 1 } else { failed.push(name) }
    }
    failed.iter().for_each(|name| println!("failed: {name}"));
    let word = if failed.is_empty() { "ok" } else { "FAILED" };
    println!("\ntest result: {word}. {passed} passed; {} failed; {ignored} ignored", failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
