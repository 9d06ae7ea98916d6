//! Programs that stay: a database under write and a server, over checkpoints; and what stays between commands.

use std::process::{Child, Stdio};

use crate::Trial;
use crate::leftovers::soon;
use crate::place::Place;

pub(crate) const TRIALS: &[Trial] = &[
    ("database_under_write", database_under_write),
    ("server_stays_up", server_stays_up),
    ("mapped_file", mapped_file),
    ("background_stays", background_stays),
    ("open_files_stay", open_files_stay),
    ("exec_ends_with_its_caller", exec_ends_with_its_caller),
];

const WRITER: &str = "
import os, sqlite3, sys
base = sqlite3.connect('data.db', timeout=60)
base.execute(sys.argv[1])
base.execute('create table if not exists numbers (n integer primary key, text)')
n = 0
while True:
    with base:
        for _ in range(20):
            n += 1
            base.execute('insert into numbers values (?, ?)', (n, 'x' * 200))
            base.execute('update numbers set text = ? where n = ?', ('y' * (n % 3000), n // 2))
    open('new', 'w').write(str(n)); os.replace('new', 'count')
";

const CHECK: &str = "python3 -c \"
import sqlite3
base = sqlite3.connect('data.db')
print(base.execute('pragma integrity_check').fetchone()[0], base.execute('select count(*), max(n) from numbers').fetchone())
\"";

/// Starts a program in a sandbox that goes on until it is ended.
fn stays(place: &Place, name: &str, words: &[&str]) -> Child {
    let mut command = place.stockade(&["exec", name, "--"]);
    command.args(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

fn end(mut child: Child) {
    child.kill().expect("SIGKILL");
    child.wait().expect("an end");
}

/// Checkpoints of a database that is being written restore to one that is whole, with either way of writing.
fn database_under_write(place: &Place) {
    for mode in ["pragma journal_mode = delete", "pragma journal_mode = wal"] {
        place.create("data", &[]);
        let mut writer = stays(place, "data", &["python3", "-c", WRITER, mode]);
        assert!(
            soon(|| place.exec("data", "test $(cat count 2>/dev/null || echo 0) -gt 100").status == 0),
            "nothing was written: {:?}",
            writer.try_wait()
        );
        let taken: Vec<String> = (0..6)
            .map(|_| {
                std::thread::sleep(std::time::Duration::from_millis(70));
                place.done(&["checkpoint", "data"])
            })
            .collect();
        assert!(writer.try_wait().expect("a status").is_none(), "the writer ended over a checkpoint");
        let before: u64 = place.good("data", "cat count").parse().expect("a number");
        assert!(
            soon(|| place.good("data", "cat count").parse::<u64>().is_ok_and(|now| now > before)),
            "the writer stands still"
        );
        end(writer);
        let mut last = 0;
        for (number, name) in taken.iter().enumerate() {
            let fork = format!("copy{number}");
            place.done(&["fork", "data", &fork, "--at", name]);
            let checked = place.good(&fork, CHECK);
            let numbers = checked.strip_prefix("ok (").unwrap_or_else(|| panic!("{mode}, {name}: {checked}"));
            let count: u64 = numbers.split(',').next().and_then(|word| word.parse().ok()).expect("a number");
            assert!(count >= last, "{mode}, {name}: {count} after {last}");
            last = count;
            place.done(&["rm", "--force", &fork]);
        }
        place.done(&["restore", "data", &taken[2]]);
        assert!(place.good("data", CHECK).starts_with("ok"));
        place.done(&["audit", "verify", "data"]);
        place.done(&["rm", "--force", "data"]);
    }
}

/// A server with a child answers before, over and after a checkpoint, on connections that stay open.
fn server_stays_up(place: &Place) {
    place.create("web", &[]);
    let server = "python3 -c 'import http.server, os, time
if os.fork() == 0:
    n = 0
    while True:
        n += 1; open(\"beat\", \"w\").write(str(n)); time.sleep(0.01)
class Kept(http.server.SimpleHTTPRequestHandler):
    protocol_version = \"HTTP/1.1\"
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer((\"127.0.0.1\", 8000), Kept).serve_forever()'";
    let mut running = place.start("web", server);
    let client = "import http.client, time
connection = http.client.HTTPConnection('127.0.0.1', 8000)
worst = 0
for n in range(60):
    start = time.monotonic()
    connection.request('GET', '/README'); answer = connection.getresponse()
    assert answer.status == 200 and answer.read() == b'work\\n'
    worst = max(worst, time.monotonic() - start); time.sleep(0.005)
print('answered', worst)";
    let ready = "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 8000))'";
    assert!(soon(|| place.exec("web", ready).status == 0), "the server does not answer: {:?}", running.try_wait());
    let asking = stays(place, "web", &["python3", "-c", client]);
    let taken: Vec<String> = (0..5).map(|_| place.done(&["checkpoint", "web"])).collect();
    let asked = asking.wait_with_output().expect("an end");
    let text = String::from_utf8_lossy(&asked.stdout);
    assert!(asked.status.success() && text.starts_with("answered"), "{text} {asked:?}");
    assert!(running.try_wait().expect("a status").is_none(), "the server ended over a checkpoint");
    let beat = |text: &str| text.parse::<u64>().unwrap_or(0);
    let first = beat(&place.good("web", "cat beat"));
    assert!(soon(|| beat(&place.good("web", "cat beat")) > first), "the server's child stands still");
    let before = place.host();
    place.done(&["restore", "web", &taken[0]]);
    let ended = running.wait_with_output().expect("an end");
    assert!(!ended.status.success(), "restore did not end the server");
    assert_ne!(place.exec("web", ready).status, 0, "the server answers after a restore");
    before.is_still(&place.workspace(), "a server in a sandbox");
}

/// What was written by a mapping is in a checkpoint, though the kernel tells nobody of it.
fn mapped_file(place: &Place) {
    place.create("map", &[]);
    let program = "import mmap, time, os
file = open('mapped', 'w+b'); file.truncate(1 << 20)
pages = mmap.mmap(file.fileno(), 1 << 20)
n = 0
while True:
    n += 1
    pages[0:8] = n.to_bytes(8, 'little'); pages[-8:] = n.to_bytes(8, 'little')
    if n == 1: open('ready', 'w')
";
    let writer = stays(place, "map", &["python3", "-c", program]);
    assert!(soon(|| place.exec("map", "test -e ready").status == 0), "nothing was mapped");
    let taken: Vec<String> = (0..4).map(|_| place.done(&["checkpoint", "map"])).collect();
    end(writer);
    let mut last = 0;
    for name in &taken {
        place.done(&["fork", "map", "copy", "--at", name]);
        let read = "import sys; data = open('mapped', 'rb').read()
print(int.from_bytes(data[:8], 'little'), int.from_bytes(data[-8:], 'little'))";
        let numbers = place.good("copy", &format!("python3 -c \"{read}\""));
        let (first, second) = numbers.trim().split_once(' ').expect("two numbers");
        let (first, second): (u64, u64) = (first.parse().expect("a number"), second.parse().expect("a number"));
        // It is stopped between the two at most.
        assert!(first == second || first == second + 1, "{name}: {numbers}");
        assert!(first > last, "{name}: {first} after {last}: a checkpoint holds what an earlier one had");
        last = first;
        place.done(&["rm", "--force", "copy"]);
    }
}

fn background_stays(place: &Place) {
    place.create("back", &[]);
    let script = "echo private > /tmp/kept; echo home > ~/kept
        setsid sh -c 'while :; do date +%s%N > beat; sleep 0.02; done' > /dev/null 2>&1 & echo started";
    assert_eq!(place.good("back", script), "started\n");
    assert!(soon(|| place.exec("back", "test -s beat").status == 0), "nothing beats");
    let (first, kept) = (place.good("back", "cat beat"), place.good("back", "cat /tmp/kept ~/kept"));
    assert_eq!(kept, "private\nhome\n");
    assert!(soon(|| place.good("back", "cat beat") != first), "it stands still");
    let running = place.running("back");
    assert!(running.is_some_and(|(commands, processes)| commands == 0 && processes > 0), "{running:?}");
    place.done(&["stop", "back"]);
    assert_eq!(place.running("back"), None);
}

/// A file that was open, and a directory that was entered, before a checkpoint are the same afterwards.
fn open_files_stay(place: &Place) {
    place.create("open", &[]);
    let script = "mkdir -p d; cd d; exec 3> file; echo before >&3; touch ../ready
        until [ -e ../go ]; do sleep 0.01; done; echo after >&3; echo here > here; cat file";
    let running = place.start("open", script);
    assert!(soon(|| place.exec("open", "test -e ready").status == 0));
    let taken = place.done(&["checkpoint", "open"]);
    place.good("open", "touch go");
    let output = running.wait_with_output().expect("an end");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "before\nafter\n", "{output:?}");
    assert_eq!(place.good("open", "cat d/file d/here"), "before\nafter\nhere\n");
    place.done(&["restore", "open", &taken]);
    assert_eq!(place.good("open", "cat d/file; test ! -e d/here"), "before\n");
}

/// A command ends with the caller that waits for it, and others do not.
fn exec_ends_with_its_caller(place: &Place) {
    place.create("ends", &[]);
    let waiting = stays(place, "ends", &["sh", "-c", "echo > one; sleep 1000"]);
    let other = stays(place, "ends", &["sh", "-c", "echo > two; until [ -e go ]; do sleep 0.01; done"]);
    assert!(soon(|| place.exec("ends", "test -e one -a -e two").status == 0));
    let find =
        "for file in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $file; echo; done 2>/dev/null | grep -c '^sleep 1000'";
    assert!(soon(|| place.exec("ends", find).stdout == "1\n"), "the command is not seen");
    end(waiting);
    assert!(soon(|| place.exec("ends", find).stdout == "0\n"), "the command goes on");
    place.good("ends", "touch go");
    assert!(other.wait_with_output().expect("an end").status.success());
}
