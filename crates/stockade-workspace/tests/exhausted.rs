//! What cannot be done for want of descriptors is left for later, and not forgotten. One test, as it is about the whole process.

mod support;

use std::fs::File;
use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use stockade_workspace::{Before, Journal, Left, Quarantine, Swept, recover, sweep};
use support::{HELD, Place, put_away};

/// Descriptors that a caller of the sweep holds ready for it.
const ENOUGH: usize = 24;

fn planted(place: &Place) -> Before {
    place.repository("own/.git");
    let before = place.before();
    for path in ["sub/.git/HEAD", "sub/.git/hooks/pre-commit", ".envrc"] {
        place.file(path, "planted");
    }
    before
}

/// Runs `action` with `spare` descriptors and no more.
fn with_spare<T>(spare: usize, action: impl FnOnce() -> T) -> T {
    let whole = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(256), ..whole }).expect("a smaller limit");
    let mut taken: Vec<io::Result<File>> = Vec::new();
    while taken.last().is_none_or(Result::is_ok) {
        taken.push(File::open("/dev/null"));
    }
    taken.truncate(taken.len().saturating_sub(1 + spare));
    let result = action();
    drop(taken);
    setrlimit(Resource::Nofile, whole).expect("the limit as it was");
    result
}

fn swept_with(place: &Place, before: &Before, spare: usize) -> Swept {
    let mut quarantine = Quarantine::new(&place.state, before);
    with_spare(spare, || sweep(before, &place.rules, &HELD, &mut quarantine))
}

#[test]
fn what_descriptors_are_missing_for_is_made_up_for() {
    for spare in 0..8 {
        let place = Place::new();
        let before = planted(&place);
        let quarantine = Quarantine::new(&place.state, &before);
        let journal = Journal::begin(&place.state, &before, &place.rules, &HELD, &quarantine).expect("a journal");
        let swept = swept_with(&place, &before, spare);
        let all_gone = !place.exists("sub/.git/hooks/pre-commit") && !place.exists(".envrc");
        assert!(all_gone || swept.left == Left::ForNow, "{spare}: {swept:?}");
        drop(journal);
        if swept.left == Left::Nothing {
            continue;
        }
        // Where it is tried without descriptors once more, it is still not forgotten.
        drop(with_spare(spare, || recover(&place.state)));
        let recovered = recover(&place.state).expect("recovered");
        assert!(recovered.iter().all(|run| run.result.as_ref().is_ok_and(|swept| swept.left == Left::Nothing)));
        assert!(!place.exists("sub/.git/hooks/pre-commit") && !place.exists(".envrc"), "{spare}: {recovered:?}");
        assert!(recover(&place.state).expect("recovered").is_empty());
    }
    deep_and_branching();
}

/// However deep the workspace is, few descriptors are enough.
fn deep_and_branching() {
    let place = Place::new();
    let before = planted(&place);
    let mut deep = String::new();
    for _ in 0..200 {
        deep += "h/";
        // Whatever the order of a directory is, others come after the one that goes on.
        for side in ["a", "b", "c", "d", "e", "f", "g", "i"] {
            place.file(&format!("{deep}{side}/file"), "");
        }
    }
    place.file(&format!("{deep}.envrc"), "planted");
    let swept = swept_with(&place, &before, ENOUGH);
    assert_eq!(swept.left, Left::Nothing, "{swept:?}");
    let deepest = format!("{deep}.envrc");
    assert_eq!(put_away(&swept), [".envrc", &deepest, "sub/.git/hooks"]);
}
