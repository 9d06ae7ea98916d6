//! What holds up the spawner or the supervisor holds up nobody else, and ends with its sandbox.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::Trial;
use crate::leftovers::soon;
use crate::place::{Outcome, Place};
use crate::terminals::{BEAT, beat, is_still};

pub(crate) const TRIALS: &[Trial] = &[
    ("time", time),
    ("flooded", flooded),
    ("output", output),
    ("caller_that_is_gone", caller_that_is_gone),
    ("silent_supervisor", silent_supervisor),
    ("no_descriptors", no_descriptors),
];

/// Stops every process that comes after it, for half a minute. Once one has not executed its program yet, and is our own code,
/// which nobody may look into, there is the file `held`.
const STOP_LATER_ONES: &str = "import os, signal, time
last, end = os.getpid(), time.time() + 30
print(flush=True)
def state(process): return open(f'/proc/{process}/stat').read().rsplit(')', 1)[1].split()[0]
while time.time() < end:
    for process in range(last + 1, last + 40):
        try:
            os.kill(process, signal.SIGSTOP)
            last = process
            while state(process) not in 'TZX': time.sleep(0.001)
            try: os.readlink(f'/proc/{process}/exe')
            except PermissionError: open('held', 'w')
        except OSError: pass
print('went on')";

/// Starts a command that stops every later one before that executes its program; it has begun.
fn stopper(place: &Place, name: &str) -> Child {
    let mut command = place.stockade(&["exec", name, "--", "python3", "-c", STOP_LATER_ONES]);
    let mut first = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a start");
    BufReader::new(first.stdout.as_mut().expect("its output")).read_line(&mut String::new()).expect("its first line");
    first
}

