//! What cannot be done says so in one message, and changes nothing.

use std::fs;
use std::path::Path;

use stockade_workspace::StateDirectory;
use stockade_workspace::sandboxes::{At, New, NotOwn, Sandbox, SandboxError, Sandboxes};

use crate::support::{Place, checkpoint, names, set_mode, write};

fn message<T>(result: Result<T, SandboxError>) -> String {
    match result {
        Ok(_) => panic!("it was done"),
        Err(error) => error.to_string(),
    }
}

fn new(workspace: &Path) -> New<'_> {
    New { name: Some("x"), workspace, settings: serde_json::Value::Null, once: false }
}

#[test]
fn names_that_are_unknown_taken_or_none() {
    let place = Place::new();
    place.create(Some("a")).expect("a sandbox");
    place.create(Some("b")).expect("a sandbox");
    let known = "; the sandboxes are a, b";
    assert_eq!(message(place.sandboxes.open("c")), format!("there is no sandbox \"c\"{known}"));
    assert_eq!(message(place.sandboxes.remove("c")), format!("there is no sandbox \"c\"{known}"));
    assert_eq!(message(place.sandboxes.fork("c", At::Now, None)), format!("there is no sandbox \"c\"{known}"));
    for wrong in ["..", ".", "", "a/../b", "../layers", ".new-1"] {
        assert!(matches!(place.sandboxes.open(wrong), Err(SandboxError::Unknown { .. })), "{wrong}");
        assert!(matches!(place.sandboxes.remove(wrong), Err(SandboxError::Unknown { .. })), "{wrong}");
        assert!(matches!(place.create(Some(wrong)), Err(SandboxError::Name(_))), "{wrong}");
        assert!(matches!(place.sandboxes.fork("a", At::Now, Some(wrong)), Err(SandboxError::Name(_))), "{wrong}");
    }
    assert!(matches!(place.create(Some("a")), Err(SandboxError::Exists(name)) if name == "a"));
    write(&place.sandboxes.open("a").expect("opened").upper(), "f", "1");
    assert!(matches!(place.sandboxes.fork("a", At::Now, Some("b")), Err(SandboxError::Exists(_))));
    assert!(place.sandboxes.open("a").expect("opened").log().is_empty(), "no checkpoint was taken for nothing");
    assert_eq!(names(&place.state().join("sandboxes")), ["a", "b"]);
}

#[test]
fn checkpoints_that_are_unknown() {
    let place = Place::new();
    let mut sandbox = place.new_sandbox();
    write(&sandbox.upper(), "f", "1");
    let error = message(sandbox.lock().expect("locked").restore("c1", None));
    assert_eq!(error, "the sandbox `project-1` has no checkpoint \"c1\"; there are no checkpoints");
    let forgotten = sandbox.lock().expect("locked").forget("c1");
    for result in [
        forgotten,
        sandbox.layers_of("c1").map(drop),
        place.sandboxes.fork("project-1", At::Checkpoint("c1"), None).map(drop),
    ] {
        assert!(matches!(result, Err(SandboxError::UnknownCheckpoint { .. })));
    }
    assert!(sandbox.log().is_empty() && place.layers().is_empty());
}

#[test]
fn workspaces_that_cannot_be_used() {
    let place = Place::new();
    let create = |path: &Path| message(place.sandboxes.create(new(path)));
    assert!(create(Path::new("project")).contains("not an absolute path"));
    assert!(create(&place.base.join("none")).contains("No such file"));
    fs::write(place.base.join("file"), "").expect("a file");
    assert!(create(&place.base.join("file")).contains("Not a directory"));
    std::os::unix::fs::symlink(&place.workspace, place.base.join("link")).expect("a link");
    assert!(matches!(place.sandboxes.create(new(&place.base.join("link"))), Err(SandboxError::NoWorkspace { .. })));
    assert!(create(&place.base).contains("lies in the workspace"));
    assert!(create(&place.state().join("layers")).contains("lies in the state directory"));
    assert!(names(&place.state().join("sandboxes")).is_empty());
}

#[test]
fn a_workspace_that_moved_or_was_replaced() {
    let place = Place::new();
    place.host("a", "host");
    let mut sandbox = place.new_sandbox();
    write(&sandbox.upper(), "a", "1");
    let moved = place.base.join("moved");
    fs::rename(&place.workspace, &moved).expect("moved");
    assert!(message(sandbox.open_workspace()).contains("if it was moved, move it back"));
    // What the sandbox holds can be kept, gone back to and removed all the same.
    checkpoint(&mut sandbox);
    sandbox.lock().expect("locked").discard(None).expect("discarded");
    sandbox.lock().expect("locked").restore("c1", None).expect("restored");
    fs::create_dir(&place.workspace).expect("another");
    assert!(matches!(sandbox.open_workspace(), Err(SandboxError::OtherWorkspace(_))));
    fs::remove_dir(&place.workspace).expect("removed");
    fs::rename(&moved, &place.workspace).expect("moved back");
    sandbox.open_workspace().expect("the same again");
    assert_eq!(place.seen(&sandbox.layers())["a"], "1");
}

