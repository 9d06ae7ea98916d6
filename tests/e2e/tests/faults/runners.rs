//! Processes that run away from whoever ends them: each lives for as long as it takes to start the next.

use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, SystemTime};

use crate::Trial;
use crate::place::{Outcome, Place, TIERS};
use crate::traces::{none_left, soon};

pub(crate) const TRIALS: &[Trial] = &[("runners_end_with_their_time", end_with_their_time)];

/// The program, in the workspace; `None` where there is no compiler for it.
fn compile(place: &Place) -> Option<PathBuf> {
    let source = place.file("home/project/runners.c", include_str!("runners.c"));
    let program = place.workspace().join("runners");
    let mut compiler = place.command("cc");
    // Small, so that a copy of it takes the kernel least.
    compiler.args(["-O2", "-static", "-o"]).args([&program, &source]);
    compiler.status().is_ok_and(|status| status.success()).then_some(program)
}

/// When something was last alive, in seconds since 1970.
fn heart(place: &Place) -> f64 {
    let text = std::fs::read_to_string(place.workspace().join("heart")).unwrap_or_default();
    text.parse().unwrap_or_default()
}

fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time").as_secs_f64()
}

fn end_with_their_time(place: &Place) {
    let Some(program) = compile(place) else {
        println!("not run: needs a C compiler");
        return;
    };
    // Natively they outlive whoever started them. They take their time, since what ends waits for this process to reap it.
    let mut native = place.command(&program).args(["heart", "1.5", "5000"]).spawn().expect("a start");
    assert!(soon(|| heart(place) > 0.0), "they never ran");
    end(&mut native);
    std::thread::sleep(Duration::from_millis(300));
    assert!(now() - heart(place) < 0.2, "natively they ended");
    assert!(soon(|| now() - heart(place) > 0.5), "they never end");
    for options in TIERS {
        let mut command = place.stockade(["run", "--time", "2s"]);
        command.args(*options).arg("--").arg(&program).args(["heart", "12", "0"]);
        let child = command.stderr(std::process::Stdio::piped()).spawn().expect("a start");
        let (pid, started) = (child.id(), now());
        let outcome = Outcome::of(child.wait_with_output().expect("an end"));
        let ended = now();
        assert!(heart(place) > started, "{options:?}: they never ran");
        assert_eq!(outcome.status, 124, "{options:?}: {}", outcome.stderr);
        std::thread::sleep(Duration::from_millis(500));
        assert!(heart(place) <= ended, "{options:?}: alive {} s after the end", heart(place) - ended);
        none_left(place, pid, "runners");
    }
}

fn end(child: &mut Child) {
    child.kill().expect("SIGKILL");
    child.wait().expect("an end");
}
