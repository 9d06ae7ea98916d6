//! After an apply has changed the host, checkpoints show what they showed.

use std::ffi::CString;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use stockade_workspace::layers::Entry;
use stockade_workspace::sandboxes::{Preserving, Sandbox, Seen};

use crate::support::{Place, checkpoint, tick, whiteout, write};

/// Moves what the host has at a path to the layer, from wherever it was moved to first.
fn take(preserving: &Preserving, from: &Path, path: &str) -> bool {
    let (dir, name) = (from.parent().expect("a parent"), from.file_name().expect("a name"));
    let dir = fs::File::open(dir).expect("a directory");
    let name = CString::new(name.as_bytes()).expect("a name");
    preserving.take(dir.as_fd(), &name, Path::new(path)).expect("taken")
}

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

/// Does to the host what an apply of everything does, by way of a staging directory.
fn apply(place: &Place, sandbox: &mut Sandbox) {
    let host = &place.workspace;
    let mut locked = sandbox.lock().expect("locked");
    let preserving = locked.preserve().expect("begun");
    for path in ["changed", "d/changed", "gone"] {
        assert!(take(&preserving, &host.join(path), path), "{path}");
        assert!(preserving.has(Path::new(path)).expect("known"));
    }
    for path in ["added", "first"] {
        preserving.keep_absence(Path::new(path)).expect("kept");
    }
    for (path, text) in [("changed", "new"), ("d/changed", "new"), ("added/in", "new"), ("first", "1")] {
        place.host(path, text);
    }
    let paths = ["changed", "d/changed", "gone", "added", "added/in", "first"];
    let renewed = paths.map(|path| (PathBuf::from(path), entry(&host.join(path))));
    locked.finish_preserving(preserving, renewed).expect("finished");
}

#[test]
fn checkpoints_show_what_they_showed() {
    let (place, mut sandbox) = place();
    let shown = |sandbox: &Sandbox, name: &str| place.seen(&sandbox.layers_of(name).expect("layers"));
    let before = ["c1", "c2"].map(|name| shown(&sandbox, name));
    apply(&place, &mut sandbox);
    assert_eq!(["c1", "c2"].map(|name| shown(&sandbox, name)), before);
    assert_eq!(place.seen(&sandbox.layers()), before[1]);
    assert_eq!(place.seen(&[]), before[1], "the host has what the sandbox has");
    // The host's own later changes show where nothing was kept, and only there.
    place.host("same", "newer");
    place.host("gone/x", "newer");
    place.host("d/more", "newer");
    let now = shown(&sandbox, "c1");
    assert_eq!(
        (now["same"].as_str(), now["gone/x"].as_str(), now["d/more"].as_str()),
        ("newer", "old gone/x", "newer")
    );
    sandbox.lock().expect("locked").restore("c1", None).expect("restored");
    assert_eq!(place.seen(&sandbox.layers())["changed"], "old changed");
    for (id, _) in sandbox.digests() {
        assert!(sandbox.verify_layer(id).expect("compared").is_good());
    }
}

#[test]
fn what_is_compared_with_is_what_the_apply_left() {
    let (place, mut sandbox) = place();
    apply(&place, &mut sandbox);
    let base = |sandbox: &Sandbox, path: &str| sandbox.base_of(Path::new(path)).expect("notes");
    for path in ["changed", "gone", "added/in"] {
        let expected = Seen::Known { entry: entry(&place.workspace.join(path)), copy: None };
        assert_eq!(base(&sandbox, path), expected, "{path}");
        assert_eq!(sandbox.bases_at("c1").expect("notes").of(Path::new(path)), &expected, "{path}");
    }
    // And after another apply, what that left.
    tick();
    let mut locked = sandbox.lock().expect("locked");
    let preserving = locked.preserve().expect("begun");
    assert!(take(&preserving, &place.workspace.join("changed"), "changed"));
    place.host("changed", "newest");
    let renewed = entry(&place.workspace.join("changed"));
    locked.finish_preserving(preserving, [(PathBuf::from("changed"), renewed)]).expect("finished");
    drop(locked);
    assert_eq!(base(&sandbox, "changed"), Seen::Known { entry: renewed, copy: None });
    assert_eq!(place.seen(&sandbox.layers_of("c1").expect("layers"))["changed"], "old changed");
}

