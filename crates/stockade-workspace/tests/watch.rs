//! Protected files that appear during a run are put away at once.

mod support;

use std::fs;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use stockade_workspace::{Before, Quarantine, Swept, Watch};
use support::{HELD, Place, put_away};

struct Watched<'p> {
    place: &'p Place,
    before: Before,
    quarantine: Quarantine,
    watch: Watch,
}

impl<'p> Watched<'p> {
    fn new(place: &'p Place) -> Self {
        let before = place.before();
        let watch = Watch::start(&before).expect("a watch");
        let quarantine = Quarantine::new(&place.state, &before);
        Self { place, before, quarantine, watch }
    }

    /// Whether something happened within five seconds, or within none.
    fn is_ready(&self, wait: bool) -> bool {
        let timeout = Timespec { tv_sec: if wait { 5 } else { 0 }, tv_nsec: 0 };
        let mut fds = [PollFd::from_borrowed_fd(self.watch.as_fd(), PollFlags::IN)];
        poll(&mut fds, Some(&timeout)).expect("polled") == 1
    }

    fn caught(&mut self) -> Swept {
        assert!(self.is_ready(true));
        self.watch.on_ready(&self.before, &self.place.rules, &HELD, &mut self.quarantine).expect("read")
    }
}

#[test]
fn what_appears_is_put_away_at_once() {
    let place = Place::new();
    place.repository(".git");
    let mut watched = Watched::new(&place);
    place.file(".envrc", "planted");
    assert_eq!(put_away(&watched.caught()), [".envrc"]);
    assert!(!place.exists(".envrc"));
    place.file("src.rs", "");
    assert!(put_away(&watched.caught()).is_empty());
    assert!(!watched.is_ready(false));
}

#[test]
fn directories_that_rules_lead_through_are_followed() {
    let place = Place::new();
    let mut watched = Watched::new(&place);
    place.file(".github/workflows/ci.yml", "planted");
    assert_eq!(put_away(&watched.caught()), [".github/workflows"]);
    fs::create_dir(place.workspace.join("deploy")).expect("made");
    assert!(put_away(&watched.caught()).is_empty());
    place.file("deploy/hooks/x", "planted");
    assert_eq!(put_away(&watched.caught()), ["deploy/hooks"]);
}

#[test]
fn a_new_repository_of_gits_own_making_stays_and_a_changed_one_does_not() {
    let place = Place::new();
    let mut watched = Watched::new(&place);
    place.repository(".git");
    assert!(put_away(&watched.caught()).is_empty());
    assert!(place.exists(".git/config"));
    while watched.is_ready(false) {
        assert!(put_away(&watched.caught()).is_empty());
    }
    place.file(".git/config", "[core]\n\tfsmonitor = ./x\n");
    assert_eq!(put_away(&watched.caught()), [".git/config"]);
}

#[test]
fn a_late_start_misses_nothing() {
    let place = Place::new();
    place.repository(".git");
    let before = place.before();
    place.file(".envrc", "planted");
    place.file(".github/workflows/ci.yml", "planted");
    let mut quarantine = Quarantine::new(&place.state, &before);
    let mut watch = Watch::start(&before).expect("a watch");
    let swept = watch.on_ready(&before, &place.rules, &HELD, &mut quarantine).expect("read");
    assert_eq!(put_away(&swept), [".envrc", ".github/workflows"]);
}

#[test]
fn more_events_than_the_kernel_keeps_are_left_to_the_sweep() {
    let place = Place::new();
    let mut watched = Watched::new(&place);
    for number in 0..20_000 {
        place.file(&format!("file{number}"), "");
    }
    place.file(".envrc", "planted");
    while watched.is_ready(false) {
        watched.caught();
    }
    place.sweep(&watched.before, &HELD);
    assert!(!place.exists(".envrc"));
}
