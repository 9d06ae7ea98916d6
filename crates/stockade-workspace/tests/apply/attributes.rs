//! That files arrive as they are in the sandbox, with everything that belongs to them.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};
use stockade_workspace::apply::{Failed, Selection, Why};

use crate::place::{Place, texts};
use crate::privileges::ran_without_privileges;
use crate::tree;

pub(crate) fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it").mode() & 0o7777
}

fn set_modified(path: &Path, seconds: i64, nanoseconds: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).expect("a time");
}

fn modified(path: &Path) -> (i64, i64) {
    let metadata = fs::symlink_metadata(path).expect("it");
    (metadata.mtime(), metadata.mtime_nsec())
}

#[test]
fn times_are_exact_and_those_of_directories_come_last() {
    let place = Place::new();
    place.host("d/old", "x").host("d/e/old", "x").host("untouched/old", "x").note();
    place.layer("d/new", "x").layer("n/sub/new", "x").layer("d/e/new", "x").layer("untouched/new", "x");
    let layer = &place.layers[0];
    symlink("x", layer.join("d/link")).expect("a link");
    rustix::fs::mknodat(CWD, layer.join("d/pipe"), FileType::Fifo, Mode::RUSR, 0).expect("a pipe");
    let paths = ["d/new", "d/link", "d/pipe", "n/sub/new", "n/sub", "n", "d/e", "d"];
    for (at, path) in (0..).zip(paths) {
        set_modified(
            &layer.join(path),
            [-1_000_000, 1, 1_700_000_000, 0][at % 4],
            999_999_990 + i64::try_from(at).expect("few"),
        );
    }
    // The host has changed this directory in the meantime, so that its time says something.
    place.host("untouched/by-the-host", "x");
    let applied = place.apply();
    assert_eq!(applied.conflicts, []);
    for path in paths {
        assert_eq!(modified(&place.workspace.join(path)), modified(&layer.join(path)), "{path}");
    }
    assert_ne!(modified(&place.workspace.join("untouched")), modified(&layer.join("untouched")));
}

#[test]
fn a_directory_in_which_something_is_left_undone_does_not_get_its_time() {
    let place = Place::new();
    place.host("d/old", "x").host("d/both", "x").note();
    place.layer("d/new", "x").layer("d/both", "sandbox").host("d/both", "host");
    set_modified(&place.layers[0].join("d"), 1, 0);
    place.apply();
    assert_ne!(modified(&place.workspace.join("d")), (1, 0));
}

pub(crate) fn set(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::setxattr(path, name, value, XattrFlags::empty()).expect("an attribute");
}

#[test]
fn attributes_arrive_and_overlayfs_own_do_not() {
    let place = Place::new();
    place.host("file", "x").host("d/x", "").note();
    place.layer("file", "y").layer("new/plain", "z");
    fs::create_dir(place.layers[0].join("d")).expect("a directory");
    for path in ["file", "new", "d"] {
        let path = place.layers[0].join(path);
        set(&path, "user.comment", &[7; 1000]);
        set(&path, "user.overlay.origin", b"x");
    }
    set(&place.workspace.join("d"), "user.gone", b"x");
    place.note();
    let applied = place.apply();
    assert_eq!((texts(&applied.bare), applied.done.len()), (vec![], 4));
    for path in ["file", "new", "d"] {
        let path_now = place.workspace.join(path);
        assert_eq!(tree::attributes(&path_now), [("user.comment".to_owned(), vec![7; 1000])], "{path}");
        assert!(rustix::fs::getxattr(&path_now, "user.overlay.origin", &mut [0; 9][..]).is_err(), "{path}");
        assert_eq!(mode(&path_now), mode(&place.layers[0].join(path)), "{path}");
    }
}

#[test]
fn holes_stay_holes() {
    let place = Place::new();
    place.note();
    let path = place.layers[0].join("sparse");
    let mut file = File::create(&path).expect("a file");
    for at in [0, 1 << 20, 5 << 20, (1 << 36) - 3] {
        file.write_all_at(b"abc", at).expect("written");
    }
    file.set_len(1 << 40).expect("longer");
    file.seek(SeekFrom::Start(3 << 20)).expect("there");
    file.write_all(&[1; 100_000]).expect("written");
    File::create(place.layers[0].join("hole")).expect("a file").set_len(1 << 41).expect("longer");
    let applied = place.apply();
    assert_eq!(applied.done.len(), 2);
    let now = place.workspace.join("sparse");
    let (old, new) = (fs::metadata(&path).expect("it"), fs::metadata(&now).expect("it"));
    assert_eq!((new.len(), new.blocks()), (old.len(), old.blocks()));
    assert_eq!(fs::metadata(place.workspace.join("hole")).expect("it").blocks(), 0);
    let (one, other) = (File::open(path).expect("it"), File::open(now).expect("it"));
    for at in [0, 1 << 20, 3 << 20, (3 << 20) + 90_000, 5 << 20, (1 << 36) - 10] {
        let (mut left, mut right) = ([0; 20_000], [1; 20_000]);
        one.read_exact_at(&mut left, at).expect("read");
        other.read_exact_at(&mut right, at).expect("read");
        assert!(left == right, "at {at}");
    }
}

