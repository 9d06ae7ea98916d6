//! Layers that were made to stop, mislead or exhaust whoever reads them.

use std::ffi::CStr;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use rustix::fs::{CWD, Mode, OFlags, XattrFlags};
use stockade_workspace::layers::{LayerError, Stack, Status, changes, merge, open_layer};

use crate::place::{Place, write};
use crate::privileges::ran_without_privileges;
use crate::tree;

use Status::{Added, Attributes, Deleted, Modified, TypeChanged};

fn open(path: &Path) -> OwnedFd {
    open_layer(path).expect("a directory")
}

/// Merges the two layers of a place into a third directory, which is its only layer afterwards.
fn merge_all(place: &mut Place) {
    let into = place.base.path().join("merged");
    fs::create_dir(&into).expect("a directory");
    merge(open(&place.layers[1]).as_fd(), open(&place.layers[0]).as_fd(), open(&into).as_fd()).expect("merged");
    place.layers = vec![into];
}

/// Makes directories one in another, deeper than any path may be long, with a further name in each.
fn deep(root: &Path, levels: usize, names: &[&CStr; 2]) {
    let mut dir = open(root);
    for level in 0..levels {
        for name in names {
            rustix::fs::mkdirat(&dir, *name, Mode::RWXU).expect("made");
        }
        dir = rustix::fs::openat(&dir, names[level % 2], OFlags::DIRECTORY, Mode::empty()).expect("opened");
    }
    rustix::fs::openat(&dir, c"end", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR).expect("a file");
}

#[test]
fn depth_is_no_bound() {
    const LEVELS: usize = 3000;
    let mut place = Place::in_memory(2);
    deep(&place.layers[0], LEVELS, &[c"d", c"e"]);
    deep(&place.layers[1], LEVELS, &[c"d", c"e"]);
    deep(&place.workspace, LEVELS / 2, &[c"d", c"e"]);
    let count = |place: &Place| changes(&place.stack()).expect("changes").len();
    // Below what both have, and the host's last file, which stays; modes are equal.
    let added = LEVELS + 1;
    assert_eq!(count(&place), added);
    merge_all(&mut place);
    assert_eq!(count(&place), added);
    let stack = place.stack();
    let found = changes(&stack).expect("changes");
    let last = found.iter().max_by_key(|change| change.path.as_os_str().len()).expect("a change");
    assert_eq!(last.path.components().count(), LEVELS + 1);
    stack.open_new(last).expect("the file at the end");
    // The standard library's removal holds a descriptor for each level.
    let removed = Command::new("rm").arg("-rf").arg(place.base.path()).status().expect("rm");
    assert!(removed.success());
}

#[test]
fn what_is_closed_to_its_owner_is_read_and_stays_closed() {
    if ran_without_privileges("hostile::what_is_closed_to_its_owner_is_read_and_stays_closed") {
        return;
    }
    let mut place = Place::new(2);
    place.host("d/e/gone", "x").host("d/e/same", "x").host("d/f", "x");
    place.layer(0, "d/e/same", "x").layer(0, "d/e/new", "secret").mark(0, "d/e/new", "user.comment", b"x");
    place.mark(0, "d/e", "user.overlay.opaque", b"y").layer(1, "d/f", "y").layer(1, "closed/below", "x");
    symlink("text", place.layers[0].join("d/e/link")).expect("a link");
    let close = |layer: usize, path: &str, mode| {
        fs::set_permissions(place.layers[layer].join(path), fs::Permissions::from_mode(mode)).expect("a mode");
    };
    for path in ["d/e/new", "d/e", "d", ""] {
        close(0, path, 0);
    }
    for path in ["d/f", "d", "closed/below", "closed"] {
        close(1, path, 0);
    }
    let expected = [
        (Added, "closed"),
        (Added, "closed/below"),
        (Attributes, "d"),
        (Attributes, "d/e"),
        (Deleted, "d/e/gone"),
        (Added, "d/e/link"),
        (Added, "d/e/new"),
        (Modified, "d/f"),
    ];
    place.check(&expected);
    merge_all(&mut place);
    place.check(&expected);
    let stack = place.stack();
    let found = changes(&stack).expect("changes");
    let new = found.iter().find(|change| change.path.ends_with("new")).expect("the file");
    assert_eq!(std::io::read_to_string(fs::File::from(stack.open_new(new).expect("open"))).expect("text"), "secret");
    let link = found.iter().find(|change| change.path.ends_with("link")).expect("the link");
    assert_eq!(stack.read_link(link).expect("text").as_c_str(), c"text");
    assert!(found.iter().all(|change| change.new.is_none_or(|new| new.mode == 0 || new.mode == 0o777)), "{found:?}");
    for layer in ["0", "merged", "1/d"] {
        let status = fs::metadata(place.base.path().join(layer)).expect("there");
        assert_eq!(status.mode() & 0o7777, 0, "{layer}");
    }
    let opened = Command::new("chmod").args(["-R", "u+rwX"]).arg(place.base.path()).status().expect("chmod");
    assert!(opened.success());
}

