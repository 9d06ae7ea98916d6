//! `diff`, `apply`, `discard`.

use std::process::Command;

use super::Boxed;
use crate::program::{User, outcome};

const CHANGE: &str = "echo three >> changed; rm gone; mkdir new; echo new > new/file; mv sub/moved sub/there; chmod +x kept; printf 'a\\0b' > binary";

#[test]
fn changes_are_shown_in_every_form() {
    let boxed = Boxed::new();
    assert_eq!(boxed.good(&["diff", "box"]), "");
    assert_eq!(boxed.good(&["diff", "box", "--stat"]), "");
    boxed.sh(CHANGE);
    assert_eq!(
        boxed.good(&["diff", "box", "--names"]),
        "A binary\nM changed\nD gone\nP kept\nA new/\nA new/file\nR sub/moved -> sub/there\n"
    );
    let text = boxed.good(&["diff", "box"]);
    for part in [
        "--- a/changed\n+++ b/changed\n@@ -1,2 +1,3 @@\n one\n two\n+three\n",
        "rename to sub/there\n",
        "Binary files /dev/null and b/binary differ\n",
        "old mode 100644\nnew mode 100755\n",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains('\u{1b}'));
    let stat = boxed.good(&["diff", "box", "--stat"]);
    assert!(
        stat.contains(" gone                    |      1  -\n")
            && stat.ends_with(" 6 files changed, 2 lines added, 1 line deleted\n"),
        "{stat}"
    );
    let json = boxed.json(&["diff", "box", "--json"]);
    assert_eq!((&json["totals"]["files"], &json["sandbox"]), (&6.into(), &"box".into()));
    assert_eq!(
        json["changes"][1],
        serde_json::json!({"path": "changed", "status": "modified", "kind": "file", "counted": "lines", "added": 1, "deleted": 0})
    );
    let names = boxed.json(&["diff", "box", "--json", "--names"]);
    assert_eq!(
        (&names["changes"][6]["from"], &names["changes"][2]["status"]),
        (&"sub/moved".into(), &"deleted".into())
    );
}

#[test]
fn a_diff_is_a_patch() {
    let boxed = Boxed::new();
    boxed.sh("echo three >> changed; rm gone; mkdir new; echo new > new/file; mv sub/moved sub/there");
    let patch = boxed.user.write("change.patch", &boxed.good(&["diff", "box"]));
    let applied = Command::new("git").arg("apply").arg(&patch).current_dir(boxed.workspace("")).status();
    assert!(applied.expect("git").success());
    assert_eq!(
        (boxed.read("changed").as_deref(), boxed.read("sub/there").as_deref()),
        (Some("one\ntwo\nthree\n"), Some("moved\n"))
    );
    assert_eq!(boxed.good(&["diff", "box", "--names"]), "");
}

#[test]
fn paths_are_seen_from_where_the_caller_is() {
    let boxed = Boxed::new();
    boxed.sh(CHANGE);
    let from = |directory: &str, arguments: &[&str]| {
        outcome(&mut boxed.user.stockade_in(&boxed.user.path(directory), arguments))
    };
    let names = |directory: &str, path: &str| from(directory, &["diff", "box", "--names", path]).1;
    assert_eq!(names("workspace", "new"), "A new/\nA new/file\n");
    assert_eq!(names("home", "new/"), "A new/\nA new/file\n");
    assert_eq!(names("workspace/sub", "."), "R sub/moved -> sub/there\n");
    assert_eq!(names("workspace/sub", "moved"), "R sub/moved -> sub/there\n");
    assert_eq!(names("workspace/sub", "../gone"), "D gone\n");
    assert_eq!(names("home", boxed.workspace("gone").to_str().expect("path")), "D gone\n");
    assert_eq!(names("workspace", ".").lines().count(), 7);
    let nothing = from("workspace", &["diff", "box", "--names", "kep", "new"]);
    assert_eq!(nothing, (0, "A new/\nA new/file\n".into(), "stockade: nothing has changed at kep\n".into()));
    assert!(boxed.refused(&["diff", "box", "../x"]).contains("does not lie in the workspace"));
}

#[test]
fn hostile_names_reach_no_terminal() {
    let boxed = Boxed::new();
    boxed.sh("printf x > \"$(printf 'a\\033[2J\\nb\\377')\"");
    for form in
        [&["diff", "box", "--names"][..], &["diff", "box", "--stat"], &["diff", "box"], &["diff", "box", "--json"]]
    {
        let text = boxed.good(form);
        assert!(!text.contains('\u{1b}'), "{text}");
    }
    let (status, stdout, _) = boxed.stockade(&["apply", "box"]);
    assert_eq!((status, stdout.as_str()), (0, ""));
}

