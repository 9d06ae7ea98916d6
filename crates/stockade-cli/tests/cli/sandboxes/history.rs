//! `checkpoint`, `log`, `restore`, `fork`.

use super::Boxed;
use crate::program::User;

#[test]
fn states_are_kept_and_gone_back_to() {
    let boxed = Boxed::new();
    assert_eq!(boxed.good(&["log", "box"]), "");
    boxed.sh("echo 1 > file");
    assert_eq!(boxed.good(&["checkpoint", "box", "--label", "the first"]), "c1\n");
    boxed.sh("echo 2 > file");
    assert_eq!(boxed.good(&["checkpoint", "box"]), "c2\n");
    boxed.sh("echo 3 > file; sleep 1000 &");
    let (status, stdout, stderr) = boxed.stockade(&["restore", "box", "the first"]);
    assert_eq!((status, stdout.as_str()), (0, ""));
    assert_eq!(
        stderr,
        "stockade: ended in box: 1 process\nstockade: the state before is kept as c3; `stockade restore box c3` goes back to it\n"
    );
    assert_eq!(boxed.sh("cat file"), "1\n");
    let log = boxed.good(&["log", "box"]);
    let starts: Vec<&str> = log.lines().map(|line| line.get(..4).expect("a name")).collect();
    assert_eq!(starts, ["* c1", "  c2", "  c3"], "{log}");
    assert!(log.contains("the first") && log.contains("(automatic)"), "{log}");
    boxed.good(&["restore", "box", "c3"]);
    assert_eq!(boxed.sh("cat file"), "3\n");
    let json = boxed.json(&["log", "box", "--json"]);
    let one = &json["checkpoints"][2];
    assert_eq!(
        (&one["name"], &one["parent"], &one["head"], &one["automatic"]),
        (&"c3".into(), &"c2".into(), &true.into(), &true.into())
    );
    assert_eq!(boxed.good(&["diff", "box", "--at", "c2"]).matches("+2\n").count(), 1);
}

#[test]
fn each_command_can_be_undone() {
    let boxed = Boxed::with(&["--checkpoint-each"]);
    boxed.sh("echo 1 > file");
    boxed.sh("echo 2 > file");
    boxed.sh("true");
    let json = boxed.json(&["log", "box", "--json"]);
    let labels: Vec<&str> =
        json["checkpoints"].as_array().expect("list").iter().map(|one| one["label"].as_str().expect("label")).collect();
    assert_eq!(labels, ["before sh -c echo 1 > file", "before sh -c echo 2 > file", "before sh -c true"]);
    let (status, _, _) = boxed.stockade(&["restore", "box", "before sh -c echo 2 > file"]);
    assert_eq!(status, 0);
    assert_eq!(boxed.good(&["diff", "box", "--names"]), "A file\n");
    let user = User::new();
    user.write("workspace/.stockade.toml", "version = 1\nsandbox.checkpoint = 'each-command'\n");
    let by_policy = Boxed::of(user, &[]);
    by_policy.sh("echo 1 > file");
    assert!(by_policy.good(&["log", "box"]).contains("before sh -c echo 1 > file"));
    let plain = Boxed::new();
    plain.sh("echo 1 > file");
    let (status, _, stderr) = plain.stockade(&["exec", "box", "--checkpoint", "-v", "--", "rm", "file"]);
    assert!(status == 0 && stderr.contains("kept as c1"), "{stderr}");
    plain.stockade(&["restore", "box", "c1"]);
    assert_eq!(plain.sh("cat file"), "1\n");
}

#[test]
fn programs_go_on_over_a_checkpoint() {
    let boxed = Boxed::new();
    boxed.sh("(while :; do echo x; sleep 0.01; done) > ticks & sleep 0.2");
    boxed.good(&["checkpoint", "box"]);
    let count = || boxed.sh("wc -l < ticks").trim().parse::<u64>().expect("a number");
    let before = count();
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert!(count() > before);
    assert!(boxed.json(&["log", "box", "--json"])["checkpoints"][0]["running"].as_bool().expect("a flag"));
}

#[test]
fn branches_do_not_see_each_other() {
    let boxed = Boxed::new();
    boxed.sh("echo common > file");
    boxed.good(&["checkpoint", "box", "-l", "base"]);
    boxed.sh("echo box > file");
    assert_eq!(boxed.good(&["fork", "box", "one"]), "one\n");
    assert_eq!(boxed.good(&["fork", "box", "two", "--at", "base"]), "two\n");
    assert_eq!(boxed.good(&["fork", "box"]), "workspace-1\n");
    let cat = |name: &str| boxed.good(&["exec", name, "--", "cat", "file"]);
    assert_eq!((cat("one"), cat("two")), ("box\n".to_owned(), "common\n".to_owned()));
    boxed.good(&["exec", "one", "--", "sh", "-c", "echo one > file"]);
    assert_eq!((cat("box"), cat("one"), cat("two")), ("box\n".to_owned(), "one\n".to_owned(), "common\n".to_owned()));
    boxed.good(&["rm", "-f", "box"]);
    assert_eq!(cat("two"), "common\n");
}
