//! What the host has changed since the sandbox began.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use stockade_workspace::apply::{self, Conflict, Reason, Seen, Selection};
use stockade_workspace::layers::Kind;

use crate::place::{Place, quiet, texts};

fn refused(conflicts: &[Conflict]) -> Vec<(&str, &Reason)> {
    conflicts.iter().map(|conflict| (conflict.path.to_str().expect("text"), &conflict.reason)).collect()
}

#[test]
fn what_the_host_changed_as_well_is_refused_file_by_file() {
    let place = Place::new();
    place
        .host("both", "before")
        .host("mine", "before")
        .host("made", "")
        .host("gone", "before")
        .host("d/kept", "before");
    fs::remove_file(place.workspace.join("made")).expect("removed");
    place.note();
    place.layer("both", "sandbox").layer("mine", "sandbox").layer("made", "sandbox").layer("gone", "sandbox");
    place.whiteout("d/kept").layer("new", "sandbox");
    place.host("both", "host").host("made", "host").host("d/kept", "host");
    fs::remove_file(place.workspace.join("gone")).expect("removed");
    let applied = place.apply();
    assert_eq!(
        refused(&applied.conflicts),
        [
            ("both", &Reason::Changed),
            ("d/kept", &Reason::Changed),
            ("gone", &Reason::Gone),
            ("made", &Reason::Appeared)
        ]
    );
    assert_eq!(texts(applied.done.iter().map(|done| &done.path)), ["mine", "new"]);
    assert_eq!(
        (place.read("both"), place.read("made"), place.read("d/kept")),
        ("host".into(), "host".into(), "host".into())
    );
    assert_eq!((place.read("mine"), place.read("new")), ("sandbox".into(), "sandbox".into()));
    let both = &applied.conflicts[0];
    assert_eq!((both.host.expect("the host's").size, both.sandbox.expect("the sandbox's").size), (4, 7));
    assert_eq!(both.layer, Some(0));
    let gone = &applied.conflicts[2];
    assert_eq!((gone.host, gone.sandbox.expect("the sandbox's").kind), (None, Kind::File));
    // What is kept for older checkpoints is of what was applied only.
    let old = applied.old.expect("an old layer");
    assert_eq!(fs::read_to_string(old.join("mine")).expect("the old version"), "before");
    assert!(!old.join("both").exists() && !old.join("d").exists() && !old.join("made").exists());
}

#[test]
fn what_was_named_is_taken_all_the_same() {
    let mut place = Place::new();
    place.host("both", "before").host("d/a", "before").host("other", "before").note();
    place.layer("both", "sandbox").whiteout("d").layer("other", "sandbox");
    place.host("both", "host").host("d/a", "host").host("d/new", "host").host("other", "host");
    place.options.take = vec!["both".into(), "d".into()];
    let applied = place.apply();
    assert_eq!(refused(&applied.conflicts), [("other", &Reason::Changed)]);
    assert_eq!((place.read("both"), place.exists("d")), ("sandbox".into(), false));
    let old = applied.old.expect("an old layer");
    assert_eq!(fs::read_to_string(old.join("both")).expect("the old version"), "host");
    assert_eq!(fs::read_to_string(old.join("d/new")).expect("the old version"), "host");
}

#[test]
fn a_directory_that_holds_what_the_sandbox_did_not_know_stays() {
    for replaced in [false, true] {
        let place = Place::new();
        place.host("d/a", "x").host("d/sub/b", "x").host("e/a", "x").note();
        place.whiteout("e");
        if replaced {
            place.layer("d", "a file");
        } else {
            place.whiteout("d");
        }
        place.host("d/sub/unknown", "precious");
        let applied = place.apply();
        let (unknown, d) = (PathBuf::from("d/sub/unknown"), PathBuf::from("d"));
        assert_eq!(
            refused(&applied.conflicts),
            [
                ("d", &Reason::Holds(unknown)),
                ("d/a", &Reason::Above(d.clone())),
                ("d/sub", &Reason::Above(d.clone())),
                ("d/sub/b", &Reason::Above(d.clone())),
                ("d/sub/unknown", &Reason::Appeared),
            ]
        );
        assert_eq!((place.read("d/sub/unknown"), place.read("d/a")), ("precious".into(), "x".into()));
        assert!(!place.exists("e"));
    }
}

#[test]
fn what_nobody_is_certain_of_is_refused() {
    let place = Place::new();
    place.host("a", "before").layer("a", "sandbox").layer("new", "sandbox");
    let planned = place.plan_with(&Selection::Everything, &|_| Seen::Uncertain, |plan| {
        assert_eq!(refused(&plan.told().conflicts), [("a", &Reason::Uncertain), ("new", &Reason::Uncertain)]);
        assert!(plan.is_empty());
        let applied = apply::perform(plan, &place.folder, &mut quiet()).expect("nothing to do");
        assert_eq!((applied.done.len(), applied.old, place.folder.exists()), (0, None, false));
    });
    planned.expect("a plan");
}

