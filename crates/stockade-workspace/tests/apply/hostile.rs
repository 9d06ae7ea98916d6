//! What hostile code, or a hand that edits layers, can leave behind to mislead an apply.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{CWD, FileType, FlockOperation, IFlags, Mode, OFlags, RenameFlags};
use stockade_workspace::apply::{self, Applied, ApplyError, ApplyPlan, Seen, Selection, Why};
use stockade_workspace::layers::{Stack, changes};

use crate::place::{Place, quiet, texts};

const NAMES: &[&[u8]] = &[
    b"line\nfeed",
    b"invalid \xff\xfe",
    b"..x",
    b"...",
    b" ",
    b"-rf",
    b"*",
    b"new",
    b"old",
    b"journal",
    b"removed-0",
    b".stockade-apply-0123456789abcdef",
    &[b'n'; 255],
    &[0xff; 255],
    b"quote\"back\\slash",
];

#[test]
fn names_may_be_anything() {
    let place = Place::new();
    let name = |name: &'static &[u8]| OsStr::from_bytes(name);
    for (at, one) in NAMES.iter().enumerate() {
        match at % 3 {
            0 => drop(place.host(Path::new("d").join(name(one)).join(name(one)), "x")),
            1 => drop(place.host(name(one), "x")),
            _ => {}
        }
    }
    place.note();
    for (at, one) in NAMES.iter().enumerate() {
        match at % 3 {
            0 => drop(place.whiteout(Path::new("d").join(name(one)))),
            1 => drop(place.layer(name(one), "sandbox")),
            _ => drop(place.layer(Path::new(name(one)).join(name(one)), "sandbox")),
        }
    }
    let applied = place.try_apply(&Selection::Everything).expect("applied");
    assert_eq!((&applied.conflicts[..], &applied.failed[..]), (&[][..], &[][..]));
    for (at, one) in NAMES.iter().enumerate() {
        match at % 3 {
            0 => assert!(!place.exists(Path::new("d").join(name(one)))),
            1 => assert_eq!(place.read(name(one)), "sandbox"),
            _ => assert_eq!(place.read(Path::new(name(one)).join(name(one))), "sandbox"),
        }
    }
    // The report in the journal says the same, byte by byte.
    assert_eq!(apply::resume(&place.folder).expect("the report"), Some(applied));
}

/// Makes directories one in another, deeper than any path may be long.
fn deep(root: &Path, levels: usize) {
    let mut dir = rustix::fs::open(root, OFlags::DIRECTORY, Mode::empty()).expect("a directory");
    for _ in 0..levels {
        rustix::fs::mkdirat(&dir, "deeper", Mode::RWXU).expect("made");
        dir = rustix::fs::openat(&dir, "deeper", OFlags::DIRECTORY, Mode::empty()).expect("opened");
    }
    rustix::fs::openat(&dir, "file", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR).expect("a file");
}

fn remove(path: &Path) {
    assert!(std::process::Command::new("rm").arg("-rf").arg(path).status().expect("rm").success());
}

#[test]
fn trees_deeper_than_a_path_may_be_long_come_and_go() {
    const LEVELS: usize = 1_500;
    let place = Place::in_memory();
    place.host("d/x", "x").host("e/x", "x");
    deep(&place.workspace.join("d"), LEVELS);
    place.whiteout("d");
    place.layer("n/x", "x");
    deep(&place.layers[0].join("n"), LEVELS);
    // What was on the host is not looked at by its path, which is too long.
    let stack = place.stack();
    let old: HashMap<_, _> = changes(&stack).expect("changes").into_iter().map(|one| (one.path, one.old)).collect();
    let bases = |path: &Path| Seen::Known { entry: old.get(path).copied().flatten(), copy: None };
    let perform = |plan: &ApplyPlan<'_>| apply::perform(plan, &place.folder, &mut quiet());
    let applied = place.plan_with(&Selection::Everything, &bases, perform).expect("a plan").expect("applied");
    assert_eq!((applied.done.len(), applied.conflicts.len(), applied.failed.len()), (2 * (LEVELS + 3), 0, 0));
    assert!(!place.exists("d") && place.exists("n/deeper/deeper"));
    apply::close(&place.folder).expect("what was kept is removed, however deep");
    remove(&place.workspace);
    remove(&place.layers[0]);
}

