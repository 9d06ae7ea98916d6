//! `create`, `exec`, `ls`, `stop`, `rm`, `prune`.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::Boxed;
use crate::program::{User, outcome};

#[test]
fn the_workspace_does_not_change() {
    for user in [User::new(), User::ordinary()] {
        let boxed = Boxed::of(user, &[]);
        assert_eq!(
            boxed.sh("echo three >> changed; rm gone; mkdir new; echo new > new/file; cat changed"),
            "one\ntwo\nthree\n"
        );
        assert_eq!(boxed.sh("ls; cat new/file"), "changed\nkept\nnew\nsub\nnew\n");
        assert_eq!(
            (boxed.read("changed").as_deref(), boxed.read("gone").as_deref()),
            (Some("one\ntwo\n"), Some("gone\n"))
        );
        assert!(!boxed.workspace("new").exists());
    }
}

#[test]
fn exit_statuses_are_those_of_run() {
    let boxed = Boxed::with(&["--time", "700ms", "--output", "1KiB"]);
    let plain = boxed.user.write("workspace/plain", "no program");
    for (command, status) in [
        (vec!["sh", "-c", "exit 3"], 3),
        (vec!["sh", "-c", "kill -TERM $$"], 143),
        (vec!["no-such-command"], 127),
        (vec![plain.to_str().expect("path")], 126),
        (vec!["sleep", "60"], 124),
        (vec!["yes"], 137),
    ] {
        let (found, _, stderr) = boxed.stockade(&[&["exec", "box", "--"], &command[..]].concat());
        assert_eq!(found, status, "{command:?}: {stderr}");
        assert_eq!(stderr.is_empty(), matches!(status, 3 | 143), "{command:?}: {stderr}");
    }
}

#[test]
fn commands_start_where_they_are_asked_for() {
    let boxed = Boxed::new();
    let line = |name: &str| format!("{}\n", boxed.workspace(name).display());
    assert_eq!(boxed.good(&["exec", "box", "-C", "sub", "--", "pwd"]), line("sub"));
    let from = |directory: &str, arguments: &[&str]| {
        outcome(&mut boxed.user.stockade_in(&boxed.user.path(directory), arguments))
    };
    assert_eq!(from("workspace/sub", &["exec", "box", "--", "pwd"]).1, line("sub"));
    assert_eq!(from("workspace/sub", &["exec", "box", "-C", "..", "--", "ls"]).1, "changed\ngone\nkept\nsub\n");
    assert_eq!(from("home", &["exec", "box", "--", "ls"]).1, "changed\ngone\nkept\nsub\n");
    // One that only the sandbox has.
    boxed.sh("mkdir inside");
    assert_eq!(
        boxed.good(&["exec", "box", "-C", "inside", "--", "pwd"]),
        format!("{}/inside\n", boxed.workspace("inside").parent().expect("parent").display())
    );
    assert!(boxed.refused(&["exec", "box", "-C", "/tmp", "--", "pwd"]).contains("does not lie in the workspace"));
    let (status, _, stderr) = boxed.stockade(&["exec", "box", "-C", "missing", "--", "pwd"]);
    assert!(status == 127 && stderr.contains("no directory") && stderr.contains("missing"), "{status}: {stderr}");
}

#[test]
fn variables_and_streams_are_the_callers() {
    let boxed = Boxed::new();
    let mut command = boxed.user.stockade(&[
        "exec",
        "box",
        "-e",
        "A=1",
        "-e",
        "PASSED",
        "-e",
        "ABSENT",
        "--",
        "sh",
        "-c",
        "echo $A $PASSED $ABSENT",
    ]);
    assert_eq!(outcome(command.env("PASSED", "2")), (0, "1 2\n".to_owned(), String::new()));
    let mut shell =
        boxed.user.stockade(&["exec", "box"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("started");
    std::io::Write::write_all(&mut shell.stdin.take().expect("pipe"), b"echo from the shell; exit 7\n").expect("write");
    let output = shell.wait_with_output().expect("ended");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(7), b"from the shell\n".as_slice()));
    let script = format!("exec {} exec box -- sh -c 'cat; echo x > made' <&- >&- 2>&-", env!("CARGO_BIN_EXE_stockade"));
    let mut closed = Command::new("sh");
    closed
        .args(["-c", &script])
        .current_dir(boxed.workspace(""))
        .env_clear()
        .env("HOME", boxed.user.path("home"))
        .env("PATH", "/usr/bin:/bin");
    assert_eq!(closed.status().expect("started").code(), Some(0));
    assert_eq!(boxed.sh("cat made"), "x\n");
}

