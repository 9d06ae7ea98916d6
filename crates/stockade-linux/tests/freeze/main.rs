//! Freezing real processes in a process namespace of their own, by each mechanism that there is.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "this program is a test")]

mod churn;
mod mapped;
mod refused;
mod roles;
mod sandbox;
mod unnoticed;

use std::io::Write as _;

use stockade_linux::freeze::Mechanism;

use sandbox::{Groups, Sandbox};

/// Tells that something was not run, past the capture of what tests print.
fn not_run(what: &str) {
    // Where standard output is closed, nobody counts.
    drop(writeln!(std::io::stdout(), "\nnot run: {what}"));
}

/// Every mechanism that this machine has, each with a sandbox that has not begun yet.
fn mechanisms(commands: &[&[&str]]) -> Vec<Sandbox> {
    let all =
        [(Mechanism::Tracing, Groups::none()), (Mechanism::GroupV2, Groups::v2()), (Mechanism::GroupV1, Groups::v1())];
    let mut sandboxes = Vec::new();
    for (mechanism, groups) in all {
        let sandbox = groups.and_then(|groups| Sandbox::start(groups, commands));
        match sandbox {
            Some(sandbox) => {
                assert_eq!(sandbox.freezer().mechanism(), mechanism);
                sandboxes.push(sandbox);
            }
            None => not_run(&format!("freezing by {mechanism:?} (needs what this machine does not have)")),
        }
    }
    sandboxes
}

#[test]
fn where_nothing_runs_nothing_is_held() {
    let Some(sandbox) = Sandbox::traced(&[]) else { return };
    let frozen = sandbox.freezer();
    let frozen = frozen.freeze(&[]).unwrap();
    assert_eq!(frozen.held(), Some((0, 0)));
    frozen.thaw().unwrap();
}
