//! A process that is killed at any moment, and one that goes on.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use stockade_workspace::apply;

use crate::place::{self, Place};

const JOB: &str = "APPLY_KILL_TEST";

/// How often a process is killed, unless the environment says so.
const KILLS: u64 = 60;

const FILES: usize = 150;

/// Does nothing but when it is started for it: applies, and applies.
#[test]
fn work() {
    let Some(base) = std::env::var_os(JOB) else { return };
    let base = Path::new(&base);
    place::apply_found(base, &base.join("apply"));
}

fn fill(place: &Place) {
    for number in 0..FILES {
        match number % 5 {
            0 => drop(place.host(format!("d{number}/sub/f"), "before")),
            1 => {}
            _ => drop(place.host(format!("d/f{number}"), "before")),
        }
    }
    place.note();
    for number in 0..FILES {
        match number % 5 {
            0 | 2 => drop(place.whiteout(if number % 5 == 0 { format!("d{number}") } else { format!("d/f{number}") })),
            1 => drop(place.layer(format!("n{number}/sub/f"), "after")),
            _ => drop(place.layer(format!("d/f{number}"), "after")),
        }
    }
}

/// Each file is before or after. Gives how many are after.
fn count(place: &Place) -> usize {
    let mut after = 0;
    for number in 0..FILES {
        let (path, is_removed, is_added) = match number % 5 {
            0 => (format!("d{number}/sub/f"), true, false),
            1 => (format!("n{number}/sub/f"), false, true),
            2 => (format!("d/f{number}"), true, false),
            _ => (format!("d/f{number}"), false, false),
        };
        match fs::read_to_string(place.workspace.join(&path)).ok().as_deref() {
            Some("before") => assert!(!is_added, "{path}"),
            Some("after") => after += 1,
            None if is_removed => after += 1,
            other => assert!(is_added && other.is_none(), "{path}: {other:?}"),
        }
    }
    after
}

#[test]
fn killed_at_any_moment_it_is_resumed() {
    let kills = std::env::var("APPLY_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let (mut nothing, mut midway, mut ended) = (0, 0, 0);
    // A simple sequence is as good as any, and the same every time.
    let mut delay: u64 = 1;
    for _ in 0..kills {
        let place = Place::in_memory();
        fill(&place);
        delay = (delay * 48_271) % 2_147_483_647;
        let base = place.workspace.parent().expect("a parent");
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        let mut child = command.args(["--exact", "interrupted::work"]).env(JOB, base).spawn().expect("started");
        while !place.folder.join("journal").exists() && child.try_wait().expect("waited").is_none() {}
        std::thread::sleep(Duration::from_micros(delay % 20_000));
        child.kill().expect("killed");
        child.wait().expect("waited");
        let before = count(&place);
        let applied = apply::resume(&place.folder).expect("resumed");
        place.check_tidy();
        match applied {
            None => assert_eq!(count(&place), 0),
            Some(applied) => {
                assert_eq!((count(&place), applied.conflicts.len(), applied.failed.len()), (FILES, 0, 0));
            }
        }
        match before {
            0 => nothing += 1,
            FILES => ended += 1,
            _ => midway += 1,
        }
        apply::close(&place.folder).expect("closed");
    }
    assert!(nothing > 0 && midway + ended > 0, "{nothing} {midway} {ended}");
}
