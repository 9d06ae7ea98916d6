//! The process ends at a place, and another one resumes.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};

use stockade_workspace::apply::{self, Applied, Selection};
use stockade_workspace::fault;

use crate::privileges::ran_without_privileges;
use crate::scene::{Scene, UNITS};

const JOB: &str = "APPLY_TEST_JOB";

/// What a child process does: the workspace's base directory, the folder, and the places at which the apply, and then the
/// resuming, is to end.
fn child(scene: &Scene, job: &str, at: u32) -> ExitStatus {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "killed::work", "--nocapture"]).env(JOB, format!("{job} {at}"));
    command.env("APPLY_TEST_BASE", scene.place.workspace.parent().expect("a parent"));
    let output = command.env("APPLY_TEST_FOLDER", &scene.place.folder).output().expect("started");
    let killed = output.status.signal() == Some(9);
    assert!(killed || output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    output.status
}

/// Does nothing but when [`child`] starts it.
#[test]
fn work() {
    let Ok(job) = std::env::var(JOB) else { return };
    let (job, at) = job.split_once(' ').expect("a job");
    let get = |name: &str| std::env::var_os(name).expect("set");
    let folder = get("APPLY_TEST_FOLDER");
    fault::arm(at.parse().expect("a number"));
    if job == "resume" {
        apply::resume(Path::new(&folder)).expect("resumed");
        return;
    }
    let base = Path::new(&get("APPLY_TEST_BASE")).to_owned();
    let applied = crate::place::apply_found(&base, Path::new(&folder));
    assert_eq!((applied.conflicts.len(), applied.failed.len()), (0, 0));
}

fn check_resumed(scene: &Scene, applied: Option<&Applied>, place: &str) {
    let now = scene.now();
    scene.place.check_tidy();
    match applied {
        None => assert_eq!(now, scene.before, "{place}: nothing was begun"),
        Some(applied) => {
            assert_eq!((applied.conflicts.len(), applied.failed.len()), (0, 0), "{place}: {applied:?}");
            assert_eq!(now, scene.after, "{place}: all is done");
            assert_eq!(applied.done.len(), 23, "{place}: {applied:?}");
            let old = applied.old.as_ref().expect("an old layer");
            assert_eq!(std::fs::read_to_string(old.join("a")).expect("the old version"), "a before", "{place}");
            assert_eq!(std::fs::read_to_string(old.join("gonetree/x/y")).expect("it"), "y before", "{place}");
            assert_eq!(std::fs::read_to_string(old.join("unswap/in/it")).expect("it"), "in a directory", "{place}");
        }
    }
}

/// Kills an apply at every place; each file is before or after; resuming does the rest, and doing so again changes nothing.
fn kill_everywhere(elsewhere: Option<&Path>) {
    let mut place = 0;
    let (mut nothing, mut everything) = (0, 0);
    loop {
        let scene = Scene::new(elsewhere);
        let status = child(&scene, "apply", place);
        scene.check(&scene.now());
        let applied = apply::resume(&scene.place.folder).expect("resumed");
        check_resumed(&scene, applied.as_ref(), &format!("place {place}"));
        assert_eq!(apply::resume(&scene.place.folder).expect("again"), applied, "place {place}");
        *if applied.is_some() { &mut everything } else { &mut nothing } += 1;
        apply::close(&scene.place.folder).expect("closed");
        // What was not begun can be done now.
        if applied.is_none() {
            scene.place.note();
            assert_eq!(scene.place.apply().done.len(), 23, "place {place}");
            assert_eq!(scene.now(), scene.after);
            apply::close(&scene.place.folder).expect("closed");
        }
        if status.success() {
            break;
        }
        place += 1;
    }
    assert!(nothing > 10 && everything > 30, "{nothing} {everything}");
}

#[test]
fn killed_at_every_place_an_apply_is_resumed() {
    kill_everywhere(None);
}

#[test]
fn killed_at_every_place_an_apply_from_another_file_system_is_resumed() {
    kill_everywhere(Some(tempfile::tempdir().expect("a directory on a disk").path()));
}

/// For root, who may do anything: the same without capabilities, so that directories have to be opened.
#[test]
fn killed_without_privileges_an_apply_puts_modes_back() {
    ran_without_privileges("killed::killed_at_every_place_an_apply_is_resumed");
}

/// Kills an apply, and then the resuming at every place of its own.
#[test]
fn resuming_is_resumed() {
    for elsewhere in [None, Some(tempfile::tempdir().expect("a directory on a disk"))] {
        for at in (0..200).step_by(7) {
            let scene = Scene::new(elsewhere.as_ref().map(|elsewhere| elsewhere.path()));
            if child(&scene, "apply", at).success() {
                break;
            }
            let mut place = at % 3;
            while !child(&scene, "resume", place).success() {
                scene.check(&scene.now());
                place += 3;
                assert!(place < 1_000, "it goes on");
            }
            let applied = apply::resume(&scene.place.folder).expect("resumed");
            check_resumed(&scene, applied.as_ref(), &format!("place {at}, resumed"));
            apply::close(&scene.place.folder).expect("closed");
        }
    }
}

/// Closing can be interrupted as well.
#[test]
fn closing_is_closed() {
    for place in 0..4 {
        let scene = Scene::new(None);
        scene.place.try_apply(&Selection::Everything).expect("applied");
        fault::watch(move |number| assert!(number != place, "interrupted"));
        let closed = std::panic::catch_unwind(|| apply::close(&scene.place.folder).expect("closed"));
        fault::unwatch();
        apply::close(&scene.place.folder).expect("closed");
        assert!(closed.is_err() || place > 0);
        assert_eq!(std::fs::read_dir(&scene.place.folder).expect("it").count(), 0);
        assert_eq!(scene.check(&scene.now()).len(), UNITS.len());
    }
}
