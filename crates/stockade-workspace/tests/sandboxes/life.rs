//! Sandboxes are made, listed, opened, removed.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use rustix::fs::XattrFlags;
use stockade_workspace::sandboxes::{At, New, Prune, SandboxError};

use crate::support::{self, Place, checkpoint, names, set_mode, write};

#[test]
fn a_sandbox_is_there_as_a_whole() {
    let place = Place::new();
    set_mode(&place.workspace, 0o751);
    rustix::fs::setxattr(&place.workspace, "user.note", b"n", XattrFlags::empty()).expect("an attribute");
    let sandbox = place.new_sandbox();
    assert_eq!(sandbox.name(), "project-1");
    assert_eq!(names(sandbox.path()), ["sandbox.json", "upper", "work"]);
    // The directory that takes the writes is what programs see of the workspace's own.
    let (upper, host) = (fs::metadata(sandbox.upper()).expect("upper"), fs::metadata(&place.workspace).expect("host"));
    assert_eq!((upper.mode(), upper.mtime_nsec()), (host.mode(), host.mtime_nsec()));
    let mut value = [0; 8];
    assert_eq!(rustix::fs::getxattr(sandbox.upper(), "user.note", &mut value[..]), Ok(1));
    for path in [sandbox.path().to_owned(), place.state().join("sandboxes"), place.state().join("layers")] {
        assert_eq!(fs::metadata(path).expect("a folder").mode() & 0o7777, 0o700);
    }
    assert_eq!(fs::metadata(sandbox.path().join("sandbox.json")).expect("manifest").mode() & 0o7777, 0o600);
    let opened = place.sandboxes.open("project-1").expect("opened");
    assert_eq!((opened.id(), opened.settings()["policy"].as_str()), (sandbox.id(), Some("default")));
    assert_eq!(opened.workspace().path, place.workspace);
    assert!(opened.under().is_empty() && opened.head().is_none() && !opened.is_once());
}

#[test]
fn names_are_made_up_as_they_are_free() {
    let place = Place::new();
    for number in 1..=9 {
        assert_eq!(place.new_sandbox().name(), format!("project-{number}"));
    }
    place.sandboxes.remove("project-9").expect("removed");
    assert_eq!(place.new_sandbox().name(), "project-9");
    place.sandboxes.remove("project-1").expect("removed");
    assert_eq!(place.new_sandbox().name(), "project-1");
    place.create(Some("project-10")).expect("a sandbox");
    assert_eq!(place.new_sandbox().name(), "project-11");
}

#[test]
fn makers_at_the_same_time_get_names_of_their_own() {
    let place = Place::new();
    let mut made: Vec<String> = std::thread::scope(|scope| {
        let maker = || (0..20).map(|_| place.new_sandbox().name().to_owned()).collect::<Vec<_>>();
        let makers: Vec<_> = (0..4).map(|_| scope.spawn(maker)).collect();
        makers.into_iter().flat_map(|maker| maker.join().expect("made")).collect()
    });
    made.sort();
    made.dedup();
    assert_eq!(made.len(), 80);
    assert_eq!(names(&place.state().join("sandboxes")).len(), 80);
}

#[test]
fn the_list_says_what_each_is() {
    let place = Place::new();
    assert!(place.sandboxes.list().expect("a list").is_empty());
    let mut first = place.create(Some("first")).expect("a sandbox");
    write(&first.upper(), "a", "1");
    let taken = checkpoint(&mut first);
    place.create(Some("second")).expect("a sandbox");
    fs::write(place.state().join("sandboxes/second/sandbox.json"), "{").expect("damage");
    fs::create_dir(place.state().join("sandboxes/.new-0")).expect("half of one");
    let list = place.sandboxes.list().expect("a list");
    assert_eq!(list.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["first", "second"]);
    let summary = list[0].1.as_ref().expect("a summary");
    assert_eq!((summary.checkpoints, summary.head.as_ref(), summary.running), (1, Some(&taken), false));
    assert!(summary.used >= summary.created);
    assert!(matches!(list[1].1, Err(SandboxError::Damaged { .. })), "{:?}", list[1].1);
}

