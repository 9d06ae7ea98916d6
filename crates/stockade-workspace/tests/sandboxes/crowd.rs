//! Many at once, and disks that are full.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use stockade_workspace::sandboxes::{At, Programs, SandboxError, Take, Unseen};

use crate::support::{self, Place, checkpoint, names, seen, write};

#[test]
fn many_at_once_keep_apart() {
    let place = Place::new();
    let mut source = place.create(Some("source")).expect("a sandbox");
    write(&source.upper(), "shared", "1");
    checkpoint(&mut source);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let place = &place;
        let workers: Vec<_> = (0..3).map(|number| scope.spawn(move || work(place, number))).collect();
        let tidier = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let tidied = support::sandboxes(&place.base).tidy().expect("tidied");
                assert!(tidied.failures.is_empty() && tidied.recovered.is_empty(), "{tidied:?}");
            }
        });
        let done: Vec<_> = workers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        over.store(true, Ordering::Relaxed);
        assert!(done.iter().all(Result::is_ok));
        tidier.join().expect("done");
    });
    place.sandboxes.tidy().expect("tidied");
    assert_eq!(names(&place.state().join("sandboxes")), ["source"]);
    assert_eq!(place.layers().len(), 1);
}

/// Forks, works in the fork and removes it, over and over.
fn work(place: &Place, number: usize) {
    let sandboxes = support::sandboxes(&place.base);
    for round in 0..15 {
        let name = format!("fork-{number}");
        let mut fork = sandboxes.fork("source", At::Now, Some(&name)).expect("a fork");
        write(&fork.upper(), "own", &format!("{number} {round}"));
        checkpoint(&mut fork);
        let second = sandboxes.fork(&name, At::Checkpoint("c2"), None).expect("a fork of it");
        write(&fork.upper(), "own", "later");
        fork.lock().expect("locked").restore("c1", None).expect("restored");
        assert_eq!(seen(&fork.layers(), &place.workspace).into_keys().collect::<Vec<_>>(), ["shared"]);
        sandboxes.remove(&name).expect("removed");
        assert_eq!(seen(&second.layers(), &place.workspace)["own"], format!("{number} {round}"));
        sandboxes.remove(second.name()).expect("removed");
    }
}

#[test]
fn one_sandbox_is_changed_by_one_at_a_time() {
    let place = Place::new();
    place.create(Some("one")).expect("a sandbox");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    checkpoint(&mut place.sandboxes.open("one").expect("opened"));
                }
            });
        }
    });
    assert_eq!(place.sandboxes.open("one").expect("opened").log().len(), 40);
}

/// A file system of a megabyte, in a mount namespace of its own.
#[test]
fn on_a_full_disk_nothing_changes() {
    let place = Place::new();
    let small = place.base.join("small");
    fs::create_dir(&small).expect("a directory");
    let script = "mount -t tmpfs -o size=1m,mode=700 tmpfs \"$BASE\" && exec \"$@\"";
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "--", "sh", "-c", script, "sh"])
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", "crowd::in_a_megabyte", "--nocapture"])
        .env("BASE", &small)
        .env("SANDBOXES_TEST_SMALL", &small)
        .output()
        .expect("unshare(1) of util-linux");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// Does nothing but when the test above starts it.
#[test]
fn in_a_megabyte() {
    let Some(base) = std::env::var_os("SANDBOXES_TEST_SMALL").map(PathBuf::from) else { return };
    let workspace = base.join("project");
    fs::create_dir(&workspace).expect("a workspace");
    let sandboxes = support::sandboxes(&base);
    let new = stockade_workspace::sandboxes::New {
        name: Some("one"),
        workspace: &workspace,
        settings: serde_json::Value::Null,
        once: false,
    };
    let mut sandbox = sandboxes.create(new).expect("a sandbox");
    write(&sandbox.upper(), "kept", "1");
    checkpoint(&mut sandbox);
    write(&sandbox.upper(), "large", &"x".repeat(600 << 10));
    let layers = || names(&base.join("state/layers")).len();
    let (now, before) = (seen(&sandbox.layers(), &workspace), layers());
    let is_full = |result: Result<(), SandboxError>| {
        let text = result.expect_err("there was room").to_string();
        assert!(text.contains("No space left"), "{text}");
    };
    // There is no room for a copy.
    let mut thaw = || {};
    let programs = Programs::Frozen { unseen: &Unseen::default(), thaw: &mut thaw };
    is_full(sandbox.lock().expect("locked").checkpoint(Take { label: None, automatic: false, programs }).map(drop));
    assert_eq!((seen(&sandbox.layers(), &workspace), layers()), (now.clone(), before));
    // There is no room for anything.
    let filler = base.join("filler");
    for size in [4096, 1] {
        let mut file = fs::File::options().append(true).create(true).open(&filler).expect("a file");
        while std::io::Write::write_all(&mut file, &vec![0; size]).is_ok() {}
    }
    let programs = Programs::Stopped(None);
    is_full(sandbox.lock().expect("locked").checkpoint(Take { label: None, automatic: false, programs }).map(drop));
    is_full(sandbox.lock().expect("locked").restore("c1", None).map(drop));
    is_full(sandboxes.fork("one", At::Checkpoint("c1"), Some("two")).map(drop));
    assert_eq!((seen(&sandbox.layers(), &workspace), layers()), (now.clone(), before));
    assert_eq!(names(&base.join("state/sandboxes")), ["one"]);
    assert_eq!(sandbox.log().len(), 1);
    // With room again, everything goes on.
    fs::remove_file(&filler).expect("removed");
    checkpoint(&mut sandbox);
    sandbox.lock().expect("locked").restore("c1", None).expect("restored");
    assert_eq!(seen(&sandbox.layers_of("c2").expect("layers"), &workspace), now);
}
