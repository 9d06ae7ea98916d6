//! That access control lists are the host's own.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode};

use crate::attributes::{chmod, mode, set};
use crate::place::{Place, texts};

const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";

/// `u::rwx,u:USER:r-x,g::---,m::r-x,o::r-x`, as `acl(5)` is kept in an attribute.
fn list(user: u8) -> Vec<u8> {
    let entry = |tag, permission, id: [u8; 4]| [&[tag, 0, permission, 0][..], &id].concat();
    let entries = [(1, 7, [255; 4]), (2, 5, [user, 0, 0, 0]), (4, 0, [255; 4]), (16, 5, [255; 4]), (32, 5, [255; 4])];
    let entries = entries.map(|(tag, permission, id)| entry(tag, permission, id));
    [&[2, 0, 0, 0][..], &entries.concat()].concat()
}

/// The list of a file or directory, and the one that a directory hands on.
fn lists(path: &Path) -> [Option<Vec<u8>>; 2] {
    [ACCESS, DEFAULT].map(|name| {
        let mut value = vec![0; 4096];
        let length = rustix::fs::getxattr(path, name, &mut value[..]).ok()?;
        value.truncate(length);
        Some(value)
    })
}

#[test]
fn lists_of_a_sandbox_stay_in_it() {
    let place = Place::new();
    place.host("file", "x").host("listed", "x").host("d/x", "x").host("became-a-directory", "x");
    for path in ["listed", "d/x", "d"] {
        set(&place.workspace.join(path), ACCESS, &list(1));
    }
    place.note();
    place.layer("file", "y").layer("listed", "y").layer("d/x", "y").layer("d/new", "y").layer("n/sub/new", "y");
    place.layer("became-a-directory/new", "y");
    let layer = &place.layers[0];
    fs::hard_link(layer.join("listed"), layer.join("another-name")).expect("a name");
    rustix::fs::mknodat(CWD, layer.join("d/pipe"), FileType::Fifo, Mode::RUSR, 0).expect("a pipe");
    let directories = ["d", "n", "n/sub", "became-a-directory"];
    let files = ["file", "listed", "d/x", "d/new", "d/pipe", "n/sub/new", "became-a-directory/new"];
    files.iter().chain(&directories).for_each(|path| set(&layer.join(path), ACCESS, &list(2)));
    directories.iter().for_each(|path| set(&layer.join(path), DEFAULT, &list(3)));
    set(&layer.join("d"), "user.comment", b"so that something of it is applied");
    let applied = place.apply();
    assert_eq!((&applied.conflicts[..], &applied.failed[..], texts(&applied.bare)), (&[][..], &[][..], vec![]));
    for path in files.iter().chain(&directories).chain(&["another-name"]) {
        let own = ["listed", "another-name", "d/x", "d"].contains(path).then(|| list(1));
        assert_eq!(lists(&place.workspace.join(path)), [own, None], "{path}");
        assert_eq!(mode(&place.workspace.join(path)), mode(&layer.join(path)), "{path}");
    }
    let old = applied.old.expect("an old layer");
    assert_eq!([lists(&old.join("listed")), lists(&old.join("d"))], [[Some(list(1)), None], [Some(list(1)), None]]);
}

#[test]
fn what_is_new_gets_the_list_that_the_host_hands_on() {
    let place = Place::new();
    place.host("d/file", "x").host("d/was-a-file", "x").note();
    set(&place.workspace.join("d"), DEFAULT, &list(1));
    place.layer("d/file", "y").layer("d/new", "y").layer("d/n/sub/new", "y").layer("d/was-a-file/new", "y");
    symlink("x", place.layers[0].join("d/link")).expect("a link");
    chmod(&place.layers[0].join("d/new"), 0o640);
    let applied = place.apply();
    assert_eq!((&applied.failed[..], texts(&applied.bare)), (&[][..], vec![]));
    let now = |path: &str| place.workspace.join("d").join(path);
    assert_eq!([lists(&now("file")), lists(&now(""))], [[None, None], [None, Some(list(1))]]);
    for path in ["n", "n/sub", "was-a-file"] {
        let [access, default] = lists(&now(path));
        assert!(access.is_some() && default == Some(list(1)), "{path}");
    }
    assert!(["n/sub/new", "was-a-file/new"].iter().all(|path| lists(&now(path))[0].is_some()));
    // What the file had no permission for is taken off the list, as when it is made there: `u::rw-`, `m::r--`, `o::---`.
    let mut expected = list(1);
    [(6, 6), (30, 4), (38, 0)].into_iter().for_each(|(at, permission)| expected[at] = permission);
    assert_eq!((lists(&now("new"))[0].as_ref(), mode(&now("new"))), (Some(&expected), 0o640));
}
