//! Limits of a sandbox that lasts: those on memory, processes and disk hold for all that runs in it together; those on time
//! and output are each command's own, and end only that command.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::Trial;
use crate::leftovers::soon;
use crate::place::Place;

pub(crate) const TRIALS: &[Trial] = &[
    ("output", output),
    ("time", time),
    ("processes", processes),
    ("memory", memory),
    ("disk", disk),
    ("disk_of_what_is_left_behind", disk_of_what_is_left_behind),
    ("disk_of_files_without_a_name", disk_of_files_without_a_name),
    ("left_behind", left_behind),
    ("many_callers", many_callers),
    ("callers_that_do_not_read", callers_that_do_not_read),
    ("held_at_the_end", held_at_the_end),
    ("long_command_lines", long_command_lines),
    ("long_denials", long_denials),
];

fn output(place: &Place) {
    place.create("flood", &["--output", "1MB"]);
    let other = place.start("flood", "until [ -e go ]; do sleep 0.01; done; echo still here");
    let outcome = place.exec("flood", "setsid yes more & yes");
    assert_eq!(outcome.status, 137, "{} {}", outcome.stdout.len(), outcome.stderr);
    assert!(outcome.stdout.len() <= 1_000_000, "{}", outcome.stdout.len());
    place.good("flood", "touch go");
    let output = other.wait_with_output().expect("an end");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "still here\n", "{output:?}");
    assert_eq!(place.exec("flood", "echo fine").stdout, "fine\n");
}

fn time(place: &Place) {
    place.create("slow", &["--time", "2s"]);
    let started = Instant::now();
    let late = place.start("slow", "sleep 1.2; exec sleep 60");
    std::thread::sleep(Duration::from_millis(1_200));
    let later = place.start("slow", "sleep 1.4; echo in time");
    let output = late.wait_with_output().expect("an end");
    assert_eq!(output.status.code(), Some(124), "{output:?}");
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    let output = later.wait_with_output().expect("an end");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "in time\n", "{output:?}");
    let outcome = place.exec("slow", "trap '' TERM INT HUP; sleep 30 & while :; do wait; done");
    assert_eq!(outcome.status, 124, "{outcome:?}");
    assert_eq!(place.running("slow"), Some((0, 0)));
}

const BOMB: &str = "import os, time
end = time.time() + 1.5
while time.time() < end:
    try: os.fork()
    except OSError: pass
time.sleep(60)";

/// Bombs of several commands share the bound, and others can be ended and started all the same.
fn processes(place: &Place) {
    place.create("bomb", &["--processes", "60"]);
    place.create("other", &[]);
    let bombs: Vec<_> = (0..3)
        .map(|_| {
            let mut command = place.stockade(&["exec", "bomb", "--", "python3", "-c", BOMB]);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a start")
        })
        .collect();
    std::thread::sleep(Duration::from_secs(2));
    let (_, running) = place.running("bomb").expect("it runs");
    assert!(running <= 60, "{running} processes");
    assert_eq!(place.exec("other", "echo fine").stdout, "fine\n");
    for mut bomb in bombs {
        bomb.kill().expect("SIGKILL");
        bomb.wait().expect("an end");
    }
    assert!(soon(|| place.exec("bomb", "echo fine").stdout == "fine\n"), "{:?}", place.running("bomb"));
    place.done(&["stop", "bomb"]);
    assert_eq!(place.exec("bomb", "echo fine").stdout, "fine\n");
}

fn memory(place: &Place) {
    place.create("fat", &["--memory", "200MB"]);
    place.good("fat", "echo kept > kept");
    // Without a limit it ends well.
    let eat = "python3 -c \"
all = []
for _ in range(300): all.append(bytearray(1 << 22))\"";
    let outcome = place.exec("fat", eat);
    assert_ne!(outcome.status, 0, "{outcome:?}");
    assert!(soon(|| place.exec("fat", "cat kept").stdout == "kept\n"), "{outcome:?}");
    place.done(&["audit", "verify", "fat"]);
}

