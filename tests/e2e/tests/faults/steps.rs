//! The n-th step of the plan fails, for every n: the message names it, nothing has run, and everything is undone.

use std::process::Stdio;

use stockade_spec::Plan;

use crate::Trial;
use crate::place::{Outcome, Place, TIERS};
use crate::traces::{no_journal, none_left};

pub(crate) const TRIALS: &[Trial] =
    &[("every_step_fails", every_step_fails), ("the_gate_fails_after_the_launch", the_gate_fails_after_the_launch)];

/// The plan of `stockade run` with these options.
pub(crate) fn plan(place: &Place, options: &[&str]) -> Plan {
    let mut command = place.stockade(["plan", "--json"]);
    let shown = place.outcome(command.args(options).args(["--", "sh", "-c", "echo ran > ran"]));
    assert_eq!(shown.status, 0, "{}", shown.stderr);
    serde_json::from_slice(&shown.stdout).expect("a plan")
}

/// What a step is called, up to where the name of the run begins.
fn words(plan: &Plan, step: usize) -> String {
    let words = plan.steps[step].operation.to_string();
    words.split("stockade-").next().unwrap_or_default().to_owned()
}

fn every_step_fails(place: &Place) {
    for options in TIERS {
        let plan = plan(place, options);
        let before = place.snapshot();
        for step in 0..plan.steps.len() {
            let what = format!("{options:?}, step {step}: {}", words(&plan, step));
            let mut command = place.script(options, "echo ran > ran");
            let child = command.env("STOCKADE_FAULT", format!("fail {step}"));
            let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
            let child = child.expect("stockade starts");
            let pid = child.id();
            let outcome = Outcome::of(child.wait_with_output().expect("an end"));
            if plan.steps[step].degradable {
                assert_eq!(outcome.status, 0, "{what}: {}", outcome.stderr);
                std::fs::remove_file(place.workspace().join("ran")).expect("it ran");
            } else {
                assert_eq!(outcome.status, 125, "{what}: {}", outcome.stderr);
                assert!(outcome.stderr.contains(&words(&plan, step)), "{what}: {}", outcome.stderr);
                assert!(outcome.stderr.contains("os error 5"), "{what}: {}", outcome.stderr);
            }
            none_left(place, pid, &what);
            no_journal(place, &what);
            assert!(place.snapshot() == before, "{what}: the workspace changed");
        }
    }
}

/// The command runs already when the gate is started. It is ended, and what it left that must not stay is put away.
fn the_gate_fails_after_the_launch(place: &Place) {
    for tier in TIERS {
        let options = [*tier, &["--allow", "192.0.2.1:80"][..]].concat();
        let what = format!("{options:?}");
        let before = place.snapshot();
        let mut command = place.script(&options, "echo left > .envrc; echo ran > ran; sleep 60");
        let child = command.env("STOCKADE_FAULT", "fail gate").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child = child.expect("stockade starts");
        let pid = child.id();
        let outcome = Outcome::of(child.wait_with_output().expect("an end"));
        assert_eq!(outcome.status, 125, "{what}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("cannot start a thread for the gate"), "{what}: {}", outcome.stderr);
        let ran = std::fs::remove_file(place.workspace().join("ran")).is_ok();
        // In the other tier the command's first file waits for the supervisor, which has not come to answer.
        assert!(ran || tier.contains(&"landlock"), "{what}: the gate failed before the command ran");
        none_left(place, pid, &what);
        no_journal(place, &what);
        assert!(place.snapshot() == before, "{what}: the workspace changed");
    }
}