#[test]
fn a_link_in_a_layer_takes_the_place_of_a_directory_and_leads_nowhere() {
    let place = Place::with_layers(2);
    let outside = place.base.path().join("outside");
    fs::create_dir(&outside).expect("a directory");
    fs::write(outside.join("file"), "precious").expect("a file");
    place.host("d/file", "x").host("e/file", "x").note();
    // The lower layer writes to the directory, the upper one has a link in its place; and the other way round.
    for path in ["d/file", "d/new"] {
        fs::create_dir_all(place.layers[1].join("d")).expect("a directory");
        fs::write(place.layers[1].join(path), "sandbox").expect("a file");
    }
    symlink(&outside, place.layers[0].join("d")).expect("a link");
    symlink(&outside, place.layers[1].join("e")).expect("a link");
    place.layer("e/file", "sandbox");
    let applied = place.apply();
    assert_eq!(applied.failed, []);
    assert_eq!(fs::read_link(place.workspace.join("d")).expect("a link"), outside);
    assert_eq!(place.read("e/file"), "sandbox");
    assert_eq!(fs::read_to_string(outside.join("file")).expect("it"), "precious");
    assert_eq!(fs::read_dir(&outside).expect("it").count(), 1);
}

/// Applies, with something done between the plan and its end.
fn apply_after(place: &Place, action: impl Fn()) -> Applied {
    let applied = place.plan(&Selection::Everything, |plan| {
        action();
        apply::perform(plan, &place.folder, &mut quiet()).expect("applied")
    });
    place.check_tidy();
    applied.expect("a plan")
}

