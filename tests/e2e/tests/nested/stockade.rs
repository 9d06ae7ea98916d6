//! Stockade inside Stockade.

use std::fs;

use crate::Trial;
use crate::place::{CONSENT, Place};

pub(crate) const TRIALS: &[Trial] = &[
    ("an_inner_run_is_confined", an_inner_run_is_confined),
    ("an_inner_run_reaches_no_service_of_the_outer_one", an_inner_run_reaches_no_service_of_the_outer_one),
    ("an_inner_run_signals_only_its_own", an_inner_run_signals_only_its_own),
    ("an_inner_run_ends_with_everything_in_it", an_inner_run_ends_with_everything_in_it),
    ("the_report_says_what_was_weaker", the_report_says_what_was_weaker),
    ("the_outer_sandbox_hears_nothing_of_an_inner_start", the_outer_sandbox_hears_nothing_of_an_inner_start),
    ("nobody_looks_into_the_inner_init", nobody_looks_into_the_inner_init),
    ("three_levels_work", three_levels_work),
    ("the_outer_one_may_trace", the_outer_one_may_trace),
    ("the_outer_one_may_deny", the_outer_one_may_deny),
    ("the_outer_one_may_be_the_weaker_tier", the_outer_one_may_be_the_weaker_tier),
    ("the_doctor_names_the_outer_sandbox", the_doctor_names_the_outer_sandbox),
];

/// An inner run of a script, as a line of the outer script.
fn inner(options: &str, script: &str) -> String {
    format!("./stockade run --accept-degraded {CONSENT} {options} -- sh -c '{script}'")
}

fn an_inner_run_is_confined(place: &Place) {
    let script = inner("", "echo inside; echo x > made; echo x > /tmp/here; echo x > \"$HOME/mine\"; exit 7");
    // What the outer sandbox may write, and the inner one may not.
    let outer = format!("{script}; status=$?; ls /tmp \"$HOME\" >&2; exit $status");
    let done = place.outer(&outer).ends(7);
    assert_eq!(done.stdout, "inside\n");
    assert!(done.stderr.contains("/tmp/here"), "{done:#?}");
    let listed = done.stderr.lines().any(|line| line == "here" || line == "mine");
    assert!(!listed, "written outside of the inner sandbox: {done:#?}");
    assert_eq!(fs::read(place.workspace().join("made")).expect("written in the workspace"), b"x\n");
}

/// A server over TCP and one over a Unix socket in the outer sandbox, and a client.
const SERVERS: &str = r#"
import os, socket, threading
tcp = socket.create_server(("127.0.0.1", 0))
open("port", "w").write(str(tcp.getsockname()[1]))
unix = socket.socket(socket.AF_UNIX)
unix.bind("socket")
unix.listen()
def serve(server):
    while True: server.accept()[0].sendall(b"x")
threading.Thread(target=serve, args=(tcp,), daemon=True).start()
open("ready", "w")
serve(unix)
"#;
const CLIENT: &str = r#"
import socket
def attempt(name, make):
    try: print(name, make().recv(1))
    except OSError as error: print(name, "refused")
def unix():
    client = socket.socket(socket.AF_UNIX)
    client.connect("socket")
    return client
attempt("tcp", lambda: socket.create_connection(("127.0.0.1", int(open("port").read()))))
attempt("unix", unix)
"#;

fn an_inner_run_reaches_no_service_of_the_outer_one(place: &Place) {
    place.file("servers.py", SERVERS);
    place.file("client.py", CLIENT);
    let wait = "while ! [ -e ready ]; do sleep 0.05; done";
    let script = format!("python3 servers.py & {wait}; python3 client.py; {}", inner("", "python3 client.py"));
    let done = place.outer(&script).ends(0);
    // The servers answer where nothing forbids it.
    assert_eq!(done.stdout, "tcp b'x'\nunix b'x'\ntcp refused\nunix refused\n", "{done:#?}");
}

fn an_inner_run_signals_only_its_own(place: &Place) {
    let script = inner("-e OUTER=$outer", "sleep 60 & kill $! && wait $!; echo own $?; kill $OUTER || echo not yours");
    let done = place.outer(&format!("sleep 60 & outer=$!; {script}; kill -0 $outer && echo alive")).ends(0);
    assert_eq!(done.stdout, "own 143\nnot yours\nalive\n", "{done:#?}");
}

fn an_inner_run_ends_with_everything_in_it(place: &Place) {
    let script = inner("--time 1s", "(setsid sleep 60 &) ; sleep 60");
    let done = place.outer(&format!("{script}; echo $?; grep -lx sleep /proc/[0-9]*/comm")).ends(1);
    assert_eq!(done.stdout, "124\n", "{done:#?}");
}

