//! After an apply has changed the host, checkpoints show what they showed.

use std::fs;
use std::path::{Path, PathBuf};

use stockade_workspace::layers::Entry;
use stockade_workspace::sandboxes::{Sandbox, Seen};

use crate::support::{Place, checkpoint, opaque, tick, whiteout, write};

fn entry(path: &Path) -> Option<Entry> {
    use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
    statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS).ok().as_ref().map(Entry::of)
}

/// A host with work in a sandbox that changes, removes and adds.
fn place() -> (Place, Sandbox) {
    let place = Place::new();
    for path in ["same", "changed", "d/changed", "d/same", "gone/x", "gone/y/z"] {
        place.host(path, &format!("old {path}"));
    }
    tick();
    let mut sandbox = place.new_sandbox();
    tick();
    write(&sandbox.upper(), "first", "1");
    checkpoint(&mut sandbox);
    write(&sandbox.upper(), "changed", "new");
    write(&sandbox.upper(), "d/changed", "new");
    write(&sandbox.upper(), "added/in", "new");
    whiteout(&sandbox.upper(), "gone");
    checkpoint(&mut sandbox);
    (place, sandbox)
}

/// Moves what the host has at some paths to a tree, as an apply does, and says where there is nothing.
fn put_aside(place: &Place, sandbox: &Sandbox, paths: &[&str]) -> PathBuf {
    let old = sandbox.path().join("apply/old");
    fs::create_dir_all(&old).expect("a tree");
    for path in paths {
        let (from, to) = (place.workspace.join(path), old.join(path));
        match entry(&from) {
            None => whiteout(&old, path),
            Some(_) => {
                fs::create_dir_all(to.parent().expect("a parent")).expect("parents");
                fs::rename(&from, &to).expect("moved");
                if to.is_dir() {
                    opaque(&old, path);
                }
            }
        }
    }
    old
}

/// Does to the host what an apply of some paths does.
fn apply(place: &Place, sandbox: &mut Sandbox, changes: &[(&str, Option<&str>)]) {
    let paths: Vec<&str> = changes.iter().map(|(path, _)| *path).collect();
    let old = put_aside(place, sandbox, &paths);
    for (path, text) in changes {
        if let Some(text) = text {
            place.host(path, text);
        }
    }
    let mut locked = sandbox.lock().expect("locked");
    let preserving = locked.preserve().expect("begun");
    preserving.adopt(&old).expect("taken over");
    let renewed = paths.iter().map(|path| (PathBuf::from(path), entry(&place.workspace.join(path))));
    locked.finish_preserving(preserving, renewed).expect("finished");
}

const ALL: [(&str, Option<&str>); 5] = [
    ("changed", Some("new")),
    ("d/changed", Some("new")),
    ("gone", None),
    ("added/in", Some("new")),
    ("first", Some("1")),
];

#[test]
fn checkpoints_show_what_they_showed() {
    let (place, mut sandbox) = place();
    let shown = |sandbox: &Sandbox, name: &str| place.seen(&sandbox.layers_of(name).expect("layers"));
    let before = ["c1", "c2"].map(|name| shown(&sandbox, name));
    apply(&place, &mut sandbox, &ALL);
    // The directory of what was added was made by hand here, so it shows.
    let without = |mut seen: crate::support::Seen| {
        seen.remove("added");
        seen
    };
    assert_eq!(["c1", "c2"].map(|name| without(shown(&sandbox, name))), before.clone().map(without));
    assert_eq!(place.seen(&sandbox.layers()), before[1]);
    assert_eq!(place.seen(&[]), before[1], "the host has what the sandbox has");
    // The host's own later changes show where nothing was kept, and only there.
    place.host("same", "newer");
    place.host("gone/x", "newer");
    place.host("d/more", "newer");
    let now = shown(&sandbox, "c1");
    assert_eq!((now["same"].as_str(), now["gone/x"].as_str()), ("newer", "old gone/x"));
    assert_eq!(now["d/more"], "newer");
    sandbox.lock().expect("locked").restore("c1", None).expect("restored");
    assert_eq!(place.seen(&sandbox.layers())["changed"], "old changed");
    for (id, _) in sandbox.digests() {
        assert!(sandbox.verify_layer(id).expect("compared").is_good());
    }
}