#[test]
fn a_directory_of_the_host_that_becomes_a_link_meanwhile_leads_nowhere() {
    let place = Place::new();
    let outside = place.base.path().join("outside");
    fs::create_dir_all(outside.join("sub")).expect("a directory");
    for path in ["file", "gone", "sub/file"] {
        fs::write(outside.join(path), "precious").expect("a file");
    }
    place.host("d/file", "x").host("d/gone", "x").host("d/sub/file", "x").host("d/kept", "x").host("e/x", "x").note();
    place.layer("d/file", "sandbox").layer("d/new", "sandbox").layer("d/sub/file", "sandbox").whiteout("d/gone");
    place.layer("e/x", "sandbox").layer("d/newdir/x", "sandbox");
    fs::set_permissions(place.layers[0].join("d"), std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .expect("a mode");
    let applied = apply_after(&place, || {
        fs::rename(place.workspace.join("d"), place.base.path().join("moved")).expect("moved");
        symlink(&outside, place.workspace.join("d")).expect("a link");
    });
    assert_eq!(texts(applied.done.iter().map(|done| &done.path)), ["e/x"]);
    assert_eq!(applied.conflicts.len(), 7, "{applied:?}");
    for path in ["file", "gone", "sub/file"] {
        assert_eq!(fs::read_to_string(outside.join(path)).expect("it"), "precious");
    }
    assert!(!outside.join("new").exists() && !outside.join("newdir").exists());
    assert_eq!(fs::read_to_string(place.base.path().join("moved/file")).expect("it"), "x");
}

#[test]
fn a_layer_that_is_edited_meanwhile_gives_nothing_away() {
    let place = Place::new();
    let secret = place.base.path().join("secret");
    fs::create_dir(&secret).expect("a directory");
    fs::write(secret.join("x"), "secret").expect("a file");
    place.host("file", "x").note();
    for path in ["file", "pipe", "dir", "gone", "tree/sub/x", "tree/kept", "fine"] {
        place.layer(path, "sandbox");
    }
    symlink("text", place.layers[0].join("link")).expect("a link");
    let layer = |path: &str| place.layers[0].join(path);
    let applied = apply_after(&place, || {
        for path in ["file", "pipe", "dir", "gone", "link"] {
            fs::remove_file(layer(path)).expect("removed");
        }
        symlink(secret.join("x"), layer("file")).expect("a link");
        rustix::fs::mknodat(CWD, layer("pipe"), FileType::Fifo, Mode::RUSR, 0).expect("a pipe");
        fs::create_dir(layer("dir")).expect("a directory");
        fs::write(layer("link"), "a file").expect("a file");
        fs::remove_dir_all(layer("tree/sub")).expect("removed");
        symlink(&secret, layer("tree/sub")).expect("a link");
    });
    assert_eq!(
        texts(applied.failed.iter().map(|failed| &failed.path)),
        ["dir", "file", "gone", "link", "pipe", "tree/sub", "tree/sub/x"]
    );
    assert_eq!(
        (place.read("file"), place.read("fine"), place.read("tree/kept")),
        ("x".into(), "sandbox".into(), "sandbox".into())
    );
    assert!(!place.exists("pipe") && !place.exists("tree/sub/x"));
}

#[test]
fn marks_on_the_root_of_a_layer_say_nothing() {
    let place = Place::new();
    place.host("a", "x").host("d/b", "x").note();
    place.layer("new", "x").opaque("");
    let applied = place.apply();
    assert_eq!(texts(applied.done.iter().map(|done| &done.path)), ["new"]);
    assert!(place.exists("a") && place.exists("d/b"));
    let whiteout = place.base.path().join("whiteout");
    rustix::fs::mknodat(CWD, &whiteout, FileType::CharacterDevice, Mode::empty(), 0).expect("a whiteout");
    assert!(Stack::open(&[whiteout], &place.workspace).is_err());
}

#[test]
fn pipes_sockets_and_links_of_the_host_are_replaced_and_never_opened() {
    let place = Place::new();
    let host = |path: &str| place.workspace.join(path);
    fs::create_dir(host("d")).expect("a directory");
    for (at, path) in ["pipe", "socket", "d/pipe", "d/socket"].iter().enumerate() {
        let kind = [FileType::Fifo, FileType::Socket][at % 2];
        rustix::fs::mknodat(CWD, host(path), kind, Mode::RUSR, 0).expect("made");
    }
    symlink("/etc/passwd", host("link")).expect("a link");
    place.note();
    place.layer("pipe", "file").layer("socket", "file").layer("link", "file").whiteout("d");
    let applied = place.apply();
    assert_eq!((applied.done.len(), place.read("link")), (6, "file".into()));
    let old = applied.old.expect("an old layer");
    assert!(old.join("d/socket").symlink_metadata().is_ok() && old.join("link").is_symlink());
}

#[test]
fn what_cannot_be_changed_fails_by_itself() {
    let place = Place::new();
    place.host("fixed", "x").host("dir/x", "x").host("fine", "x").note();
    place.layer("fixed", "sandbox").layer("dir/new", "sandbox").layer("fine", "sandbox");
    let set = |path: &str, flags| {
        let file = fs::File::open(place.workspace.join(path)).expect("it");
        rustix::fs::ioctl_setflags(&file, flags)
    };
    if set("fixed", IFlags::IMMUTABLE).is_err() {
        println!("chattr(1) needs root and a file system that knows it");
        return;
    }
    set("dir", IFlags::IMMUTABLE).expect("fixed");
    place.note();
    let applied = place.apply();
    let failed = texts(applied.failed.iter().map(|failed| &failed.path));
    assert_eq!((failed, texts(applied.done.iter().map(|done| &done.path))), (vec!["dir/new", "fixed"], vec!["fine"]));
    let errno = rustix::io::Errno::PERM.raw_os_error();
    assert!(matches!(&applied.failed[0].why, Why::Step { errno: found, .. } if *found == errno), "{applied:?}");
    assert_eq!(place.read("fixed"), "x");
    for path in ["fixed", "dir"] {
        set(path, IFlags::empty()).expect("as before");
    }
}

#[test]
fn two_applies_at_once_do_not_meet() {
    let place = Place::new();
    place.host("a", "x").note().layer("a", "sandbox");
    let other = fs::File::open(&place.workspace).expect("the workspace");
    rustix::fs::flock(&other, FlockOperation::LockExclusive).expect("locked");
    let error = place.try_apply(&Selection::Everything).expect_err("busy");
    assert!(matches!(&error, ApplyError::Busy(path) if *path == place.workspace), "{error}");
    assert!(!place.folder.exists());
    drop(other);
    assert_eq!(place.apply().done.len(), 1);
    // One that is not ended does not let another begin.
    place.note().layer("b", "sandbox");
    let error = place.try_apply(&Selection::Everything).expect_err("not ended");
    assert!(matches!(error, ApplyError::Unfinished(_)), "{error}");
}

#[test]
fn a_folder_or_workspace_that_is_another_is_refused() {
    let place = Place::new();
    place.host("a", "x").note().layer("a", "sandbox");
    let elsewhere = place.base.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("a directory");
    symlink(&elsewhere, &place.folder).expect("a link");
    let error = place.try_apply(&Selection::Everything).expect_err("a link");
    assert!(matches!(error, ApplyError::Folder { .. }), "{error}");
    fs::remove_file(&place.folder).expect("removed");
    let moved = place.base.path().join("moved");
    let error = place.plan(&Selection::Everything, |plan| {
        fs::rename(&place.workspace, &moved).expect("moved");
        fs::create_dir(&place.workspace).expect("another");
        apply::perform(plan, &place.folder, &mut quiet()).expect_err("another workspace")
    });
    assert!(matches!(error, Ok(ApplyError::OtherWorkspace(_))), "{error:?}");
    assert_eq!(fs::read_to_string(moved.join("a")).expect("it"), "x");
    fs::remove_dir(&place.workspace).expect("removed");
    let found = rustix::fs::renameat_with(CWD, &moved, CWD, &place.workspace, RenameFlags::NOREPLACE);
    found.expect("moved back");
    assert_eq!(place.apply().done.len(), 1);
}

#[test]
fn a_folder_of_another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::new();
    place.host("a", "x").note().layer("a", "sandbox");
    fs::create_dir(&place.folder).expect("a directory");
    std::os::unix::fs::chown(&place.folder, Some(12_345), None).expect("given away");
    let error = place.try_apply(&Selection::Everything).expect_err("not ours");
    assert!(matches!(&error, ApplyError::NotOwned(path) if *path == place.folder), "{error}");
    assert_eq!(apply::resume(&place.folder).map_err(|error| matches!(error, ApplyError::NotOwned(_))), Err(true));
}
