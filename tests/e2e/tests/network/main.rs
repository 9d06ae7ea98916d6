//! The network: real programs, attacks and faults, natively and in a sandbox, in an internet of the suite's own.
//!
//! `cargo test -p e2e --test network [PART OF A NAME]...`; `STOCKADE_BIN` names the binary to test, which is built otherwise.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a test runner talks to its caller")]

#[path = "../containment/judge.rs"]
mod judge;
#[path = "../containment/options.rs"]
mod options;
#[path = "../containment/run.rs"]
mod run;
#[path = "../containment/user.rs"]
mod user;

fn main() {
    let bench = run::Bench::new().expect("bench");
    let options = options::Options::parse(std::env::args().skip(1));
    for attack in e2e::families::network::ATTACKS.iter().copied().flatten() {
        for user in user::User::available() {
            if options.takes(attack.name) {
                println!("{} {:?}", attack.name, judge::judge(&bench, attack, &user));
            }
        }
    }
}
