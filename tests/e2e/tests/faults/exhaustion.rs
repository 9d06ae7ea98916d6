//! Descriptors and threads of the supervisor that what runs inside uses up, or that its caller has few of.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::Trial;
use crate::place::{Outcome, Place, TIERS};
use crate::traces::no_journal;

pub(crate) const TRIALS: &[Trial] = &[
    ("abandoned_openings", abandoned_openings),
    ("few_descriptors", few_descriptors),
    ("few_descriptors_and_many_that_ask", few_descriptors_and_many_that_ask),
    ("the_sweep_has_a_reserve", the_sweep_has_a_reserve),
    ("unswept_is_not_forgotten", unswept_is_not_forgotten),
];

/// What is planted for the user's git.
const PLANT: &str =
    "mkdir -p sub/.git/hooks; echo evil > sub/.git/hooks/pre-commit; echo 'ref: refs/heads/main' > sub/.git/HEAD";
const HOOK: &str = "sub/.git/hooks/pre-commit";

/// `stockade run` with these options of a script, where the caller may have so many files open.
fn limited(place: &Place, files: u32, options: &[&str], script: &str) -> Outcome {
    let mut command = place.command("sh");
    command.args(["-c", &format!("ulimit -n {files}; exec \"$@\""), "sh"]).arg(place.program()).arg("run");
    place.outcome(command.args(options).args(["--", "sh", "-c", script]))
}

/// Processes that are killed while they open a FIFO whose other side their supervisor may not open.
fn abandoned_openings(place: &Place) {
    let abandon = "
import os, time
os.mkfifo('fifo', 0o400)
for _ in range(150):
    child = os.fork()
    if child == 0:
        os.open('fifo', os.O_RDONLY)
        os._exit(0)
    time.sleep(0.004)
    os.kill(child, 9)
    os.waitpid(child, 0)
";
    place.file("home/project/abandon.py", abandon);
    // With a rule that denies, the supervisor opens files for the command.
    place.file("home/project/.stockade.toml", "[filesystem]\ndeny = [\"**/nothing.txt\"]\n");
    for options in TIERS {
        let outcome = limited(place, 128, options, &format!("{PLANT}\n/usr/bin/python3 abandon.py; rm fifo"));
        assert_eq!(outcome.status, 0, "{options:?}: {}", outcome.stderr);
        assert!(!outcome.stderr.contains("weaker"), "{options:?}: {}", outcome.stderr);
        assert!(!place.workspace().join(HOOK).exists(), "{options:?}: the hook stays: {}", outcome.stderr);
    }
    no_journal(place, "openings that nobody waits for");
}

fn few_descriptors(place: &Place) {
    let deep = format!(
        "{PLANT}; d=.; for n in $(seq 80); do d=$d/h; mkdir -p $d/a $d/b $d/c $d/d $d/e $d/f $d/g $d/i; done; echo evil > $d/.envrc; true"
    );
    let deepest = format!("{}.envrc", "h/".repeat(80));
    for options in TIERS {
        // What lies there from the first round is looked through before the second.
        for _ in 0..2 {
            let outcome = limited(place, 64, options, &deep);
            assert_eq!(outcome.status, 0, "{options:?}: {}", outcome.stderr);
            assert!(!outcome.stderr.contains("weaker"), "{options:?}: {}", outcome.stderr);
            for planted in [HOOK, &deepest] {
                assert!(!place.workspace().join(planted).exists(), "{options:?}: {planted} stays: {}", outcome.stderr);
            }
        }
        // With less than anything can be done with, nothing runs.
        let outcome = limited(place, 20, options, &format!("{PLANT}; echo ran"));
        assert_eq!((outcome.status, outcome.stdout.as_slice()), (125, &b""[..]), "{options:?}: {}", outcome.stderr);
    }
    no_journal(place, "few descriptors");
}

/// What the observer keeps of each that asks leaves enough to answer the others.
fn few_descriptors_and_many_that_ask(place: &Place) {
    place.file("home/project/.stockade.toml", "[filesystem]\ndeny = [\"**/secret.txt\"]\n");
    place.file("home/project/secret.txt", "secret\n");
    let ask = "for n in $(seq 40); do sh -c 'read text < secret.txt; sleep 2' 2>/dev/null & done; sleep 1; cat README";
    for options in TIERS {
        let outcome = limited(place, 64, &[options, &["--trace=all"][..]].concat(), ask);
        let text = String::from_utf8_lossy(&outcome.stdout).into_owned();
        assert_eq!((outcome.status, text.as_str()), (0, "work\n"), "{options:?}: {}", outcome.stderr);
    }
}

/// A command that plants, and waits until [`end`] of it.
fn planting(place: &Place, options: &[&str]) -> Child {
    let script = format!("{PLANT}; touch planted; until test -e go; do sleep 0.01; done");
    let mut command = place.script(options, &script);
    let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("stockade starts");
    let started = Instant::now();
    while !place.workspace().join("planted").exists() {
        assert!(started.elapsed() < Duration::from_secs(20), "{options:?}: nothing is planted");
        std::thread::sleep(Duration::from_millis(10));
    }
    // By now the workspace is watched, for which the supervisor opens something.
    std::thread::sleep(Duration::from_millis(200));
    run
}

/// Lets the command end when its supervisor may have so many files open.
fn end(place: &Place, run: Child, files: usize) -> Outcome {
    let mut limit = place.command("prlimit");
    let limited = limit.args([&format!("--nofile={files}"), "--pid", &run.id().to_string()]).status();
    assert!(limited.expect("prlimit").success());
    place.file("home/project/go", "");
    let outcome = Outcome::of(run.wait_with_output().expect("it ends"));
    for name in ["planted", "go"] {
        std::fs::remove_file(place.workspace().join(name)).expect("removed");
    }
    outcome
}

/// The supervisor has used up what it may open when the command ends.
fn the_sweep_has_a_reserve(place: &Place) {
    let run = planting(place, &[]);
    let path = format!("/proc/{}/fd", run.id());
    let open: BTreeSet<usize> = std::fs::read_dir(path)
        .expect("the supervisor's descriptors")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    let lowest_free = (0..).find(|number| !open.contains(number)).expect("one that is free");
    let outcome = end(place, run, lowest_free);
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    assert!(!place.workspace().join(HOOK).exists(), "the hook stays: {}", outcome.stderr);
    no_journal(place, "descriptors that were used up");
}

/// The supervisor may open nothing any more when the command ends.
fn unswept_is_not_forgotten(place: &Place) {
    for options in TIERS {
        let outcome = end(place, planting(place, options), 3);
        assert_eq!(outcome.status, 125, "{options:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("next command"), "{options:?}: {}", outcome.stderr);
        let planted = place.workspace().join(HOOK).exists();
        assert!(planted || options.contains(&"landlock"), "{options:?}: it was swept: {}", outcome.stderr);
        let next = place.outcome(&mut place.script(options, "true"));
        assert_eq!(next.status, 0, "{options:?}: {}", next.stderr);
        assert!(!planted || next.stderr.contains("sub/.git/hooks"), "{options:?}: {}", next.stderr);
        assert!(!place.workspace().join(HOOK).exists(), "{options:?}: the hook stays");
        no_journal(place, "what was left");
    }
}