/// Starts commands until the spawner waits for one that is stopped.
fn hold_up(place: &Place, name: &str) -> Vec<Child> {
    let held = place.folder(name).join("upper/held");
    let mut all = Vec::new();
    while !held.exists() {
        assert!(all.len() < 100, "none was stopped in time");
        let mut command = place.stockade(&["exec", name, "--", "true"]);
        all.push(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a start"));
        std::thread::sleep(Duration::from_millis(100));
    }
    all
}

/// Waits for the end of each; whether that comes within so many seconds. Those that go on are killed.
fn all_end(mut children: Vec<Child>, seconds: u64) -> bool {
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut ended = |child: &mut Child| child.try_wait().expect("its state").is_some();
    while Instant::now() < until && !children.iter_mut().all(&mut ended) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let good = children.iter_mut().all(&mut ended);
    for child in &mut children {
        drop(child.kill());
        child.wait().expect("its end");
    }
    good
}

/// What the supervisor has to say to a spawner that is held up does not hold up the supervisor: it answers others, and ends
/// the sandbox when the spawner takes nothing more.
fn flooded(place: &Place) {
    place.create("jam", &[]);
    let first = stopper(place, "jam");
    let mut all = hold_up(place, "jam");
    all.push(first);
    let pid = all[all.len() - 2].id().to_string();
    for _ in 0..1_500 {
        let killed = place.command("sh").args(["-c", "kill -USR1 \"$0\"", &pid]).stderr(Stdio::null()).status();
        if !killed.expect("a shell").success() {
            break;
        }
    }
    assert!(all_end(all, 8), "the supervisor is held up");
    assert_eq!(place.exec("jam", "echo fine").stdout, "fine\n");
}

/// A script of Python that runs in a sandbox, and has begun: it has made the file `beat`.
fn begun(place: &Place, name: &str, script: &str) -> Child {
    let mut command = place.stockade(&["exec", name, "--", "python3", "-c", script]);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a start");
    assert!(soon(|| !beat(place, name).is_empty()));
    child
}

/// Prints without end as soon as it is told something.
const FLOOD: &str = "import os
print('begun', file=open('beat', 'w'), flush=True)
os.read(0, 1)
while True: os.write(1, b'x' * 4096)";

/// A command that prints more than it may ends, also where what ends commands is held up.
fn output(place: &Place) {
    place.create("flood", &["--output", "1MB"]);
    let mut victim = begun(place, "flood", FLOOD);
    let first = stopper(place, "flood");
    let mut all = hold_up(place, "flood");
    all.push(first);
    victim.stdin.take().expect("its input").write_all(b"!").expect("it is told");
    let outcome = Outcome::of(&victim.wait_with_output().expect("an end"));
    assert_eq!((outcome.status, outcome.stdout.len()), (137, 1_000_000), "{}", outcome.stderr);
    assert!(all_end(all, 10), "the sandbox goes on");
    assert_eq!(place.exec("flood", "echo fine").stdout, "fine\n");
}

/// A command whose caller is killed ends, there too.
fn caller_that_is_gone(place: &Place) {
    place.create("left", &[]);
    let mut victim = begun(place, "left", &format!("import os, time{BEAT}"));
    let first = stopper(place, "left");
    let mut all = hold_up(place, "left");
    all.push(first);
    victim.kill().expect("SIGKILL");
    victim.wait().expect("an end");
    assert!(all_end(all, 15), "the sandbox goes on");
    assert!(is_still(place, "left"), "the command goes on");
    assert_eq!(place.exec("left", "echo fine").stdout, "fine\n");
}

/// The process that supervises a sandbox.
fn supervisor(place: &Place, name: &str) -> u32 {
    let find = "import socket, struct, sys
caller = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
caller.connect(sys.argv[1])
print(struct.unpack('iii', caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])";
    let mut command = place.command("python3");
    let outcome = place.outcome(command.args(["-c", find]).arg(place.folder(name).join("control")));
    outcome.stdout.trim().parse().expect("a number")
}

/// A supervisor that does not answer holds nobody up, and `stop` ends it with its sandbox.
fn silent_supervisor(place: &Place) {
    place.create("mute", &[]);
    let running = place.start("mute", "echo > kept; exec sleep 60");
    assert!(soon(|| place.folder("mute").join("upper/kept").exists()));
    let pid = supervisor(place, "mute").to_string();
    assert!(place.command("kill").args(["-STOP", &pid]).status().expect("kill").success());
    let started = Instant::now();
    let list = place.stockade(&["ls"]).stdout(Stdio::null()).spawn().expect("the program starts");
    let stop = place.stockade(&["stop", "mute"]).spawn().expect("the program starts");
    assert!(all_end(vec![list, stop], 40), "they wait for ever");
    assert!(all_end(vec![running], 5), "the command goes on");
    assert!(started.elapsed() < Duration::from_secs(40), "{:?}", started.elapsed());
    assert_eq!(place.running("mute"), None);
    assert!(place.exec("mute", "ls kept").stdout == "kept\n");
    place.done(&["audit", "verify", "mute"]);
}

/// Commands that are stopped before they execute their programs hold up what starts and ends commands. The time of the one
/// that stops them ends all the same.
fn time(place: &Place) {
    place.create("slow", &["--time", "4s"]);
    let mut command = place.stockade(&["exec", "slow", "--", "python3", "-c", STOP_LATER_ONES]);
    let started = Instant::now();
    let mut first = command.stdout(Stdio::piped()).spawn().expect("a start");
    let mut stdout = BufReader::new(first.stdout.take().expect("its output"));
    stdout.read_line(&mut String::new()).expect("its first line");
    let mut others = Vec::new();
    while started.elapsed() < Duration::from_secs(3) {
        let mut command = place.stockade(&["exec", "slow", "--", "true"]);
        others.push(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a start"));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(first.wait().expect("an end").code(), Some(124));
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let mut later = String::new();
    stdout.read_line(&mut later).expect("the rest");
    assert_eq!(later, "");
    let ends: Vec<_> = others.into_iter().map(|mut other| other.wait().expect("an end").code()).collect();
    assert!(ends.iter().any(|end| *end != Some(0)), "none was stopped: {ends:?}");
    assert_eq!(place.exec("slow", "echo fine").stdout, "fine\n");
}

/// Takes every descriptor that a supervisor has for callers, comes once more, and gives them back.
const NO_DESCRIPTORS: &str = "import os, resource, socket, struct, sys, time
def connect():
    caller = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    caller.settimeout(10)
    caller.connect(sys.argv[1])
    return caller
def ask(caller):
    try: caller.sendall(b'{\\\"ask\\\":\\\"status\\\"}\\n'); return caller.recv(65536)
    except (BrokenPipeError, ConnectionResetError): return b''
kept = [connect()]
ask(kept[0])
pid = struct.unpack('iii', kept[0].getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
numbers = lambda: sorted(int(number) for number in os.listdir(f'/proc/{pid}/fd'))
while numbers() != list(range(len(numbers()))): kept.append(connect()); ask(kept[-1])
before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(numbers()) + 16, before[1]))
print('refused', ask(connect()) == b'')
time.sleep(1.5)
print('answers', b'commands' in ask(kept[0]))
resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
print('taken', b'commands' in ask(connect()))";

/// A supervisor without descriptors for one more caller refuses that one, and all else goes on.
fn no_descriptors(place: &Place) {
    place.create("full", &[]);
    let mut running = begun(place, "full", "print('begun', file=open('beat', 'w')); import sys; sys.stdin.read()");
    let mut command = place.command("python3");
    let outcome = place.outcome(command.args(["-c", NO_DESCRIPTORS]).arg(place.folder("full").join("control")));
    assert_eq!(outcome.stdout, "refused True\nanswers True\ntaken True\n", "{outcome:?}");
    assert_eq!(place.exec("full", "echo fine").stdout, "fine\n");
    drop(running.stdin.take());
    assert_eq!(running.wait().expect("an end").code(), Some(0));
}
