//! Terminals and the leaders of their sessions, which hostile code can reach as it can the spawner; and streams of every kind
//! where files are decided about.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::Trial;
use crate::leftovers::soon;
use crate::place::{Outcome, Place};
use crate::spawner::{PATIENCE, in_time};

pub(crate) const TRIALS: &[Trial] = &[
    ("leader_killed", leader_killed),
    ("leader_stopped", leader_stopped),
    ("stopped_from_outside", stopped_from_outside),
    ("streams_under_rules", streams_under_rules),
    ("ended_under_rules", ended_under_rules),
];

/// Runs a command on a pseudo-terminal of which all its streams are; prints what it prints, and exits as it does.
const ON_TERMINAL: &str = "import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

/// Where the supervisor decides about every file that is opened, commands have streams of every kind all the same, and
/// what is denied is denied.
fn streams_under_rules(place: &Place) {
    place.file("home/project/secret.txt", "hidden\n");
    place.create("ruled", &["--deny", "**/secret*"]);
    let script = "cat secret.txt 2>/dev/null || echo denied";
    let words = ["exec", "ruled", "--", "sh", "-c", script];
    let path = place.directory("outside").join("output");
    let file = || Stdio::from(std::fs::File::create(&path).expect("a file"));
    // Standard input is /dev/null with each; the others are a pipe, a file, and /dev/null.
    let outcome = place.outcome(&mut place.stockade(&words));
    assert_eq!((outcome.status, outcome.stdout.as_str()), (0, "denied\n"), "a pipe: {outcome:?}");
    let outcome = place.outcome(place.stockade(&words).stdin(Stdio::piped()).stdout(file()));
    assert_eq!(outcome.status, 0, "a file: {outcome:?}");
    assert_eq!(std::fs::read_to_string(&path).expect("its output"), "denied\n");
    let outcome = place.outcome(place.stockade(&words).stdout(Stdio::null()).stderr(file()));
    let told = std::fs::read_to_string(&path).expect("what it says");
    assert_eq!(outcome.status, 0, "/dev/null: {outcome:?} {told}");
    let outcome = place.outcome(place.command("python3").args(["-c", ON_TERMINAL]).arg(place.program()).args(words));
    assert!(outcome.status == 0 && outcome.stdout.contains("denied"), "a terminal: {outcome:?}");
    // What does not let its memory be read gains nothing by it.
    let unread = "python3 -c \"import ctypes; ctypes.CDLL(None).prctl(4, 0); print(open('secret.txt').read())\"";
    let outcome = place.exec("ruled", unread);
    assert!(outcome.status == 1 && outcome.stderr.contains("PermissionError"), "unread: {outcome:?}");
    let number = place.done(&["exec", "-d", "ruled", "--", "sh", "-c", script]);
    let logs = || place.outcome(&mut place.stockade(&["logs", "ruled", &number])).stdout;
    assert!(soon(|| logs() == "denied\n"), "in the background, {number}: {:?}", logs());
}

/// There, too, a command whose time is over ends with its descendants and its session.
fn ended_under_rules(place: &Place) {
    place.create("ruled", &["--deny", "**/secret*", "--time", "2s"]);
    let outcome =
        in_time(place, "ruled", "trap '' TERM HUP; sleep 300 & setsid sleep 300 & (sleep 300 &) ; wait; wait");
    assert_eq!(outcome.status, 124, "{outcome:?}");
    // Init may not have reaped them yet.
    assert!(soon(|| place.running("ruled") == Some((0, 0))), "{:?}", place.running("ruled"));
}

/// Runs a script of Python in a sandbox with a terminal, to its end.
fn on_terminal(place: &Place, name: &str, script: &str) -> Outcome {
    let started = Instant::now();
    let mut command = place.command("timeout");
    command.args(["-s", "KILL", &PATIENCE.as_secs().to_string(), "python3", "-c", ON_TERMINAL]).arg(place.program());
    let outcome = place.outcome(command.args(["exec", name, "--", "python3", "-c", script]));
    assert!(started.elapsed() < PATIENCE, "{script}: the caller hangs");
    outcome
}

