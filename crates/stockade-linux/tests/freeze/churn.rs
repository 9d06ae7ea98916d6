//! Programs that never rest are stopped, all at one moment.

use std::fs;
use std::time::Duration;

use crate::sandbox::Sandbox;
use crate::{mechanisms, roles};

/// The two counters of each thread.
fn counters(sandbox: &Sandbox) -> Vec<(u64, u64)> {
    let read = |which: &str, number: usize| {
        let bytes = fs::read(sandbox.directory().join(format!("{which}-{number}"))).unwrap_or_default();
        bytes.try_into().map_or(0, u64::from_le_bytes)
    };
    (0..4).map(|number| (read("first", number), read("second", number))).collect()
}

#[test]
fn counters_stand_still_at_one_moment() {
    for sandbox in mechanisms(&[&["role", "count", "DIR"]]) {
        let freezer = sandbox.freezer();
        sandbox.until(|| counters(&sandbox).iter().all(|&(_, second)| second > 10));
        for round in 0..50 {
            let frozen = sandbox.freeze(&freezer);
            let now = counters(&sandbox);
            let letters = sandbox.letters();
            std::thread::sleep(Duration::from_millis(3));
            // A group counts a thread as frozen an instant before it sleeps.
            sandbox.until(|| sandbox.letters().values().all(|letter| *letter != 'R'));
            assert_eq!(counters(&sandbox), now, "round {round}, {:?}", freezer.mechanism());
            assert_eq!(sandbox.letters().keys().collect::<Vec<_>>(), letters.keys().collect::<Vec<_>>());
            assert!(now.iter().all(|&(first, second)| first == second || first == second + 1), "{now:?}");
            if let Some((processes, threads)) = frozen.held() {
                assert!(processes >= 1 && threads >= 7, "{processes} processes, {threads} threads");
            }
            frozen.thaw().unwrap();
            sandbox.until(|| counters(&sandbox).iter().zip(&now).all(|(later, now)| later.1 > now.1 + 1));
        }
    }
}

#[test]
fn threads_that_execute_programs_are_held() {
    let Some(sandbox) = Sandbox::traced(&[&["role", "exec", "DIR"], &["role", "exec", "DIR"]]) else { return };
    sandbox.wait_for("executed");
    let freezer = sandbox.freezer();
    for _ in 0..100 {
        let frozen = sandbox.freeze(&freezer);
        let letters = sandbox.letters();
        std::thread::sleep(Duration::from_micros(500));
        assert_eq!(sandbox.letters(), letters);
        assert!(letters.values().all(|letter| matches!(letter, 't' | 'Z')), "{letters:?}");
        drop(frozen);
        std::thread::sleep(Duration::from_millis(2));
    }
    fs::remove_file(sandbox.directory().join("executed")).unwrap();
    sandbox.wait_for("executed");
}

#[test]
fn a_freezer_that_is_killed_lets_go() {
    let Some(sandbox) = Sandbox::traced(&[&["role", "count", "DIR"]]) else { return };
    sandbox.wait_for("second-3");
    let init = sandbox.init.as_raw_nonzero().to_string();
    let directory = sandbox.directory().display().to_string();
    let mut freezer = roles::command(&["freeze", &init, &directory]).spawn().unwrap();
    assert!(sandbox.wait_for("frozen").starts_with("Some"));
    let now = counters(&sandbox);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(counters(&sandbox), now);
    freezer.kill().unwrap();
    freezer.wait().unwrap();
    sandbox.until(|| counters(&sandbox).iter().zip(&now).all(|(later, now)| later.1 > now.1));
}