#[test]
fn a_file_that_was_touched_and_says_the_same_is_no_conflict() {
    let place = Place::new();
    place.host("file", "before").host("mode", "before").host("changed", "before").note();
    let copies = place.base.path().join("copies");
    fs::create_dir(&copies).expect("a directory");
    for name in ["file", "changed"] {
        fs::write(copies.join(name), "before").expect("a copy");
    }
    place.layer("file", "sandbox").layer("mode", "before").layer("changed", "sandbox");
    fs::set_permissions(place.layers[0].join("mode"), fs::Permissions::from_mode(0o755)).expect("a mode");
    for (name, text) in [("file", "before"), ("mode", "before"), ("changed", "beford")] {
        fs::remove_file(place.workspace.join(name)).expect("removed");
        place.host(name, text);
    }
    let bases = |path: &Path| {
        let copy = Some(copies.join(path)).filter(|copy| copy.is_file());
        Seen::Known { entry: place.bases.lock().expect("bases").get(path).copied(), copy }
    };
    let applied = place.plan_with(&Selection::Everything, &bases, |plan| {
        assert_eq!(refused(&plan.told().conflicts), [("changed", &Reason::Changed)]);
        assert_eq!(plan.told().conflicts[0].base.as_deref(), Some(&*copies.join("changed")));
        apply::perform(plan, &place.folder, &mut quiet()).expect("applied")
    });
    let applied = applied.expect("a plan");
    assert_eq!(texts(applied.done.iter().map(|done| &done.path)), ["file", "mode"]);
    assert_eq!(place.read("file"), "sandbox");
}

#[test]
fn a_restart_that_gave_the_device_another_number_is_no_conflict() {
    let place = Place::new();
    place.host("a", "before").note();
    place.bases.lock().expect("bases").values_mut().for_each(|entry| entry.device += 1);
    place.layer("a", "sandbox");
    assert_eq!(place.apply().conflicts, []);
}

#[test]
fn a_directory_that_the_host_removed_takes_what_is_new_in_it_along() {
    let mut place = Place::new();
    place.host("d/e/a", "x").note();
    place.layer("d/e/new", "sandbox").layer("d/e/more", "sandbox");
    fs::remove_dir_all(place.workspace.join("d")).expect("removed");
    let d = || Reason::Above("d".into());
    let applied = place.apply();
    assert_eq!(
        refused(&applied.conflicts),
        [("d", &Reason::Gone), ("d/e", &Reason::Gone), ("d/e/more", &d()), ("d/e/new", &d())]
    );
    assert!(!place.exists("d"));
    place.options.take = vec!["d/e/new".into()];
    let applied = place.try_apply(&Selection::Paths(vec!["d/e/new".into()])).expect("applied");
    assert_eq!(texts(applied.done.iter().map(|done| &done.path)), ["d", "d/e", "d/e/new"]);
    assert_eq!((place.read("d/e/new"), place.exists("d/e/more")), ("sandbox".into(), false));
}

#[test]
fn a_directory_that_the_host_made_something_else_is_refused() {
    for link in [false, true] {
        let mut place = Place::new();
        place.host("d/a", "x").note();
        place.layer("d/a", "sandbox").layer("d/new", "sandbox");
        fs::remove_dir_all(place.workspace.join("d")).expect("removed");
        let outside = place.base.path().join("outside");
        fs::create_dir(&outside).expect("a directory");
        fs::write(outside.join("a"), "precious").expect("a file");
        if link {
            symlink(&outside, place.workspace.join("d")).expect("a link");
        } else {
            place.host("d", "a file");
        }
        let applied = place.apply();
        assert_eq!(texts(applied.conflicts.iter().map(|conflict| &conflict.path)), ["d", "d/a", "d/new"]);
        assert_eq!((applied.done.len(), fs::read_dir(&outside).expect("it").count()), (0, 1));
        assert_eq!(fs::read_to_string(outside.join("a")).expect("it"), "precious");
        // Taken, the link is replaced, and what it led to is left alone.
        place.options.take = vec!["d".into()];
        let applied = place.apply();
        assert_eq!((applied.conflicts.len(), place.read("d/new")), (0, "sandbox".into()));
        assert_eq!(fs::read_to_string(outside.join("a")).expect("it"), "precious");
    }
}

#[test]
fn what_both_sides_did_is_no_conflict() {
    let place = Place::new();
    place.host("same", "before").host("gone", "before").host("d/gone", "x").note();
    place.layer("same", "after").whiteout("gone").whiteout("d").layer("new/a", "x").layer("new/b", "y");
    place.host("same", "after").host("new/a", "x");
    fs::remove_file(place.workspace.join("gone")).expect("removed");
    fs::remove_dir_all(place.workspace.join("d")).expect("removed");
    let applied = place.apply();
    assert_eq!(
        (refused(&applied.conflicts), texts(applied.done.iter().map(|done| &done.path))),
        (vec![], vec!["new/b"])
    );
}

#[test]
fn what_changes_between_the_plan_and_its_end_is_refused() {
    let place = Place::new();
    place.host("a", "before").host("gone", "before").host("d/a", "before").host("k/a", "x").note();
    place.layer("a", "sandbox").layer("new", "sandbox").whiteout("gone").whiteout("d").layer("k", "a file");
    place.layer("dir/x/y", "sandbox");
    let applied = place.plan(&Selection::Everything, |plan| {
        assert_eq!(plan.told().conflicts, []);
        place.host("a", "host").host("new", "host").host("gone", "host!").host("d/b", "host").host("k/b", "host");
        place.host("dir", "host");
        apply::perform(plan, &place.folder, &mut quiet()).expect("applied")
    });
    let applied = applied.expect("a plan");
    assert_eq!(applied.done, []);
    let raced: Vec<_> =
        refused(&applied.conflicts).into_iter().filter(|(_, reason)| **reason == Reason::Raced).collect();
    assert_eq!(raced.iter().map(|(path, _)| *path).collect::<Vec<_>>(), ["a", "d", "dir", "gone", "k", "new"]);
    let now: Vec<_> = ["a", "new", "gone", "d/a", "d/b", "k/a", "k/b", "dir"].map(|path| place.read(path)).into();
    assert_eq!(now, ["host", "host", "host!", "before", "host", "x", "host", "host"]);
    assert_eq!(applied.old, None);
    place.check_tidy();
}