#[test]
fn manifests_that_are_damaged_or_newer() {
    let place = Place::new();
    let mut sandbox = place.new_sandbox();
    write(&sandbox.upper(), "f", "1");
    checkpoint(&mut sandbox);
    let file = sandbox.path().join("sandbox.json");
    let good = fs::read_to_string(&file).expect("a manifest");
    let mut check = |text: &str, expected: &str| {
        fs::write(&file, text).expect("written");
        let error = message(place.sandboxes.open("project-1"));
        assert!(error.contains(expected), "{text}: {error}");
        assert_eq!(message(sandbox.lock().map(drop)), error);
        assert_eq!(fs::read_to_string(&file).expect("as it was"), text);
    };
    check("", "is damaged: EOF");
    check("{}", "missing field `version`");
    check(&good.replace("\"version\":1", "\"version\":2"), "newer version of stockade (format 2)");
    check("{\"version\":99,\"unheard\":of}", "is damaged");
    check("{\"version\":99,\"unheard\":\"of\"}", "(format 99)");
    check(&good.replace("\"under\":[0]", "\"under\":[1]"), "names a layer that it does not describe");
    check(&good.replace("\"head\":1", "\"head\":2"), "names a checkpoint that it does not describe");
    check(&good.replace("\"time\"", "\"parent\":1,\"time\""), "a checkpoint's parent is not there");
    check(&good.replacen("\"id\":\"", "\"id\":\"..", 1), "32 hexadecimal digits");
    // While it is not known what it names, no layer is taken for garbage.
    let mut other = place.create(Some("other")).expect("a sandbox");
    write(&other.upper(), "f", "1");
    checkpoint(&mut other);
    place.sandboxes.remove("other").expect("removed");
    let tidied = place.sandboxes.tidy().expect("tidied");
    assert_eq!((tidied.layers, tidied.failures.len()), (0, 1));
    assert_eq!(place.layers().len(), 2);
    place.sandboxes.remove("project-1").expect("a damaged one can be removed");
    assert!(place.layers().is_empty());
}

#[test]
fn folders_that_are_not_the_callers_alone() {
    let place = Place::new();
    let sandbox = place.new_sandbox();
    let check = |expected: NotOwn| {
        for result in [place.sandboxes.open("project-1").map(drop), place.sandboxes.remove("project-1")] {
            match result {
                Err(SandboxError::NotOwn { why, .. }) => assert_eq!(why, expected),
                other => panic!("{expected:?}: {other:?}"),
            }
        }
        assert!(place.sandboxes.list().expect("a list")[0].1.is_err());
    };
    let (folder, file) = (sandbox.path().to_owned(), sandbox.path().join("sandbox.json"));
    set_mode(&folder, 0o750);
    check(NotOwn::Mode(0o750));
    set_mode(&folder, 0o700);
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&folder, Some(12345), None).expect("given away");
        check(NotOwn::Owner(12345));
        std::os::unix::fs::chown(&folder, Some(0), None).expect("taken back");
        std::os::unix::fs::chown(&file, Some(12345), None).expect("given away");
        assert!(matches!(place.sandboxes.open("project-1"), Err(SandboxError::NotOwn { why: NotOwn::Owner(_), .. })));
        std::os::unix::fs::chown(&file, Some(0), None).expect("taken back");
    }
    let aside = place.base.join("aside");
    fs::rename(&folder, &aside).expect("renamed");
    std::os::unix::fs::symlink(&aside, &folder).expect("a link");
    check(NotOwn::Kind);
    fs::remove_file(&folder).expect("removed");
    fs::rename(&aside, &folder).expect("renamed");
    fs::rename(&file, &aside).expect("renamed");
    std::os::unix::fs::symlink(&aside, &file).expect("a link");
    assert!(matches!(place.sandboxes.open("project-1"), Err(SandboxError::NotOwn { why: NotOwn::Kind, .. })));
}

#[test]
fn state_directories_that_cannot_be_used() {
    let place = Place::new();
    let open = |path: &Path| Sandboxes::new(&StateDirectory::new(path).expect("a path"));
    fs::write(place.base.join("file"), "").expect("a file");
    assert!(matches!(open(&place.base.join("file")), Err(SandboxError::NotOwn { why: NotOwn::Kind, .. })));
    let other = place.base.join("other");
    fs::create_dir(&other).expect("a directory");
    std::os::unix::fs::symlink("/tmp", other.join("layers")).expect("a link");
    assert!(matches!(open(&other), Err(SandboxError::NotOwn { why: NotOwn::Kind, .. })));
    let shared = place.base.join("shared");
    fs::create_dir(&shared).expect("a directory");
    set_mode(&shared, 0o777);
    assert!(matches!(open(&shared), Err(SandboxError::NotOwn { why: NotOwn::Mode(0o777), .. })));
}

/// A state directory on an overlay, in a mount namespace of its own.
#[test]
fn file_systems_that_cannot_hold_a_sandbox() {
    let place = Place::new();
    for name in ["low", "up", "work", "merged"] {
        fs::create_dir(place.base.join(name)).expect("a directory");
    }
    let script = "mount -t overlay overlay -o userxattr,lowerdir=low,upperdir=up,workdir=work merged && exec \"$@\"";
    let output = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "--", "sh", "-c", script, "sh"])
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", "bad_input::on_an_overlay", "--nocapture"])
        .current_dir(&place.base)
        .env("SANDBOXES_TEST_OVERLAY", &place.base)
        .output()
        .expect("unshare(1) of util-linux");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// Does nothing but when the test above starts it.
#[test]
fn on_an_overlay() {
    let Some(base) = std::env::var_os("SANDBOXES_TEST_OVERLAY") else { return };
    let base = std::path::PathBuf::from(base);
    let state = StateDirectory::new(&base.join("merged/state")).expect("a path");
    let sandboxes = Sandboxes::new(&state).expect("folders");
    let error = message(sandboxes.create(new(&base.join("project"))).map(|_: Sandbox| ()));
    assert!(error.contains("is on overlayfs, which cannot hold what a sandbox writes"), "{error}");
    assert!(names(&base.join("merged/state/sandboxes")).is_empty());
}
