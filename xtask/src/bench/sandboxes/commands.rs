//! A command in a sandbox that runs, beside the same command without one; and making a sandbox, beside `stockade run`.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Bench, median, run, timed};
use crate::bench::Failure;
use crate::bench::contestant::Contestant;
use crate::bench::place::Place;
use crate::bench::samples::ratio;

const PROGRAM: &str = "/bin/true";

/// Measures and prints a table.
#[expect(clippy::print_stdout, reason = "the table is what the benchmark is for")]
pub(super) fn measure(place: &Place, bench: &Bench, rounds: usize) -> Result<Value, Failure> {
    let sandbox = bench.create("commands", &place.workspace, Duration::from_secs(30))?;
    sandbox.start()?;
    run(&sandbox, &[PROGRAM])?;
    let (mut plain, mut inside) = (Vec::new(), Vec::new());
    let (mut whole_run, mut creation, mut whole_creation) = (Vec::new(), Vec::new(), Vec::new());
    let native = Contestant::stockade(place);
    for round in 0..rounds {
        plain.push(timed(plain_command)?.0);
        inside.push(timed(|| run(&sandbox, &[PROGRAM]))?.0);
        let name = format!("made-{round}");
        let (took, made) = timed(|| bench.create(&name, &place.workspace, Duration::ZERO))?;
        creation.push(took);
        whole_run.push(native.time(&["true"])?);
        whole_creation.push(timed(|| create_by_program(place, round))?.0);
        drop(made);
        bench.all.remove(&name, false)?;
    }
    sandbox.stop()?;
    let [plain, inside, creation, whole_run, whole_creation] =
        [plain, inside, creation, whole_run, whole_creation].map(median);
    println!("### Commands in a sandbox that runs, {rounds} rounds\n\n| | median | |\n|---|---|---|");
    println!("| fork and exec of `true` | {plain:.2?} | 1.00x |");
    println!("| `Sandbox::exec` of `true` | {inside:.2?} | {:.2}x |", ratio(inside, plain));
    println!("| `Sandboxes::create` | {creation:.2?} | |");
    println!("| `stockade run -- true`, whole process | {whole_run:.2?} | 1.00x |");
    println!(
        "| `stockade create`, whole process | {whole_creation:.2?} | {:.2}x |\n",
        ratio(whole_creation, whole_run)
    );
    let micros = |time: Duration| time.as_micros();
    Ok(json!({
        "plain": micros(plain), "exec": micros(inside), "create": micros(creation), "run": micros(whole_run),
        "create_by_program": micros(whole_creation),
    }))
}

fn plain_command() -> Result<(), Failure> {
    let status = Command::new(PROGRAM).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err("`true` failed".into()) }
}

fn create_by_program(place: &Place, round: usize) -> Result<(), Failure> {
    let mut command = Contestant::stockade(place).program(&["create", "--name", &format!("program-{round}")]);
    let output = command.output()?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned().into()) }
}