#[test]
fn what_the_host_closes_to_its_user_is_never_opened() {
    if ran_without_privileges("hostile::what_the_host_closes_to_its_user_is_never_opened") {
        return;
    }
    let place = Place::new(1);
    place.host("f", "x").layer(0, "f", "x").host("d/x", "x");
    let close = |path: &str, mode| {
        fs::set_permissions(place.workspace.join(path), fs::Permissions::from_mode(mode)).expect("a mode");
    };
    close("f", 0);
    close("d", 0);
    place.check(&[(Modified, "f")]);
    place.layer(0, "d/x", "x");
    match changes(&place.stack()) {
        Err(LayerError::Path { path, .. }) => assert_eq!(path, Path::new("d")),
        other => panic!("{other:?}"),
    }
    assert_eq!(fs::metadata(place.workspace.join("d")).expect("there").mode() & 0o7777, 0);
    close("d", 0o755);
}

#[test]
fn a_sparse_file_costs_what_it_holds() {
    const SIZE: u64 = 8 << 40;
    let place = Place::new(1);
    for (at, name) in [("host", "same"), ("0", "same"), ("host", "other"), ("0", "other")] {
        let file = fs::File::create(place.base.path().join(at).join(name)).expect("a file");
        file.set_len(SIZE).expect("a length");
        file.write_all_at(b"x", SIZE / 2).expect("data");
        if (at, name) == ("0", "other") {
            file.write_all_at(b"y", SIZE - 1).expect("data");
        } else if name == "same" {
            // Zeros that are written are what a hole is.
            file.write_all_at(&[0; 10_000], if at == "0" { SIZE / 4 } else { SIZE / 8 }).expect("data");
        }
    }
    let start = std::time::Instant::now();
    place.check(&[(Modified, "other")]);
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

#[test]
fn links_in_layers_lead_nowhere() {
    let mut place = Place::new(2);
    let outside = place.base.path().join("outside");
    write(&outside.join("x"), "secret");
    place.host("d/x", "x").host("e/x", "x");
    for layer in [0, 1] {
        symlink(&outside, place.layers[layer].join("d")).expect("a link");
    }
    symlink(&outside, place.layers[1].join("e")).expect("a link");
    place.layer(0, "e/y", "y");
    let expected = [(TypeChanged, "d"), (Deleted, "d/x"), (Deleted, "e/x"), (Added, "e/y")];
    place.check(&expected);
    merge_all(&mut place);
    place.check(&expected);
    assert_eq!(fs::read_dir(&outside).expect("outside").count(), 1);
    let link = place.base.path().join("link");
    symlink(&place.layers[0], &link).expect("a link");
    let opened = Stack::open(std::slice::from_ref(&link), &place.workspace);
    assert!(matches!(opened, Err(LayerError::Open { path, .. }) if path == link));
}

#[test]
fn the_longest_names_and_the_most_layers() {
    let mut place = Place::in_memory(128);
    let name = "n".repeat(255);
    for layer in 0..128 {
        place.layer(layer, &format!("{name}/{name}/{layer}"), "x");
    }
    place.layer(127, "x", "lowest").whiteout(126, "x");
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let few = rustix::process::Rlimit { current: Some(1024), ..limit };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, few).expect("the shell's usual limit");
    assert_eq!(changes(&place.stack()).expect("changes").len(), 2 + 128);
    place.layers.push(place.layers[0].clone());
    let opened = Stack::open(&place.layers, &place.workspace);
    assert!(matches!(opened, Err(LayerError::TooManyLayers { count: 129, limit: 128 })));
}

