//! Runs: exit statuses, closing lines, reports and events.

use std::process::{Command, Stdio};

use crate::program::{User, outcome};

fn run(user: &User, options: &[&str], command: &[&str]) -> (i32, String, String) {
    let mut whole = vec!["run"];
    whole.extend(options);
    whole.push("--");
    whole.extend(command);
    outcome(&mut user.stockade(&whole))
}

#[test]
fn a_good_run_says_nothing() {
    let user = User::new();
    assert_eq!(run(&user, &[], &["true"]), (0, String::new(), String::new()));
    assert_eq!(run(&user, &[], &["echo", "hi"]), (0, "hi\n".to_owned(), String::new()));
}

#[test]
fn exit_statuses_are_the_contract() {
    let user = User::new();
    let plain = user.write("workspace/plain", "no program");
    for (options, command, status) in [
        (vec![], vec!["sh", "-c", "exit 3"], 3),
        (vec![], vec!["sh", "-c", "kill -TERM $$"], 143),
        (vec![], vec!["no-such-command"], 127),
        (vec![], vec!["./missing"], 127),
        (vec![], vec![plain.to_str().expect("path")], 126),
        (vec!["--time", "300ms"], vec!["sleep", "60"], 124),
        (vec!["--output", "1KiB"], vec!["yes"], 137),
        (vec!["--memory", "32MiB"], vec!["tail", "/dev/zero"], 137),
    ] {
        let (found, _, stderr) = run(&user, &options, &command);
        assert_eq!(found, status, "{options:?} {command:?}: {stderr}");
        assert_eq!(stderr.is_empty(), matches!(status, 3 | 143), "{command:?}: {stderr}");
    }
}

#[test]
fn what_was_refused_is_told_with_the_option() {
    let user = User::new();
    let (status, _, stderr) = run(&user, &[], &["touch", "/etc/planted"]);
    assert_eq!(status, 1);
    assert!(stderr.contains("write /etc/planted") && stderr.contains("--write"), "{stderr}");
    let (_, _, quiet) = run(&user, &["-q"], &["touch", "/etc/planted"]);
    assert!(!quiet.contains("stockade:"), "{quiet}");
    let (_, _, verbose) = run(&user, &["-v"], &["true"]);
    assert!(verbose.contains("tier ") && verbose.contains("process-visibility"), "{verbose}");
}

#[test]
fn a_policy_in_the_workspace_works_and_cannot_be_written() {
    let user = User::new();
    user.write("workspace/ci/policy.toml", "version = 1\nenvironment.set = { A = \"b\" }\n");
    let policy = user.path("workspace/ci/policy.toml");
    let attempt = |script: &str| run(&user, &["--policy", "ci/policy.toml"], &["sh", "-c", script]);
    let (_, stdout, stderr) = attempt("echo $A; echo 'version = 2' > ci/policy.toml; rm -f ci/policy.toml");
    assert_eq!(stdout, "b\n", "{stderr}");
    assert!(std::fs::read_to_string(&policy).expect("still there").starts_with("version = 1\n"));
    // Where a directory above it is exchanged for another, the file planted in that is put away.
    let (_, _, stderr) = attempt("mv ci ci2; mkdir ci; echo 'version = 1' > ci/policy.toml");
    assert!(!policy.exists() || std::fs::read_to_string(&policy).expect("file").contains("environment"), "{stderr}");
}

/// A configuration of the user's, and one above the workspace, may both name hooks that lie in it.
#[test]
fn hooks_that_configuration_outside_the_workspace_names_are_put_away() {
    let user = User::new();
    user.write("home/.gitconfig", "[core]\n\thooksPath = hk ; ours\n");
    user.write(".git/config", "[core]\n\thooksPath = workspace/above\n");
    let plant = "mkdir hk above; echo evil | tee hk/pre-commit > above/pre-push; ls hk above";
    let (status, stdout, stderr) = run(&user, &[], &["sh", "-c", plant]);
    assert_eq!((status, stdout.as_str()), (0, "above:\npre-push\n\nhk:\npre-commit\n"), "{stderr}");
    for name in ["hk", "above"] {
        assert!(stderr.contains(&format!("  {name} -> ")), "{stderr}");
        assert!(!user.path("workspace").join(name).exists());
    }
}