#[test]
fn commands_at_once_see_the_same_files() {
    let boxed = Boxed::new();
    let script = "mkfifo pipe 2>/dev/null; cat pipe";
    let mut reader = boxed.user.stockade(&["exec", "box", "--", "sh", "-c", script]);
    let reader = reader.stdout(Stdio::piped()).spawn().expect("started");
    boxed.sh("until test -p pipe; do sleep 0.01; done; echo through the pipe > pipe");
    let output = reader.wait_with_output().expect("ended");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), b"through the pipe\n".as_slice()));
}

#[test]
fn a_signal_to_the_program_is_one_to_the_command() {
    let boxed = Boxed::new();
    let script = "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.01; done";
    let mut child = boxed
        .user
        .stockade(&["exec", "box", "--", "sh", "-c", script])
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut lines = BufReader::new(child.stdout.take().expect("pipe")).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "ready");
    let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(kill.expect("kill(1)").success());
    assert_eq!(lines.next().expect("a line").expect("text"), "caught");
    assert_eq!(child.wait().expect("ended").code(), Some(9));
}

#[test]
fn what_was_refused_is_told() {
    let boxed = Boxed::new();
    let connect = ["exec", "box", "--", "sh", "-c", "exec 3<>/dev/tcp/192.0.2.1/443"];
    let bash = |options: &[&str]| {
        let mut whole = vec!["exec", "box"];
        whole.extend(options);
        whole.extend(["--", "bash", "-c", connect[5]]);
        boxed.stockade(&whole)
    };
    let (status, _, stderr) = bash(&[]);
    assert!(
        status != 0
            && stderr.contains("connect 192.0.2.1:443")
            && stderr.contains("--allow")
            && stderr.contains("`create`"),
        "{stderr}"
    );
    assert!(!bash(&["-q"]).2.contains("stockade:"));
    let (status, _, stderr) = bash(&["--json", "--report", "report.json"]);
    let closing: serde_json::Value = serde_json::from_str(stderr.lines().last().expect("a line")).expect(&stderr);
    assert_eq!((&closing["denials"][0]["area"], &closing["status"]), (&"network".into(), &status.into()));
    let report: serde_json::Value = serde_json::from_str(&boxed.read("report.json").expect("report")).expect("JSON");
    assert_eq!(
        (&report["sandbox"], &report["outcome"], &report["version"]),
        (&"box".into(), &closing["outcome"], &1.into())
    );
}

#[test]
fn what_a_failed_command_says_is_told_as_after_a_run() {
    let boxed = Boxed::new();
    let (status, _, stderr) = boxed.stockade(&["exec", "box", "--", "touch", "/etc/planted"]);
    assert_eq!(status, 1);
    assert!(stderr.contains("write /etc/planted (inferred)") && stderr.contains("`create`"), "{stderr}");
    let (_, _, verbose) = boxed.stockade(&["exec", "box", "-v", "--", "sh", "-c", "exit 3"]);
    assert_eq!(verbose, "");
}

