//! Signals to the supervisor.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::Trial;
use crate::place::{Outcome, Place, TIERS};
use crate::steps::plan;
use crate::traces::{held, no_journal, none_left, signal, soon};

pub(crate) const TRIALS: &[Trial] = &[
    ("signals_pass_on", signals_pass_on),
    ("a_deaf_command_is_ended_by_time", deaf),
    ("a_crash_is_told_and_dumps_nothing", crash),
    ("signals_end_a_launch", signals_end_a_launch),
    ("ignored_signals_do_not", ignored_signals_do_not),
    ("signals_at_every_place", signals_at_every_place),
];

/// Forbids core dumps as programs that keep secrets do, which may not undo what forbids them here, and crashes.
const CRASH: &str = "import os, resource, signal
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
print(resource.getrlimit(resource.RLIMIT_CORE), flush=True)
os.kill(os.getpid(), signal.SIGSEGV)";

fn crash(place: &Place) {
    for options in TIERS {
        let mut command = place.command("sh");
        let words = ["-c", "ulimit -c unlimited; exec \"$@\"", "sh"];
        command.args(words).arg(place.program()).arg("run").args(*options).args(["--", "python3", "-c", CRASH]);
        let outcome = place.outcome(&mut command);
        let said = String::from_utf8_lossy(&outcome.stdout);
        // With a size of one byte, the kernel neither writes a file nor starts a program of the host.
        assert_eq!((outcome.status, &*said), (139, "(1, 1)\n"), "{options:?}: {}", outcome.stderr);
        let names: Vec<_> =
            place.snapshot().into_keys().filter(|path| path.to_string_lossy().contains("core")).collect();
        assert!(names.is_empty(), "{options:?}: {names:?}");
    }
}

const SIGNALS: &[(Signal, i32, &str)] =
    &[(Signal::TERM, 143, "TERM"), (Signal::INT, 130, "INT"), (Signal::HUP, 129, "HUP")];

fn spawn(command: &mut std::process::Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("stockade starts")
}

/// Waits for the end and checks what is left.
fn ended(place: &Place, child: Child, what: &str) -> Outcome {
    let pid = child.id();
    let outcome = Outcome::of(child.wait_with_output().expect("an end"));
    none_left(place, pid, what);
    no_journal(place, what);
    outcome
}

fn signals_pass_on(place: &Place) {
    for options in TIERS {
        for &(number, status, name) in SIGNALS {
            let what = format!("{options:?}, {name}");
            let ready = place.workspace().join("ready");
            let child = spawn(&mut place.script(options, "echo > ready; exec sleep 20"));
            assert!(soon(|| ready.exists()), "{what}: it never ran");
            signal(child.id(), number);
            assert_eq!(ended(place, child, &what).status, status, "{what}");
            std::fs::remove_file(&ready).expect("remove");
            // One that handles it decides how it ends.
            let script = format!("trap 'echo got {name}; exit 7' {name}; echo > ready; while :; do sleep 0.05; done");
            let child = spawn(&mut place.script(options, &script));
            assert!(soon(|| ready.exists()), "{what}: it never ran");
            signal(child.id(), number);
            let outcome = ended(place, child, &what);
            assert_eq!(
                (outcome.status, outcome.stdout),
                (7, format!("got {name}\n").into_bytes()),
                "{what}: {}",
                outcome.stderr
            );
            std::fs::remove_file(&ready).expect("remove");
        }
    }
}

fn deaf(place: &Place) {
    for options in TIERS {
        let script = "trap '' TERM INT HUP; echo > ready; while :; do sleep 0.1; done";
        let mut command = place.script(&[options, &["--time", "2s"][..]].concat(), script);
        let started = Instant::now();
        let child = spawn(&mut command);
        let ready = place.workspace().join("ready");
        assert!(soon(|| ready.exists()), "{options:?}: it never ran");
        SIGNALS.iter().for_each(|&(number, _, _)| signal(child.id(), number));
        let outcome = ended(place, child, "a deaf command");
        assert_eq!(outcome.status, 124, "{options:?}: {}", outcome.stderr);
        let took = started.elapsed();
        assert!((Duration::from_millis(1_900)..Duration::from_secs(8)).contains(&took), "{options:?}: {took:?}");
        std::fs::remove_file(&ready).expect("remove");
    }
}

