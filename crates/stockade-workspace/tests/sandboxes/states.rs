//! Checkpoints are taken, shown, gone back to, gone on from.

use std::fs;
use std::os::unix::fs::MetadataExt;

use stockade_workspace::sandboxes::{At, Sandbox, SandboxError};

use crate::support::{Place, checkpoint, inode, names, opaque, set_mode, take, whiteout, write};

#[test]
fn a_checkpoint_keeps_what_was_written() {
    let place = Place::new();
    place.host("kept", "host");
    place.host("gone/a", "host");
    let mut sandbox = place.new_sandbox();
    write(&sandbox.upper(), "new", "1");
    whiteout(&sandbox.upper(), "gone");
    let before = inode(&sandbox.upper().join("new"));
    let first = checkpoint(&mut sandbox);
    assert_eq!(
        (first.name.as_str(), first.parent.as_deref(), first.automatic, first.running),
        ("c1", None, false, false)
    );
    assert!(names(&sandbox.upper()).is_empty());
    assert_eq!(inode(&sandbox.under()[0].join("new")), before, "it was moved, not copied");
    let seen = place.seen(&sandbox.layers());
    assert_eq!(seen.keys().collect::<Vec<_>>(), ["kept", "new"]);
    opaque(&sandbox.upper(), "gone");
    write(&sandbox.upper(), "gone/b", "2");
    let second = checkpoint(&mut sandbox);
    assert_eq!((second.name.as_str(), second.parent.as_deref()), ("c2", Some("c1")));
    assert_eq!(second.layers.len(), 2);
    assert_eq!(place.seen(&sandbox.layers_of("c1").expect("c1")), seen);
    assert_eq!(place.seen(&sandbox.layers()).keys().collect::<Vec<_>>(), ["gone", "gone/b", "kept", "new"]);
    assert_eq!(sandbox.head(), Some(second));
}

#[test]
fn a_checkpoint_of_nothing_new_makes_no_layer() {
    let place = Place::new();
    let mut sandbox = place.new_sandbox();
    let mut locked = sandbox.lock().expect("locked");
    assert_eq!(take(&mut locked, Some("start"), false).name, "c1");
    assert_eq!(take(&mut locked, None, true).name, "c1", "nobody asked for another");
    assert_eq!(take(&mut locked, None, false).name, "c2");
    drop(locked);
    assert!(place.layers().is_empty());
    // A directory that only had its mode changed is something new.
    set_mode(&sandbox.upper(), 0o700);
    assert_eq!(checkpoint(&mut sandbox).layers.len(), 1);
    assert_eq!(fs::metadata(sandbox.upper()).expect("upper").mode() & 0o7777, 0o700);
    assert_eq!(checkpoint(&mut sandbox).layers.len(), 1);
}

#[test]
fn a_restored_state_is_that_of_the_checkpoint_and_nothing_is_lost() {
    let place = Place::new();
    let mut sandbox = place.new_sandbox();
    write(&sandbox.upper(), "a", "1");
    set_mode(&sandbox.upper(), 0o711);
    checkpoint(&mut sandbox);
    write(&sandbox.upper(), "a", "2");
    set_mode(&sandbox.upper(), 0o755);
    checkpoint(&mut sandbox);
    write(&sandbox.upper(), "a", "3");
    let restored = sandbox.lock().expect("locked").restore("c1", None).expect("restored");
    let kept = restored.kept.expect("a checkpoint");
    assert_eq!((kept.name.as_str(), kept.automatic, kept.parent.as_deref()), ("c3", true, Some("c2")));
    assert_eq!(place.seen(&sandbox.layers())["a"], "1");
    assert_eq!(fs::metadata(sandbox.upper()).expect("upper").mode() & 0o7777, 0o711);
    assert_eq!(sandbox.head().expect("head").name, "c1");
    assert!(sandbox.lock().expect("locked").restore("c1", None).expect("again").kept.is_none());
    assert!(sandbox.lock().expect("locked").restore("c3", None).expect("forward").kept.is_none());
    assert_eq!(place.seen(&sandbox.layers())["a"], "3");
    assert_eq!(fs::metadata(sandbox.upper()).expect("upper").mode() & 0o7777, 0o755);
    write(&sandbox.upper(), "b", "4");
    assert_eq!(checkpoint(&mut sandbox).parent.as_deref(), Some("c3"));
    // The file on disk says the same.
    let again = place.sandboxes.open("project-1").expect("opened");
    assert_eq!(again.log(), sandbox.log());
    let log: Vec<_> =
        again.log().into_iter().map(|branch| (branch.checkpoint.name, branch.depth, branch.head)).collect();
    let expected = [("c1", 0, false), ("c2", 1, false), ("c3", 2, false), ("c4", 3, true)];
    assert_eq!(log, expected.map(|(name, depth, head)| (name.to_owned(), depth, head)));
}

