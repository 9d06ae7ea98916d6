//! `policy check`, `policy show`, `policy schema`.

use std::io::Write;
use std::process::Stdio;

use crate::program::{User, outcome};

#[test]
fn right_files_pass_in_silence() {
    let user = User::new();
    let file = user.write("p.toml", "version = 1\n[limits]\nmemory = \"1GiB\"\n");
    let file = file.to_str().expect("path");
    assert_eq!(outcome(&mut user.stockade(&["policy", "check", file])), (0, String::new(), String::new()));
}

#[test]
fn every_mistake_has_its_place_and_a_caret() {
    let user = User::new();
    let one = user.write("one.toml", "version = 1\nmemmory = 3\n");
    let two = user.write("two.toml", "version = 1\n[limits]\nmemory = \"1KiB\"\ntime = 5\n");
    let arguments = ["policy", "check", one.to_str().expect("path"), two.to_str().expect("path")];
    let (status, stdout, stderr) = outcome(&mut user.stockade(&arguments));
    assert_eq!((status, stdout.as_str()), (125, ""));
    for place in ["one.toml:2:1", "two.toml:3:10", "two.toml:4:8", "^^^", "hint: "] {
        assert!(stderr.contains(place), "{place} in {stderr}");
    }
}

#[test]
fn standard_input_is_a_file_too() {
    let user = User::new();
    let mut child =
        user.stockade(&["policy", "check", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    child.stdin.take().expect("pipe").write_all(b"version = 2\n").expect("write");
    let output = child.wait_with_output().expect("ended");
    assert_eq!(output.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&output.stderr).contains("standard input:1:"), "{output:?}");
}

#[test]
fn workspace_files_may_only_narrow() {
    let user = User::new();
    let wider = user.write("wider.toml", "version = 1\n[filesystem]\nread = [\"/srv\"]\n");
    let wider = wider.to_str().expect("path");
    assert_eq!(outcome(&mut user.stockade(&["policy", "check", wider])).0, 0);
    let (status, _, stderr) = outcome(&mut user.stockade(&["policy", "check", "--workspace-file", wider]));
    assert_eq!(status, 125);
    assert!(stderr.contains("wider.toml:3:"), "{stderr}");
}

#[test]
fn network_options_are_rules_of_the_policy() {
    let user = User::new();
    let socket = user.write("home/s.sock", "").to_str().expect("path").to_owned();
    let arguments =
        ["policy", "show", "--allow", "API.example.com:22", "--publish", "8080", "--unix", &socket, "-p", "research"];
    let (status, stdout, stderr) = outcome(&mut user.stockade(&arguments));
    assert_eq!((status, stderr.as_str()), (0, ""));
    let unix = format!("allow = [\"{socket}\"]");
    for line in ["default = \"public\"", "allow = [\"api.example.com:22\"]", "publish = [\"8080\"]", &unix] {
        assert!(stdout.contains(line), "{line} in {stdout}");
    }
    for (option, value, words) in [
        ("--allow", "*.co.uk", "too broad"),
        ("--allow", "bücher.example", "xn--bcher-kva"),
        ("--publish", "x", "port"),
    ] {
        let (status, _, stderr) = outcome(&mut user.stockade(&["policy", "show", option, value]));
        assert!(status == 125 && stderr.contains(option) && stderr.contains(words), "{value}: {stderr}");
    }
}

#[test]
fn the_policy_that_is_shown_is_one_that_can_be_used() {
    let user = User::new();
    user.write("home/.config/stockade/policy.toml", "version = 1\n[limits]\nprocesses = 77\n");
    user.write("workspace/.stockade.toml", "version = 1\n[filesystem]\ndeny = [\"secrets/\"]\n");
    let arguments = ["policy", "show", "--memory", "1GiB"];
    let (status, stdout, stderr) = outcome(&mut user.stockade(&arguments));
    assert_eq!((status, stderr.as_str()), (0, ""));
    for line in ["processes = 77", "memory = \"1GiB\"", "deny = [\"secrets/\"]"] {
        assert!(stdout.contains(line), "{line} in {stdout}");
    }
    let shown = user.write("shown.toml", &stdout);
    assert_eq!(outcome(&mut user.stockade(&["policy", "check", shown.to_str().expect("path")])).0, 0);

    let (status, stdout, _) = outcome(&mut user.stockade(&["policy", "show", "--json", "-p", "hardened"]));
    let json: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!((status, &json["profile"]), (0, &"hardened".into()));
}

#[test]
fn the_schema_is_json() {
    let user = User::new();
    let (status, stdout, _) = outcome(&mut user.stockade(&["policy", "schema"]));
    let json: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!((status, json["type"].as_str()), (0, Some("object")));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let user = User::new();
    let mut child =
        user.stockade(&["policy", "schema"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ended");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}
