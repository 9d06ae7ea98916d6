//! Several at once: applies that cross, commands that race with removal, and a host that changes what is being applied.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::Trial;
use crate::place::{Outcome, Place};
use crate::tree::Tree;

pub(crate) const TRIALS: &[Trial] = &[
    ("two_applies", two_applies),
    ("one_sandbox_twice", one_sandbox_twice),
    ("host_that_changes", host_that_changes),
    ("everything_at_once", everything_at_once),
];

const FILES: usize = 40;

/// Two sandboxes bring different versions of the same files at once: each file is one of theirs, whole, and whoever was too
/// late is told.
fn two_applies(place: &Place) {
    for round in 0..6 {
        for number in 0..FILES {
            place.file(&format!("home/project/many/f{number}"), format!("old {round}\n"));
        }
        for name in ["left", "right"] {
            place.create(name, &[]);
            place.good(name, &format!("for n in $(seq 0 {}); do echo {name} {round} > many/f$n; done", FILES - 1));
            place.done(&["stop", name]);
        }
        let both = ["left", "right"].map(|name| {
            let mut command = place.call(&["apply", name]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a start")
        });
        let outcomes = both.map(|child| Outcome::of(&child.wait_with_output().expect("an end")));
        let (mut done, mut late) = (0, 0);
        for (mut outcome, name) in outcomes.into_iter().zip(["left", "right"]) {
            if outcome.status == 125 && outcome.stderr.contains("another apply is changing the workspace") {
                late += 1;
                outcome = place.outcome(&mut place.call(&["apply", name]));
            }
            assert!(matches!(outcome.status, 0 | 1), "{outcome:?}");
            let told: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("JSON");
            done += told["done"].as_array().map_or(0, Vec::len);
            assert!(told["failed"].as_array().is_some_and(Vec::is_empty), "{told}");
        }
        assert!(late < 2, "each kept the other out");
        assert_eq!(done, FILES, "round {round}");
        for number in 0..FILES {
            let text = fs::read_to_string(place.workspace().join(format!("many/f{number}"))).expect("a file");
            assert!(text == format!("left {round}\n") || text == format!("right {round}\n"), "{text:?}");
        }
        for name in ["left", "right"] {
            place.done(&["audit", "verify", name]);
            place.done(&["rm", "--force", name]);
        }
        nothing_staged(place);
    }
}

fn one_sandbox_twice(place: &Place) {
    for round in 0..6 {
        place.create("own", &[]);
        place.good("own", &format!("mkdir -p many; for n in $(seq 1 {FILES}); do echo {round} > many/f$n; done"));
        let both = [0, 1].map(|_| {
            let mut command = place.call(&["apply", "own"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a start")
        });
        let outcomes = both.map(|child| Outcome::of(&child.wait_with_output().expect("an end")));
        assert!(outcomes.iter().any(|outcome| outcome.status == 0), "{outcomes:?}");
        for number in 1..=FILES {
            let text = fs::read_to_string(place.workspace().join(format!("many/f{number}"))).expect("a file");
            assert_eq!(text, format!("{round}\n"), "{outcomes:?}");
        }
        place.done(&["audit", "verify", "own"]);
        place.done(&["rm", "--force", "own"]);
        nothing_staged(place);
    }
}

fn nothing_staged(place: &Place) {
    let staged = crate::leftovers::entries(&place.workspace());
    assert!(staged.iter().all(|path| !path.to_string_lossy().contains(".stockade-apply")), "{staged:?}");
}

/// The host puts links and directories in the place of what is applied, all the time: nothing outside is ever touched.
fn host_that_changes(place: &Place) {
    let outside = place.path("outside");
    let before = Tree::of(&outside);
    let target = place.workspace().join("raced");
    for number in 0..8 {
        place.file(&format!("home/project/raced/f{number}"), "host\n");
    }
    let stop = AtomicBool::new(false);
    let mut worked = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let aside = place.path("home/aside");
            while !stop.load(Ordering::Relaxed) {
                drop(fs::rename(&target, &aside));
                drop(symlink(&outside, &target));
                std::thread::sleep(Duration::from_micros(300));
                drop(fs::remove_file(&target));
                drop(fs::rename(&aside, &target));
                std::thread::sleep(Duration::from_micros(700));
            }
        });
        for round in 0..30 {
            // What the sandbox is made of is changed under it, so that each of these may fail; none may harm.
            drop(place.outcome(&mut place.stockade(&["create", "--name", "own"])));
            drop(place.exec("own", &format!("mkdir -p raced; for n in 0 1 2 3 4 5 6 7; do echo {round} > raced/f$n; echo {round} > raced/victim.txt; done")));
            let applied = place.outcome(&mut place.call(&["apply", "own"]));
            let told: serde_json::Value = serde_json::from_str(&applied.stdout).unwrap_or_default();
            worked += usize::from(told["done"].as_array().is_some_and(|done| !done.is_empty()));
            drop(place.outcome(&mut place.stockade(&["rm", "--force", "own"])));
        }
        stop.store(true, Ordering::Relaxed);
    });
    before.is_still(&outside, "a host that changes");
    assert!(worked > 0, "nothing was ever applied");
    nothing_staged(place);
}

/// Commands, checkpoints, forks, restores, stops and a removal at once: every one ends, with an answer.
fn everything_at_once(place: &Place) {
    place.create("own", &[]);
    place.good("own", "echo start > start");
    place.done(&["checkpoint", "own"]);
    let words: &[&[&str]] = &[
        &["exec", "own", "--", "sh", "-c", "echo x > x; cat start"],
        &["checkpoint", "own"],
        &["fork", "own"],
        &["restore", "own", "c1"],
        &["stop", "own"],
        &["apply", "own"],
        &["ls"],
        &["diff", "own"],
        &["audit", "verify", "own"],
        &["discard", "own"],
    ];
    let started = Instant::now();
    let all: Vec<_> = (0..40)
        .map(|number| {
            let mut command = place.command("timeout");
            command.args(["-s", "KILL", "60"]).arg(place.program()).args(words[number % words.len()]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a start")
        })
        .collect();
    for (number, child) in all.into_iter().enumerate() {
        let outcome = Outcome::of(&child.wait_with_output().expect("an end"));
        let words = words[number % words.len()];
        assert!(outcome.status < 1_000 && outcome.status != 137 || words[0] == "exec", "{words:?}: {outcome:?}");
        assert!(!outcome.stderr.contains("panicked"), "{words:?}: {outcome:?}");
        assert!(words[0] != "audit" || outcome.status == 0, "{words:?}: {outcome:?}");
    }
    assert!(started.elapsed() < Duration::from_secs(60), "not all ended: {:?}", started.elapsed());
    assert_eq!(place.exec("own", "cat start || true").status, 0);
    place.done(&["restore", "own", "c1"]);
    assert_eq!(place.exec("own", "cat start").stdout, "start\n");
    place.done(&["audit", "verify", "own"]);
}