#[test]
fn what_only_one_names_goes_with_it() {
    let place = Place::new();
    let mut sandbox = place.create(Some("one")).expect("a sandbox");
    write(&sandbox.upper(), "a", "1");
    let shared = checkpoint(&mut sandbox);
    let fork = place.sandboxes.fork("one", At::Now, Some("two")).expect("a fork");
    write(&sandbox.upper(), "b", "2");
    checkpoint(&mut sandbox);
    assert_eq!(place.layers().len(), 2);
    place.sandboxes.remove("one").expect("removed");
    assert_eq!(place.layers(), shared.layers.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(place.seen(&fork.layers())["a"], "1");
    place.sandboxes.remove("two").expect("removed");
    assert!(place.layers().is_empty());
    assert!(names(&place.state().join("sandboxes")).is_empty());
    assert!(matches!(sandbox.lock(), Err(SandboxError::Removed(_))));
}

#[test]
fn a_name_that_was_given_again_is_another_sandbox() {
    let place = Place::new();
    let mut old = place.create(Some("one")).expect("a sandbox");
    place.sandboxes.remove("one").expect("removed");
    let new = place.create(Some("one")).expect("a sandbox");
    assert_ne!(old.id(), new.id());
    assert!(matches!(old.lock(), Err(SandboxError::Removed(_))));
}

#[test]
fn sandboxes_are_pruned_by_age_and_size() {
    let place = Place::new();
    for name in ["old", "large", "running"] {
        place.create(Some(name)).expect("a sandbox");
    }
    let mut large = place.sandboxes.open("large").expect("opened");
    write(&large.upper(), "a", &"x".repeat(1 << 20));
    checkpoint(&mut large);
    let mut running = place.sandboxes.open("running").expect("opened");
    let held = running.lock().expect("locked").hold_supervisor().expect("held").expect("free");
    let prune = |older, larger, only_tell| {
        let older_than = older;
        let pruned = place.sandboxes.prune(&Prune { older_than, larger_than: larger, only_tell }).expect("pruned");
        pruned.into_iter().map(|found| found.name).collect::<Vec<_>>()
    };
    assert!(prune(None, None, false).is_empty(), "nothing was asked for");
    assert!(prune(Some(Duration::from_secs(3600)), None, false).is_empty());
    assert_eq!(prune(Some(Duration::ZERO), None, true), ["large", "old"]);
    assert_eq!(prune(Some(Duration::ZERO), Some(1 << 19), true), ["large"]);
    assert!(prune(Some(Duration::from_secs(3600)), Some(1 << 19), true).is_empty());
    assert_eq!(prune(None, Some(1 << 19), false), ["large"]);
    assert!(place.layers().is_empty());
    assert_eq!(prune(Some(Duration::ZERO), None, false), ["old"]);
    drop(held);
    assert_eq!(prune(Some(Duration::ZERO), None, false), ["running"]);
}

#[test]
fn a_supervisor_is_one_and_goes_with_its_lock() {
    let place = Place::new();
    let mut sandbox = place.new_sandbox();
    assert!(!sandbox.is_running().expect("known"));
    let held = sandbox.lock().expect("locked").hold_supervisor().expect("held").expect("free");
    assert!(sandbox.is_running().expect("known"));
    assert!(sandbox.lock().expect("locked").hold_supervisor().expect("asked").is_none());
    let signed = fs::read_to_string(sandbox.path().join("supervisor")).expect("a process");
    assert_eq!(signed.trim(), std::process::id().to_string());
    let discarded = sandbox.lock().expect("locked").discard(None).map(drop);
    for result in [place.sandboxes.remove("project-1"), discarded] {
        assert!(matches!(result, Err(SandboxError::Running(_))), "{result:?}");
    }
    drop(held);
    assert!(!sandbox.is_running().expect("known"));
}

#[test]
fn usage_counts_each_file_once() {
    let place = Place::new();
    let mut sandbox = place.new_sandbox();
    assert_eq!(sandbox.usage().expect("usage").total().inodes, 0);
    write(&sandbox.upper(), "d/a", &"x".repeat(100_000));
    fs::hard_link(sandbox.upper().join("d/a"), sandbox.upper().join("b")).expect("a link");
    let file = fs::File::create(sandbox.upper().join("sparse")).expect("a file");
    file.set_len(1 << 30).expect("its length");
    let own = sandbox.own_usage().expect("usage");
    assert_eq!(own.inodes, 3);
    assert!((100_000..300_000).contains(&own.bytes), "{own:?}");
    // The copy that is made while programs run is a further file, a second one takes nothing.
    support::tick();
    support::checkpoint_frozen(&mut sandbox, &[]);
    let once = sandbox.usage().expect("usage").layers;
    support::checkpoint_frozen(&mut sandbox, &[]);
    let twice = sandbox.usage().expect("usage").layers;
    assert_eq!((once.inodes, twice.inodes), (3, 4), "a directory more");
    fs::create_dir_all(sandbox.path().join("caches/cargo/upper")).expect("caches");
    assert_eq!(sandbox.own_usage().expect("usage").inodes, 5);
    sandbox.settle().expect("settled");
}

#[test]
fn settings_are_kept_as_they_are() {
    let place = Place::new();
    let settings = serde_json::json!({"a": [1, 2.5, null, "x"]});
    let new = New { name: None, workspace: &place.workspace, settings: settings.clone(), once: true };
    let mut sandbox = place.sandboxes.create(new).expect("a sandbox");
    assert!(sandbox.is_once());
    sandbox.lock().expect("locked").keep().expect("kept");
    let mut sandbox = place.sandboxes.open("project-1").expect("opened");
    assert_eq!((sandbox.settings(), sandbox.is_once()), (&settings, false));
    sandbox.lock().expect("locked").set_settings(serde_json::json!(1)).expect("set");
    assert_eq!(place.sandboxes.open("project-1").expect("opened").settings(), &serde_json::json!(1));
}

#[test]
fn permissions_of_the_process_do_not_matter() {
    // A umask that lets nobody else in, in a process of its own.
    let place = Place::new();
    set_mode(&place.workspace, 0o755);
    let output = std::process::Command::new("sh")
        .args(["-c", "umask 0077; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", "life::with_a_closed_umask", "--nocapture"])
        .env("SANDBOXES_TEST_BASE", &place.base)
        .output()
        .expect("a process");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let sandbox = place.sandboxes.open("project-1").expect("a sandbox");
    assert_eq!(fs::metadata(sandbox.upper()).expect("upper").permissions().mode() & 0o7777, 0o755);
}

/// Does nothing but when the test above starts it.
#[test]
fn with_a_closed_umask() {
    let Some(base) = std::env::var_os("SANDBOXES_TEST_BASE") else { return };
    let base = std::path::PathBuf::from(base);
    let sandboxes = support::sandboxes(&base);
    let new = New { name: None, workspace: &base.join("project"), settings: serde_json::Value::Null, once: false };
    drop(sandboxes.create(new).expect("a sandbox"));
}