/// What a command writes again and again in its workspace.
pub(crate) fn beat(place: &Place, name: &str) -> String {
    std::fs::read_to_string(place.folder(name).join("upper/beat")).unwrap_or_default()
}

/// Whether nothing writes there any more.
pub(crate) fn is_still(place: &Place, name: &str) -> bool {
    let before = beat(place, name);
    std::thread::sleep(Duration::from_millis(500));
    beat(place, name) == before
}

/// Writes again and again, for a minute.
pub(crate) const BEAT: &str = "
for n in range(1200):
    with open('new', 'w') as new: print(n, file=new)
    os.rename('new', 'beat')
    time.sleep(0.05)
";

/// A command that kills the leader of its terminal's session does not outlive what is told of it.
fn leader_killed(place: &Place) {
    place.create("led", &["--time", "3s"]);
    let begin = "import os, signal, time
signal.signal(signal.SIGHUP, signal.SIG_IGN)
if os.fork() == 0: os.setsid()
else: time.sleep(0.3); os.kill(os.getppid(), 9)
";
    let outcome = on_terminal(place, "led", &format!("{begin}{BEAT}"));
    assert_eq!(outcome.status, 137, "{outcome:?}");
    assert!(!beat(place, "led").is_empty() && is_still(place, "led"), "it goes on");
    assert!(soon(|| place.running("led") == Some((0, 0))), "{:?}", place.running("led"));
    assert_eq!(place.exec("led", "echo fine").stdout, "fine\n");
}

/// One that stops it has ended.
fn leader_stopped(place: &Place) {
    place.create("led", &[]);
    let outcome =
        on_terminal(place, "led", "import os, signal, time; os.kill(os.getppid(), signal.SIGSTOP); time.sleep(60)");
    assert_eq!(outcome.status, 137, "{outcome:?}");
    assert!(soon(|| place.running("led") == Some((0, 0))), "{:?}", place.running("led"));
    assert_eq!(place.exec("led", "echo fine").stdout, "fine\n");
}

/// Starts a program as a job on a terminal, stops it by SIGTSTP once a file is there, looks at the file, and has it go on.
const STOP_AND_CONTINUE: &str = "import os, pty, signal, sys, threading, time
beat, (told, tell) = sys.argv[1], os.pipe()
shell, terminal = pty.fork()
if shell:
    os.close(tell)
    def drain():
        try:
            while os.read(terminal, 4096): pass
        except OSError: pass
    threading.Thread(target=drain, daemon=True).start()
    print(open(told).read(), end='')
    sys.exit()
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
job = os.fork()
if job == 0:
    os.setpgid(0, 0); os.tcsetpgrp(0, os.getpid()); signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.argv[2], sys.argv[2:])
def say(*words): os.write(tell, (' '.join(map(str, words)) + '\\n').encode())
while not os.path.exists(beat): time.sleep(0.05)
def moves():
    before = open(beat).read(); time.sleep(0.6); return open(beat).read() != before
os.kill(job, signal.SIGTSTP)
_, status = os.waitpid(job, os.WUNTRACED)
say('stopped', os.WIFSTOPPED(status), 'moves', moves())
os.tcsetpgrp(0, job)
os.kill(job, signal.SIGCONT)
time.sleep(0.3)
say('moves', moves())
os.kill(job, signal.SIGTERM)
say('ended by', os.waitstatus_to_exitcode(os.waitpid(job, 0)[1]))";

/// The command stops with the program that started it, and goes on with it; its leader does not count as stopped.
fn stopped_from_outside(place: &Place) {
    place.create("led", &[]);
    let mut command = place.command("timeout");
    command.args(["-s", "KILL", &PATIENCE.as_secs().to_string(), "python3", "-c", STOP_AND_CONTINUE]);
    command.arg(place.folder("led").join("upper/beat")).arg(place.program());
    let outcome =
        place.outcome(command.args(["exec", "led", "--", "python3", "-c", &format!("import os, time{BEAT}")]));
    assert_eq!(outcome.stdout, "stopped True moves False\nmoves True\nended by 143\n", "{outcome:?}");
}
