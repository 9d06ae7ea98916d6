//! The supervisor is ended by SIGKILL: at every step, at every place on its own way, and at random moments. Nothing stays
//! but its journal, and what was planted meanwhile is put away by the next start.

use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;

use crate::Trial;
use crate::place::{Place, TIERS};
use crate::steps::plan;
use crate::traces::{entries, held, no_journal, none_left, signal, soon};

pub(crate) const TRIALS: &[Trial] = &[
    ("killed_at_every_step", killed_at_every_step),
    ("killed_at_every_place", killed_at_every_place),
    ("killed_at_random", killed_at_random),
    ("killed_with_its_group", killed_with_its_group),
];

/// Plants what the host's tools would execute, and writes what has to stay.
const PLANT: &str = "echo kept > notes; echo evil > .envrc; mkdir -p .husky; echo evil > .husky/pre-commit; echo > ready; sleep 20 & wait";

fn start(place: &Place, options: &[&str], fault: &str, script: &str) -> Child {
    let mut command = place.script(options, script);
    command.stdout(Stdio::null()).stderr(Stdio::null()).env("STOCKADE_FAULT", fault);
    if fault.is_empty() {
        command.env_remove("STOCKADE_FAULT");
    }
    command.spawn().expect("stockade starts")
}

/// Kills a supervisor and checks what it left.
fn kill(place: &Place, mut child: Child, what: &str) {
    let pid = child.id();
    child.kill().expect("SIGKILL");
    child.wait().expect("an end");
    none_left(place, pid, what);
}

/// The next start: works, and has put away what was planted; what the command wrote otherwise is still there.
fn next_start(place: &Place, what: &str) {
    let outcome = place.outcome(&mut place.stockade(["run", "--", "true"]));
    assert_eq!(outcome.status, 0, "{what}: {}", outcome.stderr);
    no_journal(place, what);
    for planted in [".envrc", ".husky/pre-commit"] {
        assert!(!place.workspace().join(planted).exists(), "{what}: {planted} is still there");
    }
    assert!(place.workspace().join("README").exists(), "{what}: the workspace lost a file");
}

fn killed_at_every_step(place: &Place) {
    for options in TIERS {
        for step in 0..plan(place, options).steps.len() {
            let what = format!("{options:?}, step {step}");
            let child = start(place, options, &format!("hold {step}"), "echo ran > ran");
            assert!(soon(|| held().is_some()), "{what}: nothing was held");
            kill(place, child, &what);
            assert!(!place.workspace().join("ran").exists(), "{what}: the command ran without a supervisor");
        }
        next_start(place, "after every step");
    }
}

fn killed_at_every_place(place: &Place) {
    for options in TIERS {
        for number in 0.. {
            let what = format!("{options:?}, place {number}");
            let mut child =
                start(place, options, &format!("kill {number}"), "echo kept > notes; echo evil > .envrc; true");
            let pid = child.id();
            let status = child.wait().expect("an end");
            none_left(place, pid, &what);
            next_start(place, &what);
            if status.success() {
                assert!(number > 10, "{what}: there are more places than that");
                break;
            }
            assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{what}: {status}");
        }
        assert_eq!(std::fs::read_to_string(place.workspace().join("notes")).expect("notes"), "kept\n");
    }
}

fn killed_at_random(place: &Place) {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| u64::from(now.subsec_nanos()) | 1);
    let mut random = seed;
    let load = Load::start();
    for round in 0..200 {
        // A linear congruential generator (Knuth): any spread of moments will do.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let micros = (random >> 33) % 60_000;
        let options = TIERS[round % TIERS.len()];
        let what = format!("seed {seed}, round {round}, {options:?}, after {micros} us");
        let child = start(place, options, "", PLANT);
        sleep(Duration::from_micros(micros));
        kill(place, child, &what);
        if round % 10 == 9 {
            next_start(place, &what);
        }
    }
    drop(load);
    next_start(place, "after all");
    let quarantined = entries(&place.path("home/.local/state/stockade/quarantine"));
    assert!(!quarantined.is_empty(), "seed {seed}: nothing was ever planted, so the moments were all too early");
}

/// Half a processor's worth of work, in bursts, until it is dropped.
struct Load(Arc<AtomicBool>);

impl Load {
    fn start() -> Self {
        let busy = Arc::new(AtomicBool::new(true));
        let load = Self(Arc::clone(&busy));
        std::thread::spawn(move || {
            while busy.load(Ordering::Relaxed) {
                let until = Instant::now() + Duration::from_millis(5);
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
                sleep(Duration::from_millis(5));
            }
        });
        load
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

fn killed_with_its_group(place: &Place) {
    use std::os::unix::process::CommandExt;
    for options in TIERS {
        drop(std::fs::remove_file(place.workspace().join("ready")));
        let mut command = place.script(options, PLANT);
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn().expect("stockade starts");
        assert!(soon(|| place.workspace().join("ready").exists()), "{options:?}: it never ran");
        let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
        rustix::process::kill_process_group(group, Signal::KILL).expect("SIGKILL");
        child.wait().expect("an end");
        none_left(place, child.id(), "its whole group was killed");
        next_start(place, "its whole group was killed");
        // A supervisor that is stopped, and killed then.
        std::fs::remove_file(place.workspace().join("ready")).expect("remove");
        let child = start(place, options, "", PLANT);
        assert!(soon(|| place.workspace().join("ready").exists()), "{options:?}: it never ran");
        signal(child.id(), Signal::STOP);
        kill(place, child, "it was stopped and killed");
        next_start(place, "it was stopped and killed");
    }
}