/// What reaches the bound on disk ends, and the sandbox can be read, compared and applied.
fn disk(place: &Place) {
    place.create("big", &["--disk", "16MB"]);
    place.good("big", "echo small > small");
    place.done(&["checkpoint", "big"]);
    // Without a limit it ends well.
    let fill = "n=0; while [ $n -lt 150 ]; do head -c 1000000 /dev/zero | tr '\\0' x > big.$n || exit 9; n=$((n+1)); sleep 0.02; done";
    let outcome = place.exec("big", fill);
    assert_ne!(outcome.status, 0, "{outcome:?}");
    let bytes: u64 = walk(&place.folder("big").join("upper"));
    assert!(bytes < 100 << 20, "{bytes}");
    assert!(place.done(&["diff", "big", "small"]).contains("small"));
    assert_eq!(place.exec("big", "cat small").stdout, "small\n");
    place.done(&["apply", "big", "small"]);
    assert!(place.workspace().join("small").exists());
    place.done(&["restore", "big", "c1"]);
    place.done(&["audit", "verify", "big"]);
}

/// What goes on without its command is ended as well when the disk's bound is reached. Later commands may take their time, and
/// may not write.
fn disk_of_what_is_left_behind(place: &Place) {
    place.create("rest", &["--disk", "20MB"]);
    let writer = "n=0; while [ $n -lt 60 ]; do head -c 1000000 /dev/zero | tr '\\0' x > big.$n; n=$((n+1)); sleep 0.1; done; echo > end";
    let start = "echo 1 > small; setsid sh -c \"$0\" > /dev/null 2>&1 & echo started";
    let outcome = place.outcome(place.script("rest", start).arg(writer));
    assert_eq!((outcome.status, outcome.stdout.as_str()), (0, "started\n"), "{outcome:?}");
    assert!(soon(|| place.running("rest").is_none()), "it goes on: {:?}", place.running("rest"));
    assert!(!place.folder("rest").join("upper/end").exists());
    let bytes = walk(&place.folder("rest").join("upper"));
    assert!((20_000_000..50_000_000).contains(&bytes), "{bytes}");
    let outcome = place.exec("rest", "sleep 1.5; cat small; echo 2 > more || echo refused");
    assert_eq!((outcome.status, outcome.stdout.as_str()), (0, "1\nrefused\n"), "{outcome:?}");
}

const HOLD: &str = "import os, time
files = []
for n in range(8):
    files.append(open(f'gone{n}', 'wb'))
    os.unlink(f'gone{n}')
    files[-1].write(b'x' * (10 << 20))
    files[-1].flush()
print('held', flush=True)
time.sleep(20)
print('went on')";

/// What is unlinked while it is open takes as much of the disk as before.
fn disk_of_files_without_a_name(place: &Place) {
    place.create("gone", &["--disk", "20MiB"]);
    let outcome = place.outcome(place.stockade(&["exec", "gone", "--", "python3", "-c"]).arg(HOLD));
    // Without a limit it ends well.
    assert_ne!(outcome.status, 0, "{outcome:?}");
    assert!(!outcome.stdout.contains("went on"), "{outcome:?}");
    assert!(outcome.stderr.contains("disk limit"), "{outcome:?}");
    // It has gone with whoever held it.
    assert!(
        soon(|| place.exec("gone", "sleep 1.5; echo fine").stdout == "fine\n"),
        "{:?}",
        place.exec("gone", "echo fine")
    );
}

fn walk(directory: &std::path::Path) -> u64 {
    crate::leftovers::entries(directory).iter().filter_map(|path| path.metadata().ok()).map(|data| data.len()).sum()
}

/// What left its session and its parent goes on without its command, is told, and ends with the sandbox.
fn left_behind(place: &Place) {
    place.create("left", &[]);
    let daemon = "setsid sh -c 'trap \"\" TERM HUP INT; while :; do echo > beat; sleep 0.05; done' > /dev/null 2>&1 &
        (setsid setsid sleep 4000 > /dev/null 2>&1 &) ; echo done";
    assert_eq!(place.good("left", daemon), "done\n");
    let (commands, processes) = place.running("left").expect("it runs");
    assert!(commands == 0 && processes >= 2, "{commands} {processes}");
    let refused = place.outcome(&mut place.stockade(&["rm", "left"]));
    assert!(refused.status == 125 && place.folder("left").exists(), "{refused:?}");
    place.done(&["stop", "left"]);
    assert_eq!(place.running("left"), None);
    place.good("left", daemon);
    place.done(&["rm", "--force", "left"]);
    assert!(!place.folder("left").exists());
}

