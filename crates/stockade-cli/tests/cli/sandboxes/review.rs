//! `run --review`.

use super::Boxed;

#[test]
fn changes_wait_for_a_decision() {
    let boxed = Boxed::new();
    let (status, stdout, stderr) =
        boxed.stockade(&["run", "--review", "--", "sh", "-c", "echo out; echo x > changed; exit 5"]);
    assert_eq!((status, stdout.as_str()), (5, "out\n"));
    assert!(stderr.contains("stockade apply workspace-1"), "{stderr}");
    assert_eq!(boxed.read("changed").as_deref(), Some("one\ntwo\n"));
    assert_eq!(
        (&boxed.row("workspace-1")["review"], &boxed.row("workspace-1")["state"]),
        (&true.into(), &"in review".into())
    );
    assert_eq!(boxed.good(&["diff", "workspace-1", "--names"]), "M changed\n");
    assert_eq!(boxed.good(&["apply", "workspace-1"]), "");
    assert_eq!(boxed.read("changed").as_deref(), Some("x\n"));
    assert_eq!(boxed.names(), ["box"]);
}

#[test]
fn what_is_not_wanted_leaves_nothing() {
    let boxed = Boxed::new();
    boxed.stockade(&["run", "--review", "-q", "--", "sh", "-c", "echo x > changed; sleep 1000 &"]);
    assert_eq!(boxed.row("workspace-1")["processes"], 0);
    boxed.good(&["discard", "workspace-1"]);
    assert_eq!((boxed.names(), boxed.read("changed").as_deref()), (vec!["box".to_owned()], Some("one\ntwo\n")));
}

#[test]
fn a_run_that_changes_nothing_leaves_nothing() {
    let boxed = Boxed::new();
    let (status, _, stderr) = boxed.stockade(&["run", "--review", "--", "true"]);
    assert_eq!((status, stderr.as_str()), (0, "stockade: nothing was changed\n"));
    let (_, _, stderr) = boxed.stockade(&["run", "--review", "--json", "--", "true"]);
    let closing: serde_json::Value = serde_json::from_str(&stderr).expect("JSON");
    assert_eq!((&closing["sandbox"], &closing["outcome"]["kind"]), (&serde_json::Value::Null, &"exited".into()));
    assert_eq!(boxed.stockade(&["run", "--review", "--", "no-such-command"]).0, 127);
    assert!(boxed.refused(&["run", "--review", "--trace", "--", "true"]).contains("--trace"));
    assert_eq!(boxed.names(), ["box"]);
}

#[test]
fn what_is_held_back_stays_in_review() {
    let boxed = Boxed::new();
    boxed.stockade(&["run", "--review", "-q", "--", "sh", "-c", "echo x > .envrc; echo y > ok"]);
    assert_eq!(boxed.stockade(&["apply", "workspace-1"]).0, 1);
    assert_eq!(boxed.good(&["diff", "workspace-1", "--names"]), "A .envrc\n");
}
