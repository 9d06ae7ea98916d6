//! Checkpoints, restores and forks on a large workspace, beside copying it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use stockade::sandbox::Sandbox;

use super::{Bench, median, run, timed, tree};
use crate::bench::Failure;
use crate::bench::place::Place;

/// How often each is measured.
const ROUNDS: usize = 15;
/// Mebibytes that are written before a checkpoint whose time should follow them.
const WRITTEN: [usize; 3] = [4, 32, 128];

/// Measures and prints a table.
#[expect(clippy::print_stdout, reason = "the table is what the benchmark is for")]
pub(super) fn measure(place: &Place, bench: &Bench) -> Result<Value, Failure> {
    let workspace = place.workspace.with_file_name("large");
    fs::create_dir(&workspace)?;
    tree::make(&workspace)?;
    let mut sandbox = bench.create("versions", &workspace, Duration::from_secs(600))?;
    println!("### A workspace of 100,000 files and 5 GB, one file changed between, {ROUNDS} rounds\n");
    println!("| | median |\n|---|---|");
    let mut raw = serde_json::Map::new();
    let mut tell = |what: &str, time: Duration| {
        println!("| {what} | {time:.2?} |");
        raw.insert(what.to_owned(), json!(time.as_micros()));
    };
    for (what, time) in stopped(bench, &mut sandbox, &workspace)? {
        tell(what, time);
    }
    tell("checkpoint while a program runs", running(&mut sandbox, &workspace)?);
    for megabytes in WRITTEN {
        let write = format!("dd if=/dev/urandom of=new-{megabytes} bs=1M count={megabytes} status=none");
        run(&sandbox, &["sh", "-c", &write])?;
        let (took, _) = timed(|| Ok(sandbox.checkpoint(None)?))?;
        tell(&format!("the same with {megabytes} MiB written"), took);
    }
    sandbox.stop()?;
    for (what, time) in copies(&workspace)? {
        tell(what, time);
    }
    println!();
    fs::remove_dir_all(&workspace)?;
    Ok(raw.into())
}

/// When nothing runs.
fn stopped(bench: &Bench, sandbox: &mut Sandbox, workspace: &Path) -> Result<[(&'static str, Duration); 3], Failure> {
    let (mut checkpoint, mut restore, mut fork) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        change(sandbox, workspace, round)?;
        sandbox.stop()?;
        let (took, taken) = timed(|| Ok(sandbox.checkpoint(None)?))?;
        checkpoint.push(took);
        let name = format!("fork-{round}");
        fork.push(timed(|| Ok(bench.all.fork("versions", Some(&taken.name), Some(&name))?))?.0);
        bench.all.remove(&name, false)?;
        change(sandbox, workspace, ROUNDS + round)?;
        sandbox.stop()?;
        restore.push(timed(|| Ok(sandbox.restore(&taken.name)?))?.0);
    }
    Ok([("checkpoint", median(checkpoint)), ("restore", median(restore)), ("fork", median(fork))])
}

/// While a program runs.
fn running(sandbox: &mut Sandbox, workspace: &Path) -> Result<Duration, Failure> {
    run(sandbox, &["sh", "-c", "sleep 600 >/dev/null 2>&1 </dev/null &"])?;
    let mut checkpoint = Vec::new();
    for round in 0..ROUNDS {
        change(sandbox, workspace, round)?;
        checkpoint.push(timed(|| Ok(sandbox.checkpoint(None)?))?.0);
    }
    Ok(median(checkpoint))
}

fn change(sandbox: &Sandbox, workspace: &Path, number: usize) -> Result<(), Failure> {
    let file = tree::file(workspace, number);
    run(sandbox, &["sh", "-c", "echo changed >> \"$1\"", "sh", &file.to_string_lossy()])
}

/// The same by other means.
fn copies(workspace: &Path) -> Result<Vec<(&'static str, Duration)>, Failure> {
    let copy = workspace.with_file_name("copy");
    let (took, ()) = timed(|| succeeded(Command::new("cp").arg("-a").arg(workspace).arg(&copy)))?;
    fs::remove_dir_all(&copy)?;
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=bench", "-c", "user.email=bench@example.org", "-c", "gc.auto=0"];
        succeeded(Command::new("git").current_dir(workspace).args(identity).args(arguments))
    };
    fs::write(workspace.join(".gitignore"), "sparse\n")?;
    git(&["init", "--quiet"])?;
    git(&["add", "--all"])?;
    git(&["commit", "--quiet", "--message", "all"])?;
    fs::write(tree::file(workspace, 1), "changed")?;
    let (stash, ()) = timed(|| git(&["stash", "push", "--quiet"]))?;
    Ok(vec![("`cp -a`", took), ("`git stash push`, without the sparse file", stash)])
}

fn succeeded(command: &mut Command) -> Result<(), Failure> {
    if command.status()?.success() { Ok(()) } else { Err(format!("{command:?} failed").into()) }
}