#[test]
fn names_are_given_and_printed() {
    let user = User::new();
    let (status, name, stderr) = outcome(&mut user.stockade(&["create"]));
    assert_eq!((status, name.as_str(), stderr.as_str()), (0, "workspace-1\n", ""));
    let (_, name, stderr) = outcome(&mut user.stockade(&["create", "-v"]));
    assert!(name == "workspace-2\n" && stderr.contains("stockade exec workspace-2 -- "), "{stderr}");
    let (_, list, _) = outcome(&mut user.stockade(&["ls"]));
    let first: Vec<&str> = list.lines().map(|line| line.split_whitespace().next().expect("a cell")).collect();
    assert_eq!(first, ["NAME", "workspace-1", "workspace-2"]);
    assert!(list.lines().all(|line| line == line.trim_end()), "{list}");
    assert_eq!(outcome(&mut user.stockade(&["rm", "workspace-1", "workspace-2"])), (0, String::new(), String::new()));
    assert_eq!(outcome(&mut user.stockade(&["ls"])), (0, String::new(), String::new()));
}

#[test]
fn what_runs_is_seen_and_ended() {
    let boxed = Boxed::new();
    assert_eq!(boxed.row("box")["state"], "idle");
    boxed.sh("sleep 1000 & echo x > changed");
    let row = boxed.row("box");
    assert_eq!(
        (&row["state"], &row["processes"], &row["commands"], &row["changes"]),
        (&"running".into(), &1.into(), &0.into(), &1.into())
    );
    assert!(boxed.refused(&["rm", "box"]).contains("--force"));
    let (status, stdout, stderr) = boxed.stockade(&["stop", "box"]);
    assert_eq!((status, stdout.as_str(), stderr.as_str()), (0, "", "stockade: ended in box: 1 process\n"));
    assert_eq!(boxed.row("box")["state"], "idle");
    boxed.good(&["stop", "box"]);
    assert_eq!(boxed.sh("cat changed"), "x\n");
    assert_eq!(boxed.row("box")["state"], "ready");
    boxed.sh("sleep 1000 &");
    boxed.good(&["rm", "-f", "box"]);
    assert!(boxed.names().is_empty());
}

#[test]
fn a_sandbox_ends_when_it_was_idle_for_long_enough() {
    let user = User::new();
    user.write("policy.toml", "version = 1\nsandbox.linger = '100ms'\n");
    let policy = user.path("policy.toml");
    let boxed = Boxed::of(user, &["--policy", policy.to_str().expect("path")]);
    boxed.good(&["create", "-n", "patient", "--linger", "1h"]);
    boxed.sh("true");
    boxed.good(&["exec", "patient", "--", "true"]);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while boxed.user.path("home/.local/state/stockade/sandboxes/box/control").exists() {
        assert!(std::time::Instant::now() < deadline, "it stays");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!((&boxed.row("box")["state"], &boxed.row("patient")["state"]), (&"idle".into(), &"ready".into()));
}

#[test]
fn several_are_stopped_and_removed_at_once() {
    let boxed = Boxed::new();
    boxed.good(&["create", "-n", "other"]);
    let (status, _, stderr) = boxed.stockade(&["rm", "box", "nothing", "other"]);
    assert!(status == 125 && stderr.contains("\"nothing\""), "{stderr}");
    assert!(boxed.names().is_empty());
}

#[test]
fn those_that_are_old_or_large_go() {
    let boxed = Boxed::new();
    boxed.sh("head -c 3000000 /dev/urandom > large");
    boxed.good(&["create", "-n", "small"]);
    // One that is ready is in use.
    assert_eq!(boxed.json(&["prune", "--larger-than", "1MB", "--json"])["sandboxes"].as_array().map(Vec::len), Some(0));
    boxed.good(&["stop", "box"]);
    let told = boxed.good(&["prune", "--larger-than", "1MB", "--dry-run"]);
    assert!(told.starts_with("box ") && told.contains("1 sandbox would be removed, 3."), "{told}");
    assert_eq!(boxed.good(&["prune", "--older-than", "1h"]), "");
    assert_eq!(boxed.names(), ["box", "small"]);
    let gone = boxed.json(&["prune", "--larger-than", "1MB", "--older-than", "0s", "--json"]);
    assert_eq!((&gone["removed"], &gone["sandboxes"][0]["name"]), (&true.into(), &"box".into()));
    assert_eq!(boxed.names(), ["small"]);
}
