//! A killed supervisor's sweep is made up for at the next start, once, and not while it lives.

mod support;

use std::fs;
use std::time::Instant;

use stockade_workspace::{Journal, JournalError, Quarantine, StateDirectory, StateError, recover};
use support::{HELD, Place, put_away};

#[test]
fn an_interrupted_run_is_swept_at_the_next_start() {
    let place = Place::new();
    place.file(".envrc", "own");
    let before = place.before();
    let quarantine = Quarantine::new(&place.state, &before);
    let journal = Journal::begin(&place.state, &before, &place.rules, &HELD, &quarantine).expect("a journal");
    place.file("a/.envrc", "planted");
    assert!(recover(&place.state).expect("recovered").is_empty(), "the run is going on");
    assert!(place.exists("a/.envrc"));
    drop(journal);
    let recovered = recover(&place.state).expect("recovered");
    assert_eq!(recovered.len(), 1);
    assert_eq!(recovered[0].workspace.as_deref(), Some(place.workspace.as_path()));
    assert_eq!(put_away(recovered[0].result.as_ref().expect("swept")), ["a/.envrc"]);
    assert!(place.exists(".envrc") && !place.exists("a/.envrc"));
    assert!(recover(&place.state).expect("recovered").is_empty());
}

#[test]
fn a_finished_run_leaves_no_journal() {
    let place = Place::new();
    let before = place.before();
    let quarantine = Quarantine::new(&place.state, &before);
    let journal = Journal::begin(&place.state, &before, &place.rules, &HELD, &quarantine).expect("a journal");
    journal.finish().expect("removed");
    assert_eq!(fs::read_dir(place.state.path().join("journal")).expect("it").count(), 0);
    place.file(".envrc", "later");
    assert!(recover(&place.state).expect("recovered").is_empty());
    assert!(place.exists(".envrc"));
}

#[test]
fn the_lock_goes_with_a_killed_process() {
    let place = Place::new();
    let before = place.before();
    let quarantine = Quarantine::new(&place.state, &before);
    let journal = Journal::begin(&place.state, &before, &place.rules, &HELD, &quarantine).expect("a journal");
    let path = place.state.path().join("journal").join(format!("{}.json", quarantine.id()));
    drop(journal);
    // It becomes `sleep` itself when it has the lock.
    let mut holder = std::process::Command::new("flock").arg("--no-fork").arg(&path).args(["sleep", "60"]).spawn();
    let holder = holder.as_mut().expect("flock(1)");
    let line = format!("/proc/{}/cmdline", holder.id());
    let started = Instant::now();
    while fs::read(&line).expect("its command line") != b"sleep\x0060\0" {
        assert!(started.elapsed().as_secs() < 10);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(recover(&place.state).expect("recovered").is_empty());
    holder.kill().expect("killed");
    holder.wait().expect("waited");
    while recover(&place.state).expect("recovered").is_empty() {
        assert!(started.elapsed().as_secs() < 10);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn another_directory_in_the_place_of_the_workspace_is_left_alone() {
    let place = Place::new();
    let before = place.before();
    let quarantine = Quarantine::new(&place.state, &before);
    drop(Journal::begin(&place.state, &before, &place.rules, &HELD, &quarantine).expect("a journal"));
    fs::rename(&place.workspace, place.workspace.with_extension("old")).expect("renamed");
    fs::create_dir(&place.workspace).expect("another");
    place.file(".envrc", "own");
    let recovered = recover(&place.state).expect("recovered");
    assert!(matches!(recovered[0].result, Err(JournalError::OtherWorkspace(_))), "{recovered:?}");
    assert!(place.exists(".envrc"));
}

#[test]
fn damaged_journals_are_told_of_once() {
    let place = Place::new();
    let journals = place.state.path().join("journal");
    fs::create_dir_all(&journals).expect("journals");
    fs::write(journals.join("1.json"), "{\"version\":9}").expect("written");
    fs::write(journals.join("2.json"), "{\"version\":1,\"id\":\"x\"").expect("written");
    fs::write(journals.join("3.json"), "").expect("written");
    let recovered = recover(&place.state).expect("recovered");
    assert!(matches!(&recovered[..], [one] if one.result.is_err()), "{recovered:?}");
    assert_eq!(fs::read_dir(&journals).expect("it").count(), 1, "only the one that may be in the making stays");
    assert!(recover(&place.state).expect("recovered").is_empty());
}

#[test]
fn a_state_directory_in_the_workspace_is_refused() {
    let place = Place::new();
    let before = place.before();
    let link = place.workspace.with_extension("link");
    std::os::unix::fs::symlink(&place.workspace, &link).expect("a link");
    for path in [place.workspace.join("state"), link.join("deep/state")] {
        let state = StateDirectory::new(&path).expect("absolute");
        let quarantine = Quarantine::new(&state, &before);
        let refused = Journal::begin(&state, &before, &place.rules, &HELD, &quarantine);
        assert!(matches!(refused, Err(JournalError::State(StateError::InWorkspace { .. }))), "{refused:?}");
    }
    assert!(matches!(StateDirectory::new("state".as_ref()), Err(StateError::Relative(_))));
}

#[test]
fn a_journal_keeps_what_it_says() {
    let place = Place::new();
    place.repository(".git");
    let mut before = place.before();
    before.record_contents().expect("contents");
    let text = serde_json::to_string(&before).expect("written");
    assert_eq!(serde_json::from_str::<stockade_workspace::Before>(&text).expect("read"), before);
}
