//! A disk that is full, at whatever moment.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use stockade_workspace::apply::{self, Selection};

use crate::place::Place;

const JOB: &str = "APPLY_SPACE_TEST";

/// Runs one test of this program again where it may mount a small file system in memory.
fn on_a_small_disk(test: &str, options: &str) {
    let small = tempfile::tempdir().expect("a directory");
    let script = r#"mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@""#;
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "--", "sh", "-c", script, "sh", options]);
    command.arg(small.path()).arg(std::env::current_exe().expect("this program"));
    let output = command.args(["--exact", test, "--nocapture"]).env(JOB, small.path()).output().expect("unshare(1)");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

/// The workspace and the folder of the apply are on the small disk, the layers are not.
fn place(small: &Path) -> Place {
    let mut place = Place::in_memory();
    place.workspace = small.join("host");
    place.folder = small.join("apply");
    for path in [&place.workspace, &place.folder] {
        drop(fs::remove_dir_all(path));
    }
    fs::create_dir(&place.workspace).expect("a workspace");
    for name in ["a", "b", "gone", "d/x", "tree/y"] {
        place.host(name, "before");
    }
    place.note();
    let large = "after ".repeat(10_000);
    for name in ["a", "b", "d/new", "tree", "more/1", "more/2", "more/3/4"] {
        place.layer(name, &large);
    }
    place.whiteout("gone");
    place
}

/// Which files are as the sandbox has them. The others are as before.
fn after(place: &Place) -> usize {
    let text = |path: &str| fs::read_to_string(place.workspace.join(path)).ok();
    let mut count = 0;
    for (path, before) in
        [("a", true), ("b", true), ("d/new", false), ("tree", false), ("more/1", false), ("more/2", false)]
    {
        match text(path) {
            Some(text) if text.starts_with("after ") => {
                assert_eq!(text.len(), 60_000, "{path}");
                count += 1;
            }
            Some(text) => assert!(before && text == "before", "{path}"),
            None => assert!(!before, "{path}"),
        }
    }
    assert!(text("gone").is_none_or(|text| text == "before"));
    assert!(text("tree/y").is_none_or(|text| text == "before"));
    count + usize::from(text("gone").is_none()) + usize::from(text("d/x").is_some_and(|text| text == "after"))
}

/// Applies with this much space, more each time, until it suffices.
fn squeeze(small: &Path, fill: impl Fn(u64) -> Vec<PathBuf>, step: usize, least: usize) {
    let (mut refused, mut interrupted) = (0, 0);
    for left in (0..).step_by(step) {
        let place = place(small);
        let filler = fill(left);
        let result = place.try_apply(&Selection::Everything);
        let done = after(&place);
        filler.iter().for_each(|path| fs::remove_file(path).expect("removed"));
        match result {
            Ok(applied) => {
                assert_eq!((done, applied.conflicts.len(), applied.failed.len()), (7, 0, 0), "{applied:?}");
                assert!(refused >= least, "it was never too little: {refused}, {interrupted}");
                return;
            }
            Err(error) => match apply::resume(&place.folder).expect("resumed, now that there is room") {
                None => {
                    let text = error.to_string();
                    assert!(text.contains("No space left") || text.contains("os error 28"), "{text}");
                    assert_eq!(done, 0, "{text}");
                    place.check_tidy();
                    assert_eq!(place.apply().done.len(), 11, "a second try");
                    refused += 1;
                }
                Some(applied) => {
                    assert_eq!((after(&place), applied.failed.len()), (7, 0));
                    interrupted += 1;
                }
            },
        }
        apply::close(&place.folder).expect("closed");
        assert_eq!(after(&place), 7);
    }
}

#[test]
fn without_room_nothing_is_changed() {
    let Some(small) = std::env::var_os(JOB) else {
        return on_a_small_disk("space::without_room_nothing_is_changed", "size=4m");
    };
    let small = PathBuf::from(small);
    let fill = |left: u64| {
        let filler = small.join("filler");
        let free = rustix::fs::statvfs(&small).expect("its size");
        let pages = (free.f_bavail).saturating_sub(left);
        let bytes = vec![0; usize::try_from(pages * free.f_frsize).expect("small")];
        fs::write(&filler, bytes).expect("room");
        vec![filler]
    };
    squeeze(&small, fill, 1, 50);
}

#[test]
fn without_inodes_nothing_is_changed() {
    let Some(small) = std::env::var_os(JOB) else {
        return on_a_small_disk("space::without_inodes_nothing_is_changed", "size=8m,nr_inodes=100");
    };
    let small = PathBuf::from(small);
    let fill = |left: u64| {
        let free = rustix::fs::statvfs(&small).expect("its size").f_ffree.saturating_sub(left);
        let fillers: Vec<_> = (0..free).map(|number| small.join(format!("filler{number}"))).collect();
        fillers.iter().for_each(|path| fs::write(path, "").expect("an inode"));
        fillers
    };
    squeeze(&small, fill, 1, 10);
}