/// While a step is carried out inside, the launch can be ended, and the command does not run.
fn signals_end_a_launch(place: &Place) {
    for options in TIERS {
        let steps = plan(place, options).steps;
        let inside = |step: &usize| steps[*step].operation.side() == stockade_spec::plan::Side::Stage;
        for (turn, step) in (0..steps.len()).filter(inside).step_by(7).enumerate() {
            let (number, status, name) = SIGNALS[turn % SIGNALS.len()];
            let what = format!("{options:?}, {name} at step {step}");
            let mut command = place.script(options, "echo ran > ran");
            let child = spawn(command.env("STOCKADE_FAULT", format!("hold {step}")));
            assert!(soon(|| held().is_some()), "{what}: nothing was held");
            signal(child.id(), number);
            let outcome = ended(place, child, &what);
            assert_eq!(outcome.status, status, "{what}: {}", outcome.stderr);
            assert!(outcome.stderr.contains("before the command was started"), "{what}: {}", outcome.stderr);
            assert!(!place.workspace().join("ran").exists(), "{what}: the command ran");
        }
    }
}

/// `nohup` and the shell's `&` take signals away; they must not come back through the supervisor.
fn ignored_signals_do_not(place: &Place) {
    for options in TIERS {
        let steps = plan(place, options).steps;
        let step = steps.iter().position(|step| step.operation == stockade_spec::plan::Operation::NoNewPrivileges);
        let script = format!("trap '' HUP; exec {} \"$@\"", place.program().display());
        let mut command = place.command("sh");
        command.args(["-c", &script, "sh", "run"]).args(*options).args(["--", "sh", "-c", "echo ran > ran"]);
        let child = spawn(command.env("STOCKADE_FAULT", format!("hold {}", step.expect("a step"))));
        assert!(soon(|| held().is_some()), "nothing was held");
        signal(child.id(), Signal::HUP);
        let outcome = ended(place, child, "an ignored signal");
        assert_eq!(outcome.status, 0, "{options:?}: {}", outcome.stderr);
        std::fs::remove_file(place.workspace().join("ran")).expect("it ran");
    }
}

/// Wherever the supervisor is: it ends soon, by the signal or with the command's own status, and leaves nothing.
fn signals_at_every_place(place: &Place) {
    let options = TIERS[0];
    for number in 0..40 {
        let what = format!("{options:?}, place {number}");
        let mut command = place.script(options, "exec sleep 0.1");
        let child = spawn(command.env("STOCKADE_FAULT", format!("stop {number}")));
        let mut child = child;
        if !soon(|| held() == Some(child.id()) || child.try_wait().expect("a status").is_some()) {
            panic!("{what}: neither held nor ended");
        }
        if child.try_wait().expect("a status").is_some() {
            assert!(number > 10, "{what}: there are more places than that");
            return;
        }
        signal(child.id(), Signal::TERM);
        let pid = child.id();
        let outcome = Outcome::of(child.wait_with_output().expect("an end"));
        none_left(place, pid, &what);
        // Before signals are blocked they have their usual effect: the supervisor ends, and leaves what SIGKILL leaves.
        let expected = [0, 143, 1_015];
        assert!(expected.contains(&outcome.status), "{what}: {} {}", outcome.status, outcome.stderr);
        assert_eq!(place.outcome(&mut place.stockade(["run", "--", "true"])).status, 0, "{what}");
        no_journal(place, &what);
    }
    panic!("there are fewer places than that");
}