#[test]
fn names_of_one_file_stay_names_of_one_file() {
    let place = Place::new();
    place.host("a", "x").host("d/b", "x").host("held/.envrc", "x").note();
    place.layer("a", "sandbox");
    let layer = &place.layers[0];
    for path in ["new", "d", "held"] {
        fs::create_dir(layer.join(path)).expect("a directory");
    }
    for path in ["d/b", "new/c", "z", "held/.envrc"] {
        fs::hard_link(layer.join("a"), layer.join(path)).expect("a name");
    }
    // The host's file has another name outside, which is no part of this.
    let outside = place.base.path().join("outside");
    fs::hard_link(place.workspace.join("d/b"), &outside).expect("a name");
    place.note();
    let applied = place.apply();
    let inode = |path: &str| fs::metadata(place.workspace.join(path)).expect("it").ino();
    assert!(["d/b", "new/c", "z"].iter().all(|path| inode(path) == inode("a")));
    assert_eq!(fs::metadata(place.workspace.join("a")).expect("it").nlink(), 4);
    assert_eq!((place.read("z"), place.read("held/.envrc")), ("sandbox".into(), "x".into()));
    assert_eq!(fs::read_to_string(outside).expect("it"), "x");
    assert_ne!(inode("a"), fs::metadata(layer.join("a")).expect("it").ino(), "a layer's own file is not given away");
    assert_eq!(applied.done.len(), 5);
}

#[test]
fn sockets_and_devices_are_told_and_never_made() {
    let place = Place::new();
    place.host("was-a-file", "x").host("was-a-directory/a", "x").note();
    let layer = &place.layers[0];
    place.layer("d/file", "x");
    for path in ["socket", "d/socket", "was-a-file"] {
        rustix::fs::mknodat(CWD, layer.join(path), FileType::Socket, Mode::RUSR, 0).expect("a socket");
    }
    let mut expected = vec![("d/socket", Why::Socket), ("socket", Why::Socket), ("was-a-file", Why::Socket)];
    if rustix::process::geteuid().is_root() {
        for path in ["d/null", "was-a-directory"] {
            let null = rustix::fs::makedev(1, 3);
            rustix::fs::mknodat(CWD, layer.join(path), FileType::CharacterDevice, Mode::RUSR, null).expect("a device");
        }
        expected = vec![
            ("d/null", Why::Device),
            ("d/socket", Why::Socket),
            ("socket", Why::Socket),
            ("was-a-directory", Why::Device),
            ("was-a-directory/a", Why::Above("was-a-directory".into())),
            ("was-a-file", Why::Socket),
        ];
    }
    rustix::fs::mknodat(CWD, layer.join("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
    chmod(&layer.join("pipe"), 0o640);
    let applied = place.apply();
    let told = |failed: &Failed| (failed.path.to_str().expect("text").to_owned(), failed.why.clone());
    let expected: Vec<_> = expected.into_iter().map(|(path, why)| (path.to_owned(), why)).collect();
    assert_eq!(applied.failed.iter().map(told).collect::<Vec<_>>(), expected);
    assert_eq!((place.read("was-a-file"), place.read("was-a-directory/a")), ("x".into(), "x".into()));
    assert_eq!(texts(applied.done.iter().map(|done| &done.path)), ["d", "d/file", "pipe"]);
    assert_eq!(mode(&place.workspace.join("pipe")), 0o640);
}

#[test]
fn directories_that_forbid_writing_permit_it_for_the_moment() {
    if ran_without_privileges("attributes::directories_that_forbid_writing_permit_it_for_the_moment") {
        return;
    }
    let place = Place::new();
    place
        .host("a/b/file", "x")
        .host("a/b/gone", "x")
        .host("c/d/x", "x")
        .host("e/x", "x")
        .host("f/x", "x")
        .host("g/x", "x");
    let host = |path: &str| place.workspace.join(path);
    for (path, mode) in [("a/b", 0o555), ("a", 0o555), ("c/d", 0o500), ("c", 0o555), ("f", 0o500)] {
        chmod(&host(path), mode);
    }
    place.note();
    place.layer("a/b/file", "sandbox").layer("a/b/new", "sandbox").whiteout("a/b/gone").whiteout("c/d");
    place.layer("e/x", "sandbox").layer("n/closed/file", "sandbox").layer("n/file", "sandbox").layer("f", "a file");
    place.layer("g/x", "y").layer("unreadable", "secret");
    let layer = |path: &str| place.layers[0].join(path);
    let modes = [("a/b", 0o555), ("a", 0o555), ("c", 0o555), ("e", 0o500), ("n/closed", 0), ("n", 0o500), ("g", 0o111)];
    modes.iter().for_each(|(path, mode)| chmod(&layer(path), *mode));
    chmod(&layer("unreadable"), 0);
    let applied = place.apply();
    assert_eq!((&applied.failed[..], &applied.conflicts[..]), (&[][..], &[][..]));
    for (path, expected) in modes {
        assert_eq!(mode(&host(path)), expected, "{path}");
        chmod(&host(path), 0o755);
    }
    assert_eq!(mode(&host("unreadable")), 0);
    assert_eq!((place.read("a/b/file"), place.read("n/closed/file")), ("sandbox".into(), "sandbox".into()));
    assert!(!place.exists("a/b/gone") && !place.exists("c/d"));
    let old = applied.old.expect("an old layer");
    for (path, expected) in [("a", 0o555), ("a/b", 0o555), ("c/d", 0o500), ("f", 0o500)] {
        assert_eq!(mode(&old.join(path)), expected, "{path} of the old layer");
    }
    stockade_workspace::apply::close(&place.folder).expect("closed");
    for path in ["n", "e", "g", "c", "a", "n/closed", "a/b"] {
        chmod(&layer(path), 0o755);
    }
    assert!(place.try_apply(&Selection::Everything).is_ok(), "modes only");
}
