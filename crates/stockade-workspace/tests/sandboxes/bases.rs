//! What the host had is remembered from when the sandbox saw it first.

use std::fs;
use std::path::Path;

use rustix::fs::XattrFlags;
use stockade_workspace::layers::{Entry, Kind};
use stockade_workspace::sandboxes::{At, Sandbox, Seen};

use crate::support::{Place, checkpoint, checkpoint_frozen, opaque, tick, whiteout, write};

fn note(sandbox: &mut Sandbox) {
    sandbox.lock().expect("locked").note_bases().expect("noted");
}

fn base(sandbox: &Sandbox, path: &str) -> Seen {
    sandbox.base_of(Path::new(path)).expect("notes")
}

fn known(sandbox: &Sandbox, path: &str) -> Option<Entry> {
    match base(sandbox, path) {
        Seen::Known { entry, .. } => entry,
        Seen::Uncertain => panic!("{path} is uncertain"),
    }
}

fn copy(sandbox: &Sandbox, path: &str) -> String {
    match base(sandbox, path) {
        Seen::Known { copy: Some(copy), .. } => fs::read_to_string(copy).expect("a copy"),
        other => panic!("{path}: {other:?}"),
    }
}

/// A workspace that has been as it is for a while.
fn place() -> (Place, Sandbox) {
    let place = Place::new();
    for (path, text) in [("a", "host a"), ("d/b", "host b"), ("tree/x/y", "y"), ("tree/z", "z"), ("large", "")] {
        place.host(path, text);
    }
    let large = fs::File::create(place.workspace.join("large")).expect("a file");
    large.set_len(1 << 20).expect("its length");
    tick();
    let sandbox = place.new_sandbox();
    tick();
    (place, sandbox)
}

#[test]
fn what_the_host_had_is_noted_once() {
    let (place, mut sandbox) = place();
    let upper = sandbox.upper();
    write(&upper, "a", "1");
    write(&upper, "large", "1");
    write(&upper, "new/file", "1");
    whiteout(&upper, "d/b");
    assert_eq!(base(&sandbox, "a"), Seen::Uncertain, "nothing is noted yet");
    note(&mut sandbox);
    assert_eq!(known(&sandbox, "a").map(|entry| (entry.kind, entry.size)), Some((Kind::File, 6)));
    assert_eq!((copy(&sandbox, "a").as_str(), copy(&sandbox, "d/b").as_str()), ("host a", "host b"));
    assert_eq!(known(&sandbox, "d").map(|entry| entry.kind), Some(Kind::Directory));
    assert!(matches!(base(&sandbox, "large"), Seen::Known { entry: Some(_), copy: None }));
    assert_eq!((known(&sandbox, "new"), known(&sandbox, "new/file")), (None, None));
    assert_eq!(base(&sandbox, "tree/z"), Seen::Uncertain, "the sandbox has not touched it");
    // The host's later changes are not what the sandbox saw.
    let before = known(&sandbox, "a");
    place.host("a", "changed");
    write(&upper, "a", "2");
    note(&mut sandbox);
    assert_eq!((known(&sandbox, "a"), copy(&sandbox, "a").as_str()), (before, "host a"));
    checkpoint(&mut sandbox);
    write(&upper, "a", "3");
    checkpoint(&mut sandbox);
    assert_eq!((known(&sandbox, "a"), copy(&sandbox, "a").as_str()), (before, "host a"));
    assert!(!sandbox.path().join("bases").exists(), "they went with their layer");
}

#[test]
fn a_change_of_the_host_meanwhile_is_uncertain() {
    let (place, mut sandbox) = place();
    write(&sandbox.upper(), "a", "1");
    place.host("a", "changed meanwhile");
    note(&mut sandbox);
    assert_eq!(base(&sandbox, "a"), Seen::Uncertain);
    // Once it is said that programs begin to run, what was before is certain.
    place.host("d/b", "changed before");
    tick();
    sandbox.lock().expect("locked").begin_window().expect("begun");
    tick();
    write(&sandbox.upper(), "d/b", "1");
    note(&mut sandbox);
    assert_eq!(copy(&sandbox, "d/b"), "changed before");
    // And so is what was before the last note.
    place.host("tree/z", "changed between");
    tick();
    note(&mut sandbox);
    write(&sandbox.upper(), "tree/z", "1");
    note(&mut sandbox);
    assert_eq!(copy(&sandbox, "tree/z"), "changed between");
}

#[test]
fn a_directory_is_no_other_for_what_the_host_puts_in_it() {
    let (place, mut sandbox) = place();
    write(&sandbox.upper(), "d/new", "1");
    write(&sandbox.upper(), "tree/new", "1");
    place.host("d/meanwhile", "");
    place.host("tree/meanwhile", "");
    tick();
    crate::support::set_mode(&place.workspace.join("tree"), 0o700);
    note(&mut sandbox);
    assert!(known(&sandbox, "d").is_some() && known(&sandbox, "").is_some());
    assert_eq!(base(&sandbox, "tree"), Seen::Uncertain, "its mode was changed");
}

#[test]
fn what_is_hidden_is_noted_as_well() {
    let (_place, mut sandbox) = place();
    whiteout(&sandbox.upper(), "tree");
    opaque(&sandbox.upper(), "d");
    write(&sandbox.upper(), "d/new", "1");
    note(&mut sandbox);
    for (path, kind) in [("tree", Kind::Directory), ("tree/x", Kind::Directory), ("tree/x/y", Kind::File)] {
        assert_eq!(known(&sandbox, path).map(|entry| entry.kind), Some(kind), "{path}");
    }
    assert_eq!(known(&sandbox, "d/b").map(|entry| entry.size), Some(6));
    assert_eq!(known(&sandbox, "d/new"), None);
}

