//! Layers as overlayfs leaves them, made by hand: each rule of the union by itself.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use stockade_workspace::layers::{Status, changes};

use crate::place::{Place, write};

use Status::{Added, Attributes, Deleted, Modified, TypeChanged};

#[test]
fn no_layers_and_empty_layers_change_nothing() {
    Place::new(0).host("a/b", "x").check(&[]);
    Place::new(3).host("a/b", "x").check(&[]);
}

#[test]
fn what_equals_the_host_is_no_change() {
    let place = Place::new(2);
    place.host("same", "text").host("dir/same", "more").host("other", "abc");
    place.layer(0, "same", "text").layer(1, "dir/same", "more").layer(1, "other", "abd");
    place.whiteout(0, "never").whiteout(1, "dir/never");
    place.check(&[(Modified, "other")]);
    place.layer(0, "other", "abc").check(&[]);
}

#[test]
fn the_layer_on_top_counts() {
    let place = Place::new(3);
    place.host("a", "1").host("d/b", "1").host("d/c", "1");
    place.layer(2, "a", "22").layer(1, "a", "333").whiteout(2, "d/b").layer(1, "d/b", "back").layer(1, "d/new", "n");
    place.whiteout(1, "d/c").layer(0, "d/c", "1").whiteout(0, "d/new");
    place.check(&[(Modified, "a"), (Modified, "d/b")]);
    let found = changes(&place.stack()).expect("changes");
    assert_eq!(found.iter().map(|change| change.layer).collect::<Vec<_>>(), [Some(1), Some(1)]);
    let content = place.stack().open_new(&found[0]).expect("its content");
    assert_eq!(std::io::read_to_string(fs::File::from(content)).expect("text"), "333");
}

#[test]
fn both_forms_of_whiteouts_delete_with_everything_below() {
    let place = Place::new(1);
    place.host("d/e/f", "x").host("d/g", "x").host("e/f", "x").host("keep", "x").host("empty", "");
    place.whiteout(0, "d").layer(0, "e/f", "").mark(0, "e/f", "user.overlay.whiteout", b"");
    place.mark(0, "e", "user.overlay.opaque", b"x").layer(0, "empty", "");
    place.check(&[(Deleted, "d"), (Deleted, "d/e"), (Deleted, "d/e/f"), (Deleted, "d/g"), (Deleted, "e/f")]);
}

#[test]
fn an_opaque_directory_hides_what_is_below() {
    let place = Place::new(2);
    place.host("d/a/b", "x").host("d/c", "x").host("d/same", "x");
    place.layer(1, "d/lower", "x").layer(0, "d/same", "x").mark(0, "d", "user.overlay.opaque", b"y");
    place.check(&[(Deleted, "d/a"), (Deleted, "d/a/b"), (Deleted, "d/c")]);
}

#[test]
fn the_root_is_merged_whatever_its_mark_says() {
    let place = Place::new(2);
    place.host("a", "x").layer(1, "b", "x").mark(0, "", "user.overlay.opaque", b"y");
    place.check(&[(Added, "b")]);
}

#[test]
fn a_file_between_directories_ends_the_merge() {
    let place = Place::new(3);
    place.host("d/a", "x").layer(2, "d/b", "x").layer(1, "d", "a file").layer(0, "d/c", "x");
    place.check(&[(Deleted, "d/a"), (Added, "d/c")]);
}

#[test]
fn kinds_change_with_all_that_is_below() {
    let place = Place::new(1);
    place.host("file", "x").host("dir/a/b", "x").host("link", "x");
    place.layer(0, "file/new", "x").layer(0, "dir", "x");
    symlink("file", place.layers[0].join("link")).expect("a link");
    place.check(&[
        (TypeChanged, "dir"),
        (Deleted, "dir/a"),
        (Deleted, "dir/a/b"),
        (TypeChanged, "file"),
        (Added, "file/new"),
        (TypeChanged, "link"),
    ]);
}

#[test]
fn modes_and_attributes_are_changes_of_their_own() {
    let place = Place::new(1);
    place.host("mode", "x").host("attribute", "x").host("d/x", "x").host("origin", "x").host("e/x", "x");
    for path in ["mode", "attribute", "origin"] {
        place.layer(0, path, "x");
    }
    fs::set_permissions(place.layers[0].join("mode"), fs::Permissions::from_mode(0o755)).expect("a mode");
    place.mark(0, "attribute", "user.comment", b"\0").mark(0, "origin", "user.overlay.origin", b"\0\xfb");
    fs::create_dir(place.layers[0].join("d")).expect("a directory");
    fs::create_dir(place.layers[0].join("e")).expect("a directory");
    place.mark(0, "d", "user.comment", &[7; 3000]).mark(0, "e", "user.overlay.impure", b"y");
    place.check(&[(Attributes, "attribute"), (Attributes, "d"), (Attributes, "mode")]);
}

#[test]
fn links_differ_by_their_text() {
    let place = Place::new(1);
    for (at, link) in [("host", "same"), ("host", "other"), ("0", "same"), ("0", "other")] {
        let text = if link == "other" { at } else { "text" };
        symlink(text, place.base.path().join(at).join(link)).expect("a link");
    }
    place.check(&[(Modified, "other")]);
    let stack = place.stack();
    let change = &changes(&stack).expect("changes")[0];
    assert_eq!(stack.read_link(change).expect("text").as_bytes(), b"0");
    assert_eq!(stack.read_old_link(change).expect("text").as_bytes(), b"host");
}

#[test]
fn a_change_survives_json_with_any_name() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new(1);
    let name = std::ffi::OsStr::from_bytes(b"line\nand \xff byte");
    write(&place.layers[0].join(name), "x");
    let mut found = changes(&place.stack()).expect("changes");
    found[0].from = Some(name.into());
    let text = serde_json::to_string(&found).expect("JSON");
    assert_eq!(serde_json::from_str::<Vec<stockade_workspace::layers::Change>>(&text).expect("changes"), found);
}