fn the_report_says_what_was_weaker(place: &Place) {
    // A call that is refused: there is no event of it, inside.
    let script = inner("--report inner.json", "unshare -U true || echo refused");
    let done = place.outer(&script).ends(0);
    assert_eq!(done.stdout, "refused\n");
    let report = place.json("inner.json");
    assert_eq!(report["tier"], "landlock");
    assert_eq!(report["denials"], serde_json::json!([]));
    let of = |name: &str| {
        let entries = report["enforcement"].as_array().expect("a list");
        entries.iter().find(|entry| entry["protection"] == name).expect(name)["level"].to_string()
    };
    assert!(of("ipc").contains("do not become events"), "{}", of("ipc"));
    assert!(of("protected-files").contains("while the command runs"), "{}", of("protected-files"));
    assert!(!of("files").contains("degraded") && !of("processes").contains("degraded"), "{report:#}");
}

fn the_outer_sandbox_hears_nothing_of_an_inner_start(place: &Place) {
    let inner = ["./stockade", "run", "--accept-degraded", CONSENT, "--", "true"];
    let outer = ["run", "--isolation", "namespaces", "--report", "outer.json", "--"];
    place.run("./stockade", outer.iter().chain(&inner)).ends(0);
    assert_eq!(place.json("outer.json")["denials"], serde_json::json!([]));
}

fn nobody_looks_into_the_inner_init(place: &Place) {
    let look = "for pid in self $PPID; do for file in environ maps; do cat /proc/$pid/$file > /dev/null && echo $file; done; done";
    let done = place.outer(&inner("", &format!("echo parent $PPID; {look}; exit 0"))).ends(0);
    let lines: Vec<&str> = done.stdout.lines().skip(1).collect();
    assert_eq!(lines, ["environ", "maps"], "only its own can be read: {done:#?}");
}

fn the_outer_one_may_trace(place: &Place) {
    let script = inner("", "echo inside; echo x > made; exit 7");
    let done = place.run("./stockade", ["run", "--trace=all", "--", "sh", "-c", &script]).ends(7);
    assert_eq!(done.stdout, "inside\n", "{done:#?}");
    assert!(place.workspace().join("made").exists());
}

fn the_outer_one_may_deny(place: &Place) {
    place.file(".env", "secret");
    // It lasts long enough for the inner supervisor to look at its processes a few times.
    let script = inner("", "echo inside; cat .env; sleep 0.5; exit 7");
    let done = place.run("./stockade", ["run", "--deny", "**/.env", "--", "sh", "-c", &script]).ends(7);
    assert_eq!(done.stdout, "inside\n", "{done:#?}");
}

fn three_levels_work(place: &Place) {
    let innermost = format!("./stockade run --accept-degraded {CONSENT} -- sh -c \"echo deep; echo x > made; exit 9\"");
    let done = place.outer(&inner("", &innermost)).ends(9);
    assert_eq!(done.stdout, "deep\n", "{done:#?}");
    assert!(place.workspace().join("made").exists());
}

fn the_outer_one_may_be_the_weaker_tier(place: &Place) {
    let script = inner("", "echo inside; echo x > made; sleep 0.5; exit 7");
    let outer = ["run", "--isolation", "landlock", "--accept-degraded", CONSENT, "--", "sh", "-c", &script];
    let done = place.run("./stockade", outer).ends(7);
    assert_eq!(done.stdout, "inside\n", "{done:#?}");
    assert!(place.workspace().join("made").exists());
}

fn the_doctor_names_the_outer_sandbox(place: &Place) {
    // Status 1: it works, but weaker.
    place.outer("./stockade doctor --json > doctor.json").ends(1);
    let found = place.json("doctor.json");
    let trials = found["trials"].as_array().expect("a list");
    let failure = |tier: &str| &trials.iter().find(|trial| trial["tier"] == tier).expect(tier)["failure"];
    assert!(failure("namespaces").to_string().contains("another sandbox"), "{found:#}");
    assert!(failure("landlock").is_null(), "{found:#}");
    assert_eq!(found["facts"]["kernel"]["seccomp_notify"], false);
    assert!(found["improvements"].to_string().contains("inside another sandbox"), "{found:#}");
    let text = place.outer("./stockade doctor").ends(1).stdout;
    assert!(text.contains("Runs here get tier landlock") && text.contains("inside another sandbox"), "{text}");
}
