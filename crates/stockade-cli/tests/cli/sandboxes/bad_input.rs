//! What cannot work is refused with one clear message, and nothing has changed.

use std::os::unix::fs::PermissionsExt;

use super::Boxed;
use crate::program::{User, outcome};

#[test]
fn unknown_names_come_with_those_that_exist() {
    let boxed = Boxed::new();
    for arguments in [
        &["exec", "fox", "--", "true"][..],
        &["stop", "fox"],
        &["rm", "fox"],
        &["diff", "fox"],
        &["apply", "fox"],
        &["discard", "fox"],
        &["checkpoint", "fox"],
        &["log", "fox"],
        &["restore", "fox", "c1"],
        &["fork", "fox", "other"],
        &["events", "fox"],
        &["audit", "verify", "fox"],
        &["audit", "export", "fox"],
    ] {
        assert_eq!(boxed.refused(arguments), "stockade: there is no sandbox \"fox\"; the sandboxes are box\n");
    }
    assert!(boxed.refused(&["exec", "../sandboxes/box", "--", "true"]).contains("no sandbox"));
    assert_eq!(boxed.names(), ["box"]);
}

#[test]
fn names_and_labels_that_cannot_be() {
    let boxed = Boxed::new();
    assert!(boxed.refused(&["create", "-n", "box"]).contains("exists already"));
    assert!(boxed.refused(&["create", "-n", "Big Box"]).contains("cannot be the name"));
    assert!(boxed.refused(&["fork", "box", "box"]).contains("exists already"));
    assert!(boxed.refused(&["checkpoint", "box", "-l", "a\nb"]).contains("cannot be a label"));
    assert!(boxed.refused(&["create", "--trace"]).contains("--trace"));
    assert_eq!(boxed.good(&["log", "box"]), "");
    assert_eq!(boxed.names(), ["box"]);
}

#[test]
fn nothing_to_apply() {
    let boxed = Boxed::new();
    assert!(boxed.refused(&["apply", "box"]).contains("nothing to apply"));
    boxed.sh("echo x > changed");
    assert!(boxed.refused(&["apply", "box", "kept"]).contains("nothing to apply at `kept`"));
    assert!(boxed.refused(&["apply", "box", "--protected", ".envrc"]).contains("`stockade diff NAME --names`"));
    assert!(boxed.refused(&["apply", "box", "/etc"]).contains("does not lie in the workspace"));
    assert_eq!(boxed.good(&["log", "box"]), "");
    assert_eq!(boxed.good(&["diff", "box", "--names"]), "M changed\n");
    assert_eq!(boxed.read("changed").as_deref(), Some("one\ntwo\n"));
}

#[test]
fn checkpoints_of_others_are_none() {
    let boxed = Boxed::new();
    boxed.good(&["create", "-n", "other"]);
    boxed.good(&["exec", "other", "--", "touch", "new"]);
    boxed.good(&["checkpoint", "other", "-l", "theirs"]);
    boxed.sh("echo x > changed; sleep 1000 &");
    for arguments in [
        &["restore", "box", "c1"][..],
        &["restore", "box", "theirs"],
        &["diff", "box", "--at", "c1"],
        &["fork", "box", "third", "--at", "c1"],
    ] {
        assert!(boxed.refused(arguments).contains("no checkpoint"), "{arguments:?}");
    }
    // Nothing was ended for it.
    assert_eq!((&boxed.row("box")["processes"], &boxed.row("box")["changes"]), (&1.into(), &1.into()));
}

#[test]
fn a_workspace_that_is_gone_or_another() {
    let boxed = Boxed::new();
    boxed.sh("echo x > changed");
    boxed.good(&["stop", "box"]);
    let (there, elsewhere) = (boxed.user.path("workspace"), boxed.user.path("elsewhere"));
    let home = boxed.user.path("home");
    let from_home = |arguments: &[&str]| outcome(&mut boxed.user.stockade_in(&home, arguments));
    std::fs::rename(&there, &elsewhere).expect("rename");
    let refuse = |words: &str| {
        for arguments in [&["exec", "box", "--", "true"][..], &["diff", "box"], &["apply", "box"]] {
            let (status, stdout, stderr) = from_home(arguments);
            assert_eq!((status, stdout.as_str()), (125, ""), "{arguments:?}");
            assert!(stderr.contains(words), "{arguments:?}: {stderr}");
        }
        let (status, list, _) = from_home(&["ls"]);
        assert!(status == 0 && list.contains("\nbox   idle   ?  ") && list.contains(words), "{list}");
    };
    refuse("cannot open the workspace");
    std::fs::create_dir(&there).expect("directory");
    refuse("no longer the directory");
    std::fs::remove_dir(&there).expect("remove");
    std::fs::rename(&elsewhere, &there).expect("rename");
    assert_eq!(boxed.good(&["diff", "box", "--names"]), "M changed\n");
}