#[test]
fn the_log_is_a_tree() {
    let place = Place::new();
    let mut sandbox = place.new_sandbox();
    for (number, from) in [(1, None), (2, None), (3, Some("c1")), (4, Some("c2")), (5, Some("c1"))] {
        if let Some(from) = from {
            sandbox.lock().expect("locked").restore(from, None).expect("restored");
        }
        write(&sandbox.upper(), &number.to_string(), "");
        checkpoint(&mut sandbox);
    }
    let log: Vec<_> = sandbox.log().into_iter().map(|branch| (branch.checkpoint.name, branch.depth)).collect();
    let expected = [("c1", 0), ("c2", 1), ("c4", 2), ("c3", 1), ("c5", 1)];
    assert_eq!(log, expected.map(|(name, depth)| (name.to_owned(), depth)));
}

#[test]
fn discarded_work_can_be_had_again() {
    let place = Place::new();
    place.host("a", "host");
    let mut sandbox = place.new_sandbox();
    assert!(sandbox.lock().expect("locked").discard(None).expect("nothing to discard").kept.is_none());
    write(&sandbox.upper(), "a", "1");
    let kept = sandbox.lock().expect("locked").discard(None).expect("discarded").kept.expect("a checkpoint");
    place.host("a", "newer");
    assert_eq!(place.seen(&sandbox.layers())["a"], "newer");
    assert!(sandbox.head().is_none() && sandbox.under().is_empty());
    sandbox.lock().expect("locked").restore(&kept.name, None).expect("restored");
    assert_eq!(place.seen(&sandbox.layers())["a"], "1");
}

#[test]
fn forks_and_their_source_never_see_one_another() {
    let place = Place::new();
    let mut source = place.create(Some("source")).expect("a sandbox");
    write(&source.upper(), "a", "1");
    checkpoint(&mut source);
    write(&source.upper(), "a", "2");
    checkpoint(&mut source);
    write(&source.upper(), "a", "3");
    let mut early = place.sandboxes.fork("source", At::Checkpoint("c1"), Some("early")).expect("a fork");
    assert_eq!(place.layers().len(), 2, "nothing is made for a checkpoint that is there");
    let now = place.sandboxes.fork("source", At::Now, None).expect("a fork");
    assert_eq!(now.name(), "project-1");
    write(&early.upper(), "a", "early");
    write(&now.upper(), "b", "now");
    let source = place.sandboxes.open("source").expect("opened");
    let content = |sandbox: &Sandbox| place.seen(&sandbox.layers()).into_iter().collect::<Vec<_>>();
    let pairs =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
    assert_eq!(content(&source), pairs(&[("a", "3")]));
    assert_eq!(content(&early), pairs(&[("a", "early")]));
    assert_eq!(content(&now), pairs(&[("a", "3"), ("b", "now")]));
    // What it came from comes along, and numbers go on.
    let of = |log: Vec<stockade_workspace::sandboxes::Branch>| -> Vec<String> {
        log.into_iter().map(|branch| branch.checkpoint.name).collect()
    };
    assert_eq!(of(early.log()), ["c1"]);
    assert_eq!(of(now.log()), ["c1", "c2", "c3"]);
    assert_eq!(checkpoint(&mut early).name, "c2");
    assert_eq!(early.settings(), source.settings());
    assert!(matches!(early.lock().expect("locked").restore("c3", None), Err(SandboxError::UnknownCheckpoint { .. })));
}

