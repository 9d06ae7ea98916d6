//! `events` and `audit`.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use super::Boxed;

fn events(boxed: &Boxed) -> Vec<Value> {
    boxed.good(&["events", "box"]).lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn everything_that_happened_is_told() {
    let boxed = Boxed::with(&["-e", "TOKEN=very-secret"]);
    boxed.sh("echo x > changed");
    boxed.good(&["checkpoint", "box"]);
    boxed.good(&["stop", "box"]);
    boxed.good(&["apply", "box"]);
    let events = events(&boxed);
    let kinds: Vec<&str> = events.iter().map(|event| event["event"].as_str().expect("event")).collect();
    for kind in ["created", "started", "command", "command-ended", "checkpoint", "stopped", "applied"] {
        assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
    }
    assert!(events.iter().enumerate().all(|(at, event)| event["sequence"] == at as u64 + 1));
    assert!(!boxed.good(&["events", "box"]).contains("very-secret"));
}

#[test]
fn events_are_followed_to_the_end() {
    let boxed = Boxed::new();
    let mut child =
        boxed.user.stockade(&["events", "box", "--follow"]).stdout(Stdio::piped()).spawn().expect("started");
    let mut lines = BufReader::new(child.stdout.take().expect("pipe")).lines();
    assert!(lines.next().expect("a line").expect("text").contains("created"));
    boxed.sh("true");
    assert!(lines.by_ref().map(|line| line.expect("text")).any(|line| line.contains("command-ended")));
    boxed.good(&["rm", "-f", "box"]);
    assert_eq!(lines.filter(|line| line.as_ref().is_ok_and(|line| line.contains("command-ended"))).count(), 0);
    assert_eq!(child.wait().expect("ended").code(), Some(0));
}

#[test]
fn edits_are_found_and_placed() {
    let boxed = Boxed::new();
    boxed.sh("echo x > changed");
    boxed.good(&["stop", "box"]);
    boxed.good(&["checkpoint", "box"]);
    let good = boxed.good(&["audit", "verify", "box"]);
    assert!(good.starts_with("record: whole, ") && good.ends_with("layers: 1, as they were made\n"), "{good}");
    assert_eq!(boxed.json(&["audit", "verify", "box", "--json"])["good"], true);
    let state = boxed.user.path("home/.local/state/stockade");

    let record = state.join("sandboxes/box/record.jsonl");
    let text = std::fs::read_to_string(&record).expect("record");
    std::fs::write(&record, text.replacen("echo x", "echo y", 1)).expect("write");
    let (status, stdout, _) = boxed.stockade(&["audit", "verify", "box"]);
    assert!(status == 1 && stdout.contains("record: BROKEN at line 3: "), "{stdout}");
    assert!(boxed.refused(&["audit", "export", "box"]).contains("line 3"));
    std::fs::write(&record, &text).expect("write");

    let layer = std::fs::read_dir(state.join("layers")).expect("layers").find_map(|entry| {
        let file = entry.expect("entry").path().join("tree/changed");
        file.exists().then_some(file)
    });
    std::fs::write(layer.expect("a layer"), "z\n").expect("write");
    let (status, stdout, _) = boxed.stockade(&["audit", "verify", "box"]);
    assert!(
        status == 1 && stdout.contains("CHANGED FROM OUTSIDE") && stdout.contains("changed: changed ("),
        "{stdout}"
    );
    let (status, json, _) = boxed.stockade(&["audit", "verify", "box", "--json"]);
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((status, &json["good"], &json["layers"][0]["count"]), (1, &false.into(), &1.into()));
}

#[test]
fn a_record_is_checked_elsewhere() {
    let boxed = Boxed::new();
    let file = boxed.user.path("record.jsonl");
    let name = file.to_str().expect("path");
    boxed.good(&["audit", "export", "box", name]);
    assert_eq!(boxed.good(&["audit", "export", "box"]), std::fs::read_to_string(&file).expect("document"));
    assert!(boxed.refused(&["audit", "export", "box", name]).contains("record.jsonl"), "nothing is overwritten");
    let found = boxed.good(&["audit", "check", name]);
    assert!(found.contains("record: whole") && found.contains("this machine's and yours"), "{found}");
    let json = boxed.json(&["audit", "check", name, "--json"]);
    assert_eq!((&json["good"], &json["own_key"]), (&true.into(), &true.into()));

    let other = Boxed::new();
    assert!(other.good(&["audit", "check", name]).contains("not this machine's and yours"));
    let text = std::fs::read_to_string(&file).expect("document");
    std::fs::write(&file, text.replacen("\"box\"", "\"fox\"", 1)).expect("write");
    let (status, stdout, _) = boxed.stockade(&["audit", "check", name]);
    assert!(status == 1 && stdout.contains("BROKEN at line 1"), "{stdout}");
    std::fs::write(&file, "nothing\n").expect("write");
    assert_eq!(boxed.stockade(&["audit", "check", name]).0, 1);
    assert!(boxed.refused(&["audit", "check", "missing"]).contains("missing"));
}