#[test]
fn a_file_with_all_the_names_it_may_have_is_copied() {
    let mut place = Place::new(2);
    place.layer(1, "d/f", "text\n").mark(1, "d/f", "user.comment", b"x").mark(1, "d/f", "user.overlay.origin", b"o");
    let file = place.layers[1].join("d/f");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("a mode");
    let names = place.base.path().join("names");
    fs::create_dir(&names).expect("a directory");
    // More than ext4 allows, and fewer than others do.
    let is_bounded = (0..70_000).any(|at| fs::hard_link(&file, names.join(at.to_string())).is_err());
    let before = tree::read(&place.layers[1].join("d"));
    merge_all(&mut place);
    assert_eq!(tree::read(&place.layers[0].join("d")), before);
    let links = fs::metadata(place.layers[0].join("d/f")).expect("there").nlink();
    assert_eq!(links, if is_bounded { 1 } else { 70_002 });
}

#[test]
fn the_root_of_merged_layers_is_that_of_the_newer() {
    let mut place = Place::new(2);
    place.mark(0, "", "user.comment", b"new").mark(1, "", "user.comment", b"old").layer(1, "x", "x");
    place.mark(1, "", "user.overlay.opaque", b"y");
    fs::set_permissions(&place.layers[0], fs::Permissions::from_mode(0o1750)).expect("a mode");
    let attributes = |path: &Path| tree::read(path).remove(&b""[..]).expect("the root");
    let expected = attributes(&place.layers[0]);
    merge_all(&mut place);
    assert_eq!(attributes(&place.layers[0]), expected);
    place.host("y", "y").check(&[(Added, "x")]);
}

#[test]
fn merging_into_what_is_not_empty_is_refused() {
    let place = Place::new(3);
    place.layer(0, "x", "new").layer(1, "d/x", "old").layer(2, "x", "there");
    let [newer, older, into] = [0, 1, 2].map(|at| open(&place.layers[at]));
    let result = merge(older.as_fd(), newer.as_fd(), into.as_fd());
    assert!(matches!(result, Err(LayerError::Path { .. })), "{result:?}");
    assert_eq!(fs::read_to_string(place.layers[2].join("x")).expect("there"), "there");
}

#[test]
fn attributes_of_all_sizes_are_compared() {
    let place = Place::new(1);
    for name in ["same", "other"] {
        place.host(name, "x").layer(0, name, "x");
        let path = place.workspace.join(name);
        for (number, size) in [0, 1, 200, 300, 2000].into_iter().enumerate() {
            let attribute = format!("user.{}{number}", "long".repeat(40));
            let set = |path: &Path, value: &[u8]| rustix::fs::setxattr(path, &*attribute, value, XattrFlags::empty());
            set(&path, &vec![7; size]).expect("an attribute");
            let last = u8::from(name == "other" && size == 2000);
            let value = [vec![7; size.saturating_sub(1)], vec![7 + last; size.min(1)]].concat();
            set(&place.layers[0].join(name), &value).expect("an attribute");
        }
    }
    place.check(&[(Attributes, "other")]);
}

/// A whiteout in a layer that has nothing below it is not listed, though it stands in a directory that is not merged.
#[test]
fn a_whiteout_over_nothing_is_no_name() {
    let base = tempfile::tempdir().expect("a directory");
    let make = |name: &str| {
        let path = base.path().join(name);
        fs::create_dir(&path).expect("a directory");
        path
    };
    let (workspace, newer, older, into) = (make("host"), make("newer"), make("older"), make("into"));
    write(&older.join("d/gone"), "x");
    write(&newer.join("d/here"), "x");
    let whiteout = newer.join("d/gone");
    rustix::fs::mknodat(CWD, &whiteout, rustix::fs::FileType::CharacterDevice, Mode::empty(), 0).expect("a whiteout");
    merge(open(&older).as_fd(), open(&newer).as_fd(), open(&into).as_fd()).expect("merged");
    let base = base.path().to_owned();
    let job = crate::inside::Job { base, workspace, layers: vec![into], writes: Vec::new() };
    assert_eq!(job.run().into_keys().collect::<Vec<_>>(), [&b"d"[..], b"d/here"]);
}
