//! Runs every attack natively and in a sandbox, as root and as an ordinary user, in every tier, and compares.
//!
//! `cargo test -p e2e --test containment [PART OF A NAME]...`; `STOCKADE_BIN` names the binary to test, which is built
//! otherwise. `STOCKADE_TIERS` (`namespaces,landlock`) narrows the tiers, for machines that have not got both.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a test runner talks to its caller")]

mod docs;
mod judge;
mod options;
mod run;
mod user;

use std::process::ExitCode;

use e2e::attack::Users;
use e2e::{Attack, families};
use options::Options;
use user::User;

/// One test: an attack as one user, or the page that is made from the attacks.
struct Trial {
    name: String,
    subject: Option<(&'static Attack, User)>,
}

fn main() -> ExitCode {
    let options = Options::parse(std::env::args().skip(1));
    let (trials, not_run) = trials();
    let chosen: Vec<&Trial> = trials.iter().filter(|trial| options.takes(&trial.name)).collect();
    if options.list {
        chosen.iter().for_each(|trial| println!("{}: test", trial.name));
        return ExitCode::SUCCESS;
    }
    let bench = match run::Bench::new() {
        Ok(bench) => bench,
        Err(error) => {
            eprintln!("the suite cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut failed = Vec::new();
    for trial in &chosen {
        let mistakes = match &trial.subject {
            Some((attack, user)) => judge::judge(&bench, attack, user),
            None => docs::compare(),
        };
        println!("{} {}", if mistakes.is_empty() { "ok    " } else { "FAILED" }, trial.name);
        mistakes.iter().for_each(|mistake| println!("       {mistake}"));
        if !mistakes.is_empty() {
            failed.push(&trial.name);
        }
    }
    println!("{} passed, {} failed, {not_run} not run for want of root", chosen.len() - failed.len(), failed.len());
    failed.iter().for_each(|name| println!("failed: {name}"));
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Every attack with every user that it is run as and that this process can become; and how many had to be left out.
fn trials() -> (Vec<Trial>, usize) {
    let users = User::available();
    let mut trials = vec![Trial { name: "docs::escapes".to_owned(), subject: None }];
    let mut not_run = 0;
    for (family, attacks) in families::FAMILIES {
        for attack in *attacks {
            for (role, root) in [("root", true), ("user", false)] {
                if !matches!((attack.users, root), (Users::Both, _) | (Users::Root, true) | (Users::Ordinary, false)) {
                    continue;
                }
                match users.iter().find(|user| user.is_root() == root) {
                    Some(user) => {
                        let name = format!("{family}::{}::{role}", attack.name);
                        trials.push(Trial { name, subject: Some((attack, user.clone())) });
                    }
                    None => not_run += 1,
                }
            }
        }
    }
    (trials, not_run)
}