fn many_callers(place: &Place) {
    place.create("many", &[]);
    let all: Vec<_> = (0..40).map(|n| place.start("many", &format!("echo {n}; exit {n}"))).collect();
    for (n, child) in (0..).zip(all) {
        let output = child.wait_with_output().expect("an end");
        assert_eq!(output.status.code(), Some(n), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{n}\n"));
    }
}

/// One who does not read what a command prints holds up that command alone.
fn callers_that_do_not_read(place: &Place) {
    place.create("full", &[]);
    let mut stuck = place.start("full", "yes | head -c 10000000; echo > through");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(place.exec("full", "ls through 2>/dev/null; echo fine").stdout, "fine\n");
    place.done(&["checkpoint", "full"]);
    stuck.kill().expect("SIGKILL");
    stuck.wait().expect("an end");
    assert!(soon(|| place.running("full").is_some_and(|(_, processes)| processes == 0)));
}

/// Asks the supervisor to hold every process still, and stays.
const HOLDER: &str = r#"import os, socket, sys
holder = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
holder.connect(sys.argv[1])
holder.sendall(b'{"ask":"freeze"}\n')
os.write(1, holder.recv(65536))
sys.stdin.read()"#;

/// A sandbox whose processes somebody holds still ends all the same.
fn held_at_the_end(place: &Place) {
    place.create("held", &[]);
    let mut held = place.start("held", "sleep 60 & echo > through; wait");
    assert!(soon(|| place.done(&["diff", "held"]).contains("through")));
    let mut holder = place.command("python3");
    holder.args(["-c", HOLDER]).arg(place.folder("held").join("control"));
    let mut holder = holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3 starts");
    let mut answer = String::new();
    let output = holder.stdout.take().expect("its output");
    BufReader::new(output).read_line(&mut answer).expect("an answer");
    assert!(answer.contains("frozen"), "{answer}");
    let mut stop = place.stockade(&["stop", "held"]).spawn().expect("the program starts");
    let has_stopped = soon(|| stop.try_wait().expect("its end").is_some());
    for child in [&mut holder, &mut stop] {
        // The second has ended already, if all is well.
        drop(child.kill());
        child.wait().expect("an end");
    }
    assert!(has_stopped);
    assert!(soon(|| held.try_wait().expect("its end").is_some()));
    assert_eq!(place.running("held"), None);
    assert_eq!(place.exec("held", "ls through").stdout, "through\n");
}

fn long_command_lines(place: &Place) {
    place.create("long", &[]);
    let word = "x".repeat(100_000);
    let outcome = place.outcome(
        place
            .stockade(&["exec", "long", "--", "sh", "-c", "printf '%s' \"$*\" | wc -c", "sh"])
            .args([word.as_str(); 12]),
    );
    assert_eq!(outcome.stdout.trim(), "1200011", "{}", outcome.stderr);
    let nothing = place.outcome(&mut place.stockade(&["exec", "long", "--", "/nonexistent"]));
    assert_eq!(nothing.status, 127, "{nothing:?}");
    let closed = place.outcome(&mut place.stockade(&["exec", "long", "--", "/etc/passwd"]));
    assert_eq!(closed.status, 126, "{closed:?}");
}

/// Is refused many names, of the longest paths, of which JSON writes every byte as six.
const LONG_NAMES: &str = "import os
for _ in range(14):
    os.mkdir('\\x01' * 250); os.chdir('\\x01' * 250)
refused = 0
for n in range(900):
    try: open(f'secret{n}', 'w')
    except PermissionError: refused += 1
print(refused)";

/// Many denials with long names get through to the caller.
fn long_denials(place: &Place) {
    place.create("names", &["--deny", "**/secret*"]);
    let mut command = place.command("timeout");
    command.args(["-s", "KILL", "60"]).arg(place.program()).stdin(Stdio::piped());
    let outcome = place.outcome(command.args(["exec", "names", "--", "python3", "-c", LONG_NAMES]));
    assert_eq!((outcome.status, outcome.stdout.as_str()), (0, "900\n"), "{:.2000}", outcome.stderr);
}