#[test]
fn state_that_cannot_be_used() {
    let user = User::new();
    let state = user.path("state");
    let create = || outcome(user.stockade(&["create"]).env("XDG_STATE_HOME", &state));
    std::fs::write(&state, "").expect("write");
    let (status, _, stderr) = create();
    assert!(status == 125 && stderr.contains("state"), "{stderr}");
    std::fs::remove_file(&state).expect("remove");
    std::fs::create_dir_all(state.join("stockade/sandboxes")).expect("directories");
    std::fs::set_permissions(state.join("stockade/sandboxes"), PermissionsExt::from_mode(0o777)).expect("mode");
    let (status, _, stderr) = create();
    assert!(status == 125 && stderr.contains("can be reached by others"), "{stderr}");
    // In the workspace, what runs could write it.
    let (status, _, stderr) = outcome(user.stockade(&["create"]).env("XDG_STATE_HOME", user.path("workspace/state")));
    assert!(status == 125 && stderr.contains("state"), "{stderr}");
}

#[test]
fn damaged_ones_are_told_and_can_be_removed() {
    let boxed = Boxed::new();
    boxed.good(&["create", "-n", "other"]);
    let manifest = boxed.user.path("home/.local/state/stockade/sandboxes/other/sandbox.json");
    std::fs::write(&manifest, "{\u{1b}[2J").expect("write");
    let (status, list, stderr) = boxed.stockade(&["ls"]);
    assert!(status == 0 && list.contains("\nother  damaged  ?") && list.contains("\nbox    idle     0"), "{list}");
    assert!(list.contains("\nother: ") && list.contains("sandbox.json` is damaged: "), "{list}");
    assert!(!stderr.contains('\u{1b}') && !list.contains('\u{1b}'), "{stderr}{list}");
    assert!(boxed.refused(&["exec", "other", "--", "true"]).contains("damaged"));
    let (status, _, stderr) = boxed.stockade(&["rm", "other"]);
    assert_eq!(status, 0, "{stderr}");
    assert_eq!(boxed.names(), ["box"]);
}

#[test]
fn failures_are_json_where_results_are() {
    let boxed = Boxed::new();
    for arguments in [
        &["diff", "fox", "--json"][..],
        &["apply", "fox", "--json"],
        &["log", "fox", "--json"],
        &["exec", "fox", "--json", "--", "true"],
        &["audit", "verify", "fox", "--json"],
    ] {
        let (status, stdout, stderr) = boxed.stockade(arguments);
        let json: serde_json::Value = serde_json::from_str(&stderr).expect(&stderr);
        assert_eq!((status, stdout.as_str(), &json["status"]), (125, "", &125.into()));
        assert!(json["error"]["message"].as_str().is_some_and(|text| text.contains("fox")), "{json}");
    }
}

#[test]
fn usage_is_refused_before_anything_is_done() {
    let boxed = Boxed::new();
    for arguments in [
        &["exec"][..],
        &["rm"],
        &["restore", "box"],
        &["prune"],
        &["prune", "--older-than", "old"],
        &["diff", "box", "--stat", "--names"],
        &["audit"],
        &["run", "--review", "--events", "-", "--", "true"],
        &["create", "--linger", "soon"],
    ] {
        let (status, stdout, stderr) = boxed.stockade(arguments);
        assert_eq!((status, stdout.as_str()), (125, ""), "{arguments:?}");
        assert!(stderr.contains("--help") || stderr.contains("Usage"), "{arguments:?}: {stderr}");
    }
}