#[test]
fn everything_is_applied() {
    for user in [User::new(), User::ordinary()] {
        let boxed = Boxed::of(user, &[]);
        boxed.sh(CHANGE);
        assert_eq!(boxed.good(&["apply", "box"]), "");
        assert_eq!((boxed.read("changed").as_deref(), boxed.read("gone")), (Some("one\ntwo\nthree\n"), None));
        assert_eq!(
            (boxed.read("new/file").as_deref(), boxed.read("sub/there").as_deref()),
            (Some("new\n"), Some("moved\n"))
        );
        assert_eq!(boxed.good(&["diff", "box"]), "");
        // The state before can still be gone back to, and shows what the workspace had.
        let log = boxed.json(&["log", "box", "--json"]);
        assert_eq!(log["checkpoints"][0]["label"], "before apply");
        assert!(boxed.refused(&["apply", "box"]).contains("nothing to apply"));
    }
}

#[test]
fn some_paths_are_applied() {
    let boxed = Boxed::new();
    boxed.sh(CHANGE);
    let json = boxed.json(&["apply", "box", "--json", "changed", "new"]);
    assert_eq!((json["done"].as_array().map(Vec::len), &json["checkpoint"]), (Some(3), &"c1".into()));
    assert_eq!(boxed.read("gone").as_deref(), Some("gone\n"));
    assert_eq!(boxed.good(&["diff", "box", "--names"]), "A binary\nD gone\nP kept\nR sub/moved -> sub/there\n");
    assert!(boxed.refused(&["apply", "box", "nothing"]).contains("nothing"));
}

#[test]
fn what_the_workspace_changed_is_refused_with_three_versions() {
    let boxed = Boxed::new();
    boxed.sh("echo sandbox > changed; echo new > new");
    boxed.good(&["stop", "box"]);
    boxed.user.write("workspace/changed", "host\n");
    let (status, stdout, stderr) = boxed.stockade(&["apply", "box"]);
    assert_eq!((status, stdout.as_str()), (1, ""), "{stderr}");
    assert!(stderr.starts_with("stockade: 1 change was applied, and these were not\n"), "{stderr}");
    assert!(stderr.contains("  changed: ") && stderr.contains("hint: --take PATH"), "{stderr}");
    let version = |name: &str| {
        let line = stderr.lines().find(|line| line.trim_start().starts_with(name)).expect(name);
        std::fs::read_to_string(line.split_whitespace().nth(1).expect("path")).expect(line)
    };
    assert_eq!(
        (version("workspace"), version("sandbox"), version("before")),
        ("host\n".into(), "sandbox\n".into(), "one\ntwo\n".into())
    );
    let (status, json, _) = boxed.stockade(&["apply", "box", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((status, &json["conflicts"][0]["path"]), (1, &"changed".into()));
    assert!(json["conflicts"][0]["versions"]["sandbox"].as_str().is_some_and(|path| path.ends_with("/changed")));
    assert_eq!(boxed.read("changed").as_deref(), Some("host\n"));
    assert_eq!(boxed.good(&["apply", "box", "--take", "changed"]), "");
    assert_eq!(boxed.read("changed").as_deref(), Some("sandbox\n"));
}

#[test]
fn protected_files_are_held_back() {
    let boxed = Boxed::new();
    boxed.sh("mkdir .vscode; echo x > .vscode/tasks.json; echo y > ok");
    let (status, stdout, stderr) = boxed.stockade(&["apply", "box"]);
    assert_eq!(status, 1, "{stdout}{stderr}");
    assert!(stderr.contains(".vscode") && stderr.contains("hint: --protected PATH"), "{stderr}");
    assert!(!boxed.workspace(".vscode/tasks.json").exists());
    assert_eq!(boxed.read("ok").as_deref(), Some("y\n"));
    boxed.good(&["apply", "box", "--protected", ".vscode"]);
    assert_eq!(boxed.read(".vscode/tasks.json").as_deref(), Some("x\n"));
}

#[test]
fn changes_are_dropped_and_kept() {
    let boxed = Boxed::new();
    boxed.sh("sleep 1000 & echo x > changed");
    let (status, stdout, stderr) = boxed.stockade(&["discard", "box"]);
    assert_eq!((status, stdout.as_str()), (0, ""));
    assert_eq!(
        stderr,
        "stockade: ended in box: 1 process\nstockade: the state before is kept as c1; `stockade restore box c1` goes back to it\n"
    );
    assert_eq!(boxed.good(&["diff", "box"]), "");
    boxed.good(&["discard", "box"]);
    boxed.good(&["restore", "box", "c1"]);
    assert_eq!(boxed.sh("cat changed"), "x\n");
}