#[test]
fn a_copy_of_what_the_host_has_no_more_is_uncertain() {
    let (place, mut sandbox) = place();
    let marked = |sandbox: &Sandbox, path: &str| {
        write(&sandbox.upper(), path, "1");
        let path = sandbox.upper().join(path);
        rustix::fs::setxattr(path, "user.overlay.origin", b"", XattrFlags::empty()).expect("overlayfs's mark");
    };
    write(&sandbox.upper(), "own", "1");
    checkpoint(&mut sandbox);
    marked(&sandbox, "a");
    fs::remove_file(place.workspace.join("a")).expect("removed");
    marked(&sandbox, "own");
    note(&mut sandbox);
    assert_eq!(base(&sandbox, "a"), Seen::Uncertain, "the sandbox changed it when the host still had it");
    assert_eq!(known(&sandbox, "own"), None, "it came from a layer");
}

#[test]
fn a_file_that_was_renamed_is_no_loss_of_the_host() {
    let (place, mut sandbox) = place();
    // As overlayfs does it: the copy keeps its mark under its new name.
    for path in ["renamed", "d/renamed", "new/renamed"] {
        write(&sandbox.upper(), path, "host a");
        let path = sandbox.upper().join(path);
        rustix::fs::setxattr(path, "user.overlay.origin", b"", XattrFlags::empty()).expect("overlayfs's mark");
    }
    whiteout(&sandbox.upper(), "a");
    place.host("tree/meanwhile", "in another directory");
    note(&mut sandbox);
    for path in ["renamed", "d/renamed", "new/renamed"] {
        assert_eq!(known(&sandbox, path), None, "{path}");
    }
    assert_eq!(copy(&sandbox, "a"), "host a");
}

#[test]
fn what_is_hidden_later_is_noted_then() {
    let (place, mut sandbox) = place();
    write(&sandbox.upper(), "tree/z", "1");
    note(&mut sandbox);
    assert_eq!(base(&sandbox, "tree/x/y"), Seen::Uncertain);
    fs::remove_dir_all(sandbox.upper().join("tree")).expect("removed");
    opaque(&sandbox.upper(), "tree");
    tick();
    note(&mut sandbox);
    assert!(known(&sandbox, "tree/x/y").is_some());
    // Once: what the host puts there later is not looked at.
    place.host("tree/x/later", "");
    note(&mut sandbox);
    assert_eq!(base(&sandbox, "tree/x/later"), Seen::Uncertain);
}

#[test]
fn notes_follow_the_layers() {
    let (place, mut sandbox) = place();
    write(&sandbox.upper(), "a", "1");
    checkpoint_frozen(&mut sandbox, &[]);
    place.host("d/b", "newer b");
    tick();
    note(&mut sandbox);
    write(&sandbox.upper(), "d/b", "1");
    checkpoint(&mut sandbox);
    let at = |sandbox: &Sandbox, checkpoint: &str, path: &str| {
        sandbox.bases_at(checkpoint).expect("notes").of(Path::new(path)).clone()
    };
    assert!(matches!(at(&sandbox, "c1", "a"), Seen::Known { copy: Some(_), .. }));
    assert_eq!(at(&sandbox, "c1", "d/b"), Seen::Uncertain, "the copy of the layer has no part in it");
    assert_eq!(at(&sandbox, "c2", "a"), base(&sandbox, "a"));
    assert_eq!(copy(&sandbox, "d/b"), "newer b");
    // A fork from before makes notes of its own.
    let mut fork = place.sandboxes.fork("project-1", At::Checkpoint("c1"), None).expect("a fork");
    assert_eq!(copy(&fork, "a"), "host a");
    tick();
    place.host("d/b", "newest b");
    tick();
    note(&mut fork);
    write(&fork.upper(), "d/b", "fork");
    note(&mut fork);
    assert_eq!(copy(&fork, "d/b"), "newest b");
    // Gone back to, it starts anew.
    sandbox.lock().expect("locked").discard(None).expect("discarded");
    assert_eq!(base(&sandbox, "a"), Seen::Uncertain);
}

#[test]
fn merged_layers_keep_the_lower_note() {
    let (place, mut sandbox) = place();
    for number in 0..20 {
        let path = ["a", "d/b", "tree/z"][number % 3];
        write(&sandbox.upper(), path, &number.to_string());
        tick();
        checkpoint(&mut sandbox);
        place.host(path, &format!("host {number}"));
        tick();
        note(&mut sandbox);
    }
    let before: Vec<_> = ["a", "d/b", "tree/z"].iter().map(|path| copy(&sandbox, path)).collect();
    assert_eq!(before, ["host a", "host b", "z"]);
    assert_eq!(sandbox.lock().expect("locked").compact(None).expect("merged"), 8);
    let after: Vec<_> = ["a", "d/b", "tree/z"].iter().map(|path| copy(&sandbox, path)).collect();
    assert_eq!(after, before);
}

#[test]
fn notes_that_were_cut_short_are_none() {
    let (_place, mut sandbox) = place();
    write(&sandbox.upper(), "a", "1");
    note(&mut sandbox);
    let notes = sandbox.path().join("bases/notes.jsonl");
    let mut text = fs::read(&notes).expect("notes");
    text.truncate(text.len() - 5);
    fs::write(&notes, text).expect("cut");
    assert_eq!(base(&sandbox, "a"), Seen::Uncertain);
    note(&mut sandbox);
    assert_eq!(copy(&sandbox, "a"), "host a", "noted again");
}