#[test]
fn lists_of_layers_do_not_grow_with_every_apply() {
    let (place, mut sandbox) = place();
    let mut supervisor = None;
    for number in 0..12 {
        let mut locked = sandbox.lock().expect("locked");
        if number == 8 {
            supervisor = locked.hold_supervisor().expect("held");
        }
        let preserving = locked.preserve().expect("begun");
        let path = if number % 2 == 0 { "changed" } else { "d/same" };
        assert!(take(&preserving, &place.workspace.join(path), path));
        place.host(path, &number.to_string());
        let renewed = entry(&place.workspace.join(path));
        locked.finish_preserving(preserving, [(PathBuf::from(path), renewed)]).expect("finished");
        drop(locked);
        let count = sandbox.layers_of("c1").expect("layers").len();
        assert_eq!(count, if number < 8 { 2 } else { number - 8 + 3 }, "not while programs run");
    }
    assert!(sandbox.is_deep());
    drop(supervisor);
    sandbox.lock().expect("locked").compact(None).expect("merged");
    assert_eq!(sandbox.layers_of("c1").expect("layers").len(), 2);
    let seen = place.seen(&sandbox.layers_of("c1").expect("layers"));
    assert_eq!((seen["changed"].as_str(), seen["d/same"].as_str()), ("old changed", "old d/same"));
    for (path, at) in [("changed", "10"), ("d/same", "11")] {
        let Seen::Known { entry: Some(entry), .. } = sandbox.base_of(Path::new(path)).expect("notes") else {
            panic!("{path}");
        };
        assert_eq!(entry.size, 2, "{at}");
        assert_eq!(Some(entry), self::entry(&place.workspace.join(path)));
    }
    for (id, _) in sandbox.digests() {
        assert!(sandbox.verify_layer(id).expect("compared").is_good());
    }
    assert_eq!(place.layers().len(), 3);
}

#[test]
fn an_interrupted_apply_goes_on_with_the_same_layer() {
    let (place, mut sandbox) = place();
    let mut locked = sandbox.lock().expect("locked");
    assert!(locked.preserving().expect("known").is_none());
    let begun = locked.preserve().expect("begun");
    assert!(take(&begun, &place.workspace.join("changed"), "changed"));
    let id = begun.id();
    drop((begun, locked));
    // Nobody takes it for garbage, and other changes do not disturb it.
    assert_eq!(place.sandboxes.tidy().expect("tidied").layers, 0);
    write(&sandbox.upper(), "more", "1");
    checkpoint(&mut sandbox);
    let mut locked = sandbox.lock().expect("locked");
    let found = locked.preserving().expect("known").expect("the layer");
    assert_eq!(found.id(), id);
    let again = place.base.join("changed");
    fs::write(&again, "another").expect("a file");
    assert!(!take(&found, &again, "changed"), "it has been taken before");
    assert_eq!(fs::read_to_string(&again).expect("it stays"), "another");
    locked.drop_preserving(found).expect("dropped");
    assert!(locked.preserving().expect("known").is_none());
    assert!(!place.layers().contains(&id.to_string()));
}

#[test]
fn what_lies_on_another_file_system_is_copied() {
    let (place, mut sandbox) = place();
    let elsewhere = tempfile::tempdir_in("/dev/shm").expect("a directory in memory");
    write(elsewhere.path(), "gone/y/z", "old gone/y/z");
    write(elsewhere.path(), "gone/x", "old gone/x");
    write(elsewhere.path(), "changed", "old changed");
    let mut locked = sandbox.lock().expect("locked");
    let preserving = locked.preserve().expect("begun");
    for path in ["gone", "changed"] {
        assert!(take(&preserving, &elsewhere.path().join(path), path));
        assert!(!elsewhere.path().join(path).exists());
    }
    for path in ["gone/y/z", "gone/x", "changed"] {
        assert_eq!(fs::read_to_string(preserving.tree().join(path)).expect("content"), format!("old {path}"));
    }
    locked.finish_preserving(preserving, []).expect("finished");
    assert_eq!(
        crate::support::names(&place.state().join("layers").join(sandbox.layers_id())),
        ["bases", "listing.jsonl", "tree"]
    );
}

/// The layer at the bottom.
trait Bottom {
    fn layers_id(&self) -> String;
}

impl Bottom for Sandbox {
    fn layers_id(&self) -> String {
        self.find("c1").expect("c1").layers[0].to_string()
    }
}