#[test]
fn what_is_compared_with_is_what_the_apply_left() {
    let (place, mut sandbox) = place();
    apply(&place, &mut sandbox, &ALL);
    let base = |sandbox: &Sandbox, path: &str| sandbox.base_of(Path::new(path)).expect("notes");
    for path in ["changed", "gone", "added/in"] {
        let expected = Seen::Known { entry: entry(&place.workspace.join(path)), copy: None };
        assert_eq!(base(&sandbox, path), expected, "{path}");
        assert_eq!(sandbox.bases_at("c1").expect("notes").of(Path::new(path)), &expected, "{path}");
    }
    // And after another apply, what that left.
    tick();
    apply(&place, &mut sandbox, &[("changed", Some("newest"))]);
    let renewed = entry(&place.workspace.join("changed"));
    assert_eq!(base(&sandbox, "changed"), Seen::Known { entry: renewed, copy: None });
    assert_eq!(place.seen(&sandbox.layers_of("c1").expect("layers"))["changed"], "old changed");
}

#[test]
fn lists_of_layers_do_not_grow_with_every_apply() {
    let (place, mut sandbox) = place();
    let mut supervisor = None;
    for number in 0..12 {
        if number == 8 {
            supervisor = sandbox.lock().expect("locked").hold_supervisor().expect("held");
        }
        let path = if number % 2 == 0 { "changed" } else { "d/same" };
        apply(&place, &mut sandbox, &[(path, Some(&number.to_string()))]);
        let count = sandbox.layers_of("c1").expect("layers").len();
        assert_eq!(count, if number < 8 { 2 } else { number - 8 + 3 }, "not while programs run");
    }
    assert!(sandbox.is_deep());
    drop(supervisor);
    sandbox.lock().expect("locked").compact(None).expect("merged");
    assert_eq!(sandbox.layers_of("c1").expect("layers").len(), 2);
    let seen = place.seen(&sandbox.layers_of("c1").expect("layers"));
    assert_eq!((seen["changed"].as_str(), seen["d/same"].as_str()), ("old changed", "old d/same"));
    for path in ["changed", "d/same"] {
        let expected = Seen::Known { entry: entry(&place.workspace.join(path)), copy: None };
        assert_eq!(sandbox.base_of(Path::new(path)).expect("notes"), expected, "{path}");
    }
    for (id, _) in sandbox.digests() {
        assert!(sandbox.verify_layer(id).expect("compared").is_good());
    }
    assert_eq!(place.layers().len(), 3);
}

#[test]
fn an_interrupted_apply_goes_on_with_the_same_layer() {
    let (place, mut sandbox) = place();
    let old = put_aside(&place, &sandbox, &["changed"]);
    place.host("changed", "new");
    let mut locked = sandbox.lock().expect("locked");
    let begun = locked.preserve().expect("begun");
    begun.adopt(&old).expect("taken over");
    let id = begun.id();
    drop((begun, locked));
    // Nobody takes it for garbage, and other changes do not disturb it.
    place.sandboxes.prune(&stockade_workspace::sandboxes::Prune::default()).expect("pruned");
    assert!(place.layers().contains(&id.to_string()));
    write(&sandbox.upper(), "more", "1");
    checkpoint(&mut sandbox);
    let mut locked = sandbox.lock().expect("locked");
    let found = locked.preserve().expect("gone on with");
    assert_eq!(found.id(), id);
    found.adopt(&old).expect("it was taken over");
    let renewed = [(PathBuf::from("changed"), entry(&place.workspace.join("changed")))];
    locked.finish_preserving(found, renewed.clone()).expect("finished");
    drop(locked);
    assert_eq!(place.seen(&sandbox.layers_of("c1").expect("layers"))["changed"], "old changed");
    // Done once more, as it was not known that it was done, it changes nothing.
    let before = (sandbox.digests(), place.layers());
    let mut locked = sandbox.lock().expect("locked");
    let again = locked.preserve().expect("begun");
    again.adopt(&old).expect("it is gone");
    locked.finish_preserving(again, renewed).expect("finished");
    drop(locked);
    assert_eq!((sandbox.digests(), place.layers()), before);
}

#[test]
fn an_apply_that_came_to_nothing_leaves_nothing() {
    let (place, mut sandbox) = place();
    let before = (place.layers(), sandbox.digests());
    let mut locked = sandbox.lock().expect("locked");
    let begun = locked.preserve().expect("begun");
    assert_eq!(fs::read_dir(begun.tree()).expect("a tree").count(), 0);
    locked.drop_preserving(begun).expect("dropped");
    drop(locked);
    assert_eq!((place.layers(), sandbox.digests()), before);
    assert!(!sandbox.path().join("preserving").exists());
}