#[test]
fn reports_and_events_are_json() {
    let user = User::new();
    let (report, events) = (user.path("report.json"), user.path("events.jsonl"));
    let options = ["--report", report.to_str().expect("path"), "--events", events.to_str().expect("path")];
    assert_eq!(run(&user, &options, &["sh", "-c", "exit 5"]).0, 5);
    let report: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(report).expect("report")).expect("JSON");
    assert_eq!((&report["outcome"]["status"], &report["version"]), (&5.into(), &1.into()));
    assert_eq!(
        report["operations"].as_array().expect("operations").iter().filter(|o| !o["failed"].is_null()).count(),
        0
    );
    let events = std::fs::read_to_string(events).expect("events");
    let kinds: Vec<String> = events
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect(line)["event"].to_string())
        .collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&"\"start\"".to_owned()), Some(&"\"end\"".to_owned())));

    let (_, stdout, _) = run(&user, &["--report", "-"], &["echo", "first"]);
    let (first, rest) = stdout.split_once('\n').expect("lines");
    assert_eq!(first, "first");
    assert!(serde_json::from_str::<serde_json::Value>(rest).is_ok(), "{rest}");

    let (_, _, stderr) = run(&user, &["--json"], &["true"]);
    let closing: serde_json::Value = serde_json::from_str(&stderr).expect("JSON");
    assert_eq!(closing["outcome"]["kind"], "exited");
}

#[test]
fn a_report_that_cannot_be_written_is_told_and_the_status_kept() {
    let user = User::new();
    let (status, _, stderr) = run(&user, &["--report", "/dev/full"], &["sh", "-c", "exit 4"]);
    assert_eq!(status, 4);
    assert!(stderr.contains("/dev/full"), "{stderr}");
}

#[test]
fn closed_streams_are_no_trouble() {
    let user = User::new();
    let script = format!("exec {} run -- sh -c 'cat; echo x > made' <&- >&- 2>&-", env!("CARGO_BIN_EXE_stockade"));
    let mut command = Command::new("sh");
    command.args(["-c", &script]).current_dir(user.path("workspace")).env("HOME", user.path("home"));
    assert_eq!(command.status().expect("started").code(), Some(0));
    assert_eq!(std::fs::read_to_string(user.path("workspace/made")).expect("made"), "x\n");
}

#[test]
fn the_workspace_is_where_it_was_called() {
    let user = User::new();
    user.write("workspace/below/file", "");
    let below = user.path("workspace/below");
    let pwd = |arguments: &[&str]| outcome(&mut user.stockade_in(&below, arguments)).1;
    let line = |name: &str| format!("{}\n", user.path(name).display());
    assert_eq!(pwd(&["run", "--", "pwd"]), line("workspace/below"));
    assert_eq!(pwd(&["run", "-C", "..", "--", "pwd"]), line("workspace/below"));
    assert_eq!(pwd(&["run", "-C", "..", "--", "ls", ".."]), "below\n");
    let other = user.path("other");
    std::fs::create_dir(&other).expect("directory");
    assert_eq!(pwd(&["run", "-C", other.to_str().expect("path"), "--", "pwd"]), line("other"));
}

#[test]
fn a_shell_is_run_without_a_command() {
    let user = User::new();
    let mut child = user.stockade(&["run"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("started");
    std::io::Write::write_all(&mut child.stdin.take().expect("pipe"), b"echo from the shell\n").expect("write");
    let output = child.wait_with_output().expect("ended");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), b"from the shell\n".as_slice()));
}

#[test]
fn plans_are_shown_and_nothing_is_done() {
    let user = User::new();
    let (status, stdout, stderr) = outcome(&mut user.stockade(&["plan", "--", "touch", "ran"]));
    assert_eq!((status, stderr.as_str()), (0, ""));
    assert!(stdout.starts_with("tier ") && stdout.contains("protected-files"), "{stdout}");
    let (_, json, _) = outcome(&mut user.stockade(&["plan", "--json", "--", "touch", "ran"]));
    let plan: stockade::Plan = serde_json::from_str(&json).expect("a plan");
    assert_eq!(plan.command.arguments, ["touch", "ran"]);
    assert!(!user.path("workspace/ran").exists() && !user.path("home/.local").exists());
}

#[test]
fn doctor_tries_every_tier() {
    let user = User::new();
    let temporary = user.path("temporary");
    std::fs::create_dir(&temporary).expect("directory");
    let (status, stdout, stderr) = outcome(user.stockade(&["doctor", "--json"]).env("TMPDIR", &temporary));
    let found: serde_json::Value = serde_json::from_str(&stdout).expect(&stderr);
    let trials = found["trials"].as_array().expect("trials");
    let tiers: Vec<_> = trials.iter().map(|trial| trial["tier"].as_str().expect("tier")).collect();
    assert_eq!(tiers, ["namespaces", "landlock"]);
    let works = |trial: &serde_json::Value| trial["failure"].is_null();
    let whole = |trial: &serde_json::Value| {
        trial["enforcement"].as_array().expect("list").iter().all(|entry| entry["level"] == "enforced")
    };
    let expected = match trials.iter().find(|trial| works(trial)) {
        Some(trial) if whole(trial) => 0,
        Some(_) => 1,
        None => 125,
    };
    assert_eq!(status, expected, "{stdout}");
    assert_eq!(std::fs::read_dir(&temporary).expect("temporary").count(), 0, "something was left behind");
}
