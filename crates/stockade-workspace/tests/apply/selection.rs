//! Which changes are wanted.

use std::path::{Path, PathBuf};

use stockade_workspace::apply::{self, ApplyError, Options, Request, Selection};
use stockade_workspace::layers::{Change, Status, changes};

use crate::place::{Place, quiet, rules, texts};

fn paths(paths: &[&str]) -> Selection {
    Selection::Paths(paths.iter().map(PathBuf::from).collect())
}

fn done(place: &Place, selection: &[&str]) -> Vec<String> {
    let applied = place.try_apply(&paths(selection)).expect("applied");
    assert_eq!((applied.conflicts.len(), applied.failed.len()), (0, 0));
    place.check_tidy();
    applied.done.iter().map(|done| done.path.to_str().expect("text").to_owned()).collect()
}

fn place() -> Place {
    let place = Place::new();
    place.host("a", "x").host("d/a", "x").host("d/b", "x").host("gone/a", "x").host("gone/b", "x").note();
    place
        .layer("a", "sandbox")
        .layer("d/a", "sandbox")
        .layer("new/sub/x", "1")
        .layer("new/sub/y", "2")
        .layer("new/z", "3");
    place.whiteout("gone").whiteout("d/b");
    place
}

#[test]
fn files_and_directories_bring_what_they_need() {
    assert_eq!(done(&place(), &["a"]), ["a"]);
    assert_eq!(done(&place(), &["d", "a"]), ["a", "d/a", "d/b"]);
    assert_eq!(done(&place(), &["./d/./b/"]), ["d/b"]);
    assert_eq!(done(&place(), &["gone/a"]), ["gone/a"]);
    assert_eq!(done(&place(), &["gone"]), ["gone", "gone/a", "gone/b"]);
    let place = place();
    assert_eq!(done(&place, &["new/sub/x"]), ["new", "new/sub", "new/sub/x"]);
    assert!(!place.exists("new/sub/y") && !place.exists("new/z"));
    apply::close(&place.folder).expect("closed");
    assert_eq!(done(&place, &["."]).len(), 8);
}

#[test]
fn a_path_with_nothing_to_apply_is_named() {
    let place = place();
    for (wrong, named) in [(&["a", "d/c"][..], "d/c"), (&["b"], "b"), (&["new/sub/x/deeper"], "new/sub/x/deeper")] {
        let error = place.try_apply(&paths(wrong)).expect_err("nothing there");
        assert!(matches!(&error, ApplyError::NothingAt(path) if path.to_str() == Some(named)), "{error}");
    }
    for wrong in ["/etc/passwd", "../host/a", "d/../../x", ""] {
        let error = place.try_apply(&paths(&[wrong])).expect_err("outside");
        assert!(matches!(error, ApplyError::Outside(_)), "{error}");
    }
    assert_eq!((place.read("a"), place.folder.exists()), ("x".into(), false));
}

#[test]
fn an_option_that_names_nothing_is_an_error() {
    for options in [
        Options { take: vec!["none".into()], ..Options::default() },
        Options { protected: vec!["none".into()], ..Options::default() },
    ] {
        let place = Place { options, ..place() };
        assert!(matches!(place.try_apply(&Selection::Everything), Err(ApplyError::NothingAt(_))));
    }
}

#[test]
fn without_changes_there_is_nothing_to_apply() {
    let place = Place::new();
    place.host("a", "x").note().layer("a", "x");
    assert!(matches!(place.try_apply(&Selection::Everything), Err(ApplyError::Nothing)));
}

#[test]
fn a_file_that_was_renamed_is_wanted_at_both_names() {
    for name in ["old", "new"] {
        let place = Place::new();
        place.host("old", "text").host("other", "x").note();
        place.layer("new", "text").whiteout("old").layer("other", "sandbox");
        let stack = place.stack();
        let mut found = changes(&stack).expect("changes");
        // As a listing with renames has it.
        let old = found.iter().find(|change| change.status == Status::Deleted).expect("it").old;
        found.retain(|change| change.status != Status::Deleted);
        for change in found.iter_mut().filter(|change| change.status == Status::Added) {
            *change = Change { status: Status::Renamed, from: Some("old".into()), old, ..change.clone() };
        }
        let (rules, selection) = (rules(), paths(&[name]));
        let plan = apply::plan(
            &stack,
            &Request {
                workspace: &place.workspace,
                changes: &found,
                selection: &selection,
                rules: &rules,
                home: Path::new("/nonexistent"),
                bases: &|path| place.seen(path),
                options: &place.options,
            },
        );
        let applied = apply::perform(&plan.expect("a plan"), &place.folder, &mut quiet()).expect("applied");
        assert_eq!(texts(applied.done.iter().map(|done| &done.path)), ["new", "old"]);
        assert_eq!((place.exists("old"), place.read("new"), place.read("other")), (false, "text".into(), "x".into()));
    }
}
