//! Commands that stop and go on.

use std::os::unix::process::CommandExt;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::Trial;
use crate::place::{LANDLOCK, Outcome, Place, TIERS};
use crate::traces::{none_left, signal, soon};

pub(crate) const TRIALS: &[Trial] = &[
    ("a_command_that_stops_itself_is_ended_by_time", stops_itself),
    ("stops_when_told", stops_when_told),
    ("stops_as_a_job_of_a_shell", stops_as_a_job),
    ("what_continues_itself_is_held_or_ended_by_time", continues_itself),
];

/// Writes down, for ten seconds, that it runs.
const TICK: &str = "(n=0; while [ $n -lt 200 ]; do echo >> ticks; sleep 0.05; n=$((n+1)); done) &";

/// What stops itself does not stop who keeps its limits.
fn stops_itself(place: &Place) {
    // Natively nobody ends it.
    let mut native = place.command("sh").args(["-c", "kill -STOP $$"]).spawn().expect("a start");
    assert!(soon(|| state(native.id()) == 'T'), "it does not stop natively");
    native.kill().expect("SIGKILL");
    native.wait().expect("an end");
    for options in TIERS {
        let started = Instant::now();
        let mut command =
            place.script(&[options, &["--time", "1s"][..]].concat(), "sleep 60 & kill -STOP $$; echo went on");
        let outcome = place.outcome(&mut command);
        assert_eq!((outcome.status, &*outcome.stdout), (124, &b""[..]), "{options:?}: {}", outcome.stderr);
        assert!(started.elapsed() < Duration::from_secs(8), "{options:?}: {:?}", started.elapsed());
    }
}

/// SIGTSTP stops everything inside, then the supervisor; SIGCONT lets all of it go on.
fn stops_when_told(place: &Place) {
    for options in TIERS {
        // A process group of its own, in this session: somebody outside of it can continue it, so that it can be stopped.
        let mut command = place.script(options, &format!("{TICK} until [ -e go ]; do sleep 0.05; done"));
        let child = command.process_group(0).spawn().expect("a start");
        let before = stopped(place, &child, options);
        assert_eq!(ticks(place), before, "{options:?}: something runs on");
        signal(child.id(), Signal::CONT);
        assert!(soon(|| ticks(place) > before), "{options:?}: nothing goes on");
        place.file("home/project/go", "");
        let pid = child.id();
        let outcome = Outcome::of(child.wait_with_output().expect("an end"));
        assert_eq!(outcome.status, 0, "{options:?}: {}", outcome.stderr);
        none_left(place, pid, "a job");
        for name in ["go", "ticks"] {
            std::fs::remove_file(place.workspace().join(name)).expect("removed");
        }
    }
}

/// Has SIGCONT sent to itself by the kernel every 5 ms, and writes down, for ten seconds, that it runs.
const CONTINUER: &str = "import ctypes, os, signal, struct, time
libc = ctypes.CDLL(None, use_errno=True)
signal.signal(signal.SIGCONT, lambda *_: None)
event = struct.pack('qii', 0, signal.SIGCONT, 0) + bytes(48)
timer = ctypes.c_void_p()
assert libc.timer_create(1, event, ctypes.byref(timer)) == 0
each = struct.pack('qqqq', 0, 5000000, 0, 5000000)
assert libc.timer_settime(timer, 0, each, None) == 0
end = time.monotonic() + 10
while time.monotonic() < end:
    with open('ticks', 'a') as ticks: ticks.write('x')
    time.sleep(0.02)";

/// No signal stops it for long. It is held in another way, where there is one, and its time ends in any case.
fn continues_itself(place: &Place) {
    for options in TIERS {
        let mut command = place.stockade(["run", "--time", "5s"]);
        command.args(*options).args(["--", "python3", "-c", CONTINUER]);
        let started = Instant::now();
        let mut child = command.process_group(0).stderr(std::process::Stdio::null()).spawn().expect("a start");
        let before = stopped(place, &child, options);
        assert!(*options == LANDLOCK || ticks(place) == before, "{options:?}: it runs on");
        assert_eq!(child.wait().expect("an end").code(), Some(124), "{options:?}");
        assert!(started.elapsed() < Duration::from_secs(9), "{options:?}: {:?}", started.elapsed());
        std::fs::remove_file(place.workspace().join("ticks")).expect("removed");
    }
}

/// Ctrl-Z on the command's pseudo-terminal, and `fg`.
fn stops_as_a_job(place: &Place) {
    for options in TIERS {
        let ticks = place.workspace().join("ticks");
        let mut command = place.command("python3");
        command.args(["-c", include_str!("jobs.py")]).arg(&ticks).arg(place.program()).arg("run").args(*options);
        let outcome = place.outcome(command.args([
            "--",
            "sh",
            "-c",
            &format!("{TICK} until [ -s ticks ]; do sleep 0.05; done; echo ready; read line; exit 7"),
        ]));
        let said = String::from_utf8_lossy(&outcome.stdout);
        for line in [
            "stopped: terminal as before",
            "meanwhile: nothing ran",
            "continued: it runs",
            &format!("ended: {}", 7 << 8),
        ] {
            assert!(said.contains(line), "{options:?}: no '{line}' in {said:?}, {}", outcome.stderr);
        }
        std::fs::remove_file(&ticks).expect("removed");
    }
}

/// Stops a run that ticks. How much it had ticked, half a second ago.
fn stopped(place: &Place, child: &Child, options: &[&str]) -> u64 {
    assert!(soon(|| ticks(place) > 0), "{options:?}: it never ran");
    signal(child.id(), Signal::TSTP);
    assert!(soon(|| state(child.id()) == 'T'), "{options:?}: {}", state(child.id()));
    std::thread::sleep(Duration::from_millis(200));
    let before = ticks(place);
    std::thread::sleep(Duration::from_millis(500));
    before
}

fn ticks(place: &Place) -> u64 {
    std::fs::metadata(place.workspace().join("ticks")).map_or(0, |found| found.len())
}

/// The state of a process, as a letter (`proc_pid_stat(5)`).
fn state(pid: u32) -> char {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let after = text.rsplit_once(") ").expect("a name").1;
    after.chars().next().expect("a state")
}