#[test]
fn checkpoints_can_be_named_by_their_label() {
    let place = Place::new();
    let mut sandbox = place.new_sandbox();
    let mut locked = sandbox.lock().expect("locked");
    for label in ["good", "twice", "twice", "c1"] {
        take(&mut locked, Some(label), false);
    }
    assert_eq!(locked.find("good").expect("found").name, "c1");
    assert_eq!(locked.find("c1").expect("found").name, "c1", "a name goes before a label");
    let error = locked.find("twice").expect_err("two have it");
    assert!(error.to_string().ends_with("name one of c2, c3"), "{error}");
    let error = locked.find("c9").expect_err("none has it").to_string();
    assert_eq!(error, "the sandbox `project-1` has no checkpoint \"c9\"; the checkpoints are c1, c2, c3, c4");
}

#[test]
fn forgotten_checkpoints_give_their_layers_back() {
    let place = Place::new();
    let mut sandbox = place.new_sandbox();
    write(&sandbox.upper(), "a", "1");
    checkpoint(&mut sandbox);
    sandbox.lock().expect("locked").discard(None).expect("discarded");
    write(&sandbox.upper(), "a", "2");
    checkpoint(&mut sandbox);
    write(&sandbox.upper(), "a", "3");
    checkpoint(&mut sandbox);
    sandbox.lock().expect("locked").restore("c2", None).expect("restored");
    assert_eq!(place.layers().len(), 3);
    sandbox.lock().expect("locked").forget("c1").expect("forgotten");
    assert_eq!(place.layers().len(), 2);
    sandbox.lock().expect("locked").forget("c2").expect("forgotten");
    assert_eq!(place.layers().len(), 2, "the current state and c3 lie on it");
    assert_eq!(place.seen(&sandbox.layers())["a"], "2");
    assert!(sandbox.head().is_none());
    assert_eq!(sandbox.find("c3").expect("c3").parent, None);
    assert_eq!(checkpoint(&mut sandbox).name, "c4", "a number is not given again");
}

#[test]
fn deep_lists_of_layers_are_merged() {
    let place = Place::new();
    place.host("host", "");
    let mut sandbox = place.new_sandbox();
    let mut shown = Vec::new();
    for number in 0..30 {
        write(&sandbox.upper(), "always", &number.to_string());
        write(&sandbox.upper(), &format!("d{}/{number}", number % 4), "x");
        if number % 7 == 6 {
            whiteout(&sandbox.upper(), &format!("d{}/{}", (number - 1) % 4, number - 1));
        }
        let taken = checkpoint(&mut sandbox);
        shown.push((taken.name, place.seen(&sandbox.layers())));
    }
    assert!(sandbox.is_deep());
    let before = place.seen(&sandbox.layers());
    assert_eq!(sandbox.lock().expect("locked").compact(None).expect("merged"), 18);
    assert_eq!(sandbox.lock().expect("locked").compact(None).expect("nothing to do"), 0);
    assert_eq!(sandbox.under().len(), 12);
    assert_eq!(place.seen(&sandbox.layers()), before);
    for (name, seen) in &shown {
        assert_eq!(&place.seen(&sandbox.layers_of(name).expect("a checkpoint")), seen, "{name}");
    }
    // Those that no checkpoint names are gone once they are merged further.
    for (name, _) in shown {
        sandbox.lock().expect("locked").forget(&name).expect("forgotten");
    }
    assert_eq!(place.layers().len(), 12);
    assert_eq!(place.seen(&sandbox.layers()), before);
}

#[test]
fn a_list_of_layers_never_grows_too_long_to_be_mounted() {
    let place = Place::new();
    let mut sandbox = place.new_sandbox();
    for number in 0..60 {
        write(&sandbox.upper(), &number.to_string(), "");
        checkpoint(&mut sandbox);
        assert!(sandbox.under().len() <= 48, "{number}");
    }
    assert_eq!(place.seen(&sandbox.layers()).len(), 60);
}
