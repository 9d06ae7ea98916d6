//! `cargo xtask fuzz`: every fuzz target for a while, from the seeds that are kept with it.

use std::error::Error;
use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How it is used.
pub(crate) const USAGE: &str = "\
  fuzz [--seconds N] [TARGET]...
        run fuzz targets (all of them, a minute each, unless told otherwise), one on each processor at a time; needs
        cargo-fuzz
";

/// What stops it.
type Failure = Box<dyn Error>;

/// Runs with the arguments that follow its name.
#[expect(clippy::print_stdout, reason = "the result is what it is run for")]
pub(crate) fn run(arguments: &[&str]) -> Result<(), Failure> {
    let (seconds, named) = match arguments {
        ["--seconds", seconds, rest @ ..] => {
            (seconds.parse::<u32>().map_err(|_| format!("--seconds needs a number, not {seconds:?}"))?, rest)
        }
        rest => (60, rest),
    };
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("fuzz");
    let all = targets(&directory.join("fuzz_targets"))?;
    let chosen: Vec<&String> = all.iter().filter(|name| named.is_empty() || named.contains(&name.as_str())).collect();
    if chosen.is_empty() {
        return Err(format!("no such fuzz target; there are {}", all.join(", ")).into());
    }
    let outcomes = side_by_side(&chosen, |target| fuzz(&directory, target, seconds));
    let mut passed = 0;
    for (target, outcome) in chosen.iter().zip(&outcomes) {
        let words = match outcome {
            Ok(true) => "no finding",
            Ok(false) => "FAILED",
            Err(error) => error,
        };
        println!("{target}: {words}");
        passed += usize::from(*outcome == Ok(true));
    }
    let failed = outcomes.len() - passed;
    println!("{passed} passed, {failed} failed");
    if failed == 0 { Ok(()) } else { Err(format!("{failed} fuzz targets failed").into()) }
}

/// Does something with each, as many at a time as there are processors, and gives what came of it in their order.
fn side_by_side<T: Sync, R: Send>(all: &[T], act: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(one) = all.get(at) else { return done };
            done.push((at, act(one)));
        }
    };
    let mut done: Vec<(usize, R)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker that does not panic")).collect()
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// The targets, by the files that hold them.
fn targets(directory: &Path) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// Whether a target found nothing.
fn fuzz(directory: &Path, target: &str, seconds: u32) -> Result<bool, String> {
    let corpus = directory.join("corpus").join(target);
    let seeds = directory.join("seeds").join(target);
    fs::create_dir_all(&corpus).map_err(|error| format!("cannot make {}: {error}", corpus.display()))?;
    if !seeds.is_dir() {
        return Err(format!("{target} has no seeds in {}", seeds.display()));
    }
    let mut command = Command::new("cargo-fuzz");
    // No code that the targets reach is unsafe, so the address sanitizer would find nothing that a panic does not; without it
    // a stable compiler does.
    command
        .args(["fuzz", "run", "--sanitizer", "none", "--fuzz-dir"])
        .arg(directory)
        .arg(target)
        .arg(corpus)
        .arg(seeds);
    command.args(["--", &format!("-max_total_time={seconds}"), "-max_len=4096", "-timeout=5", "-print_final_stats=1"]);
    // The instrumented build has a directory of its own; the caller's would be rebuilt by turns.
    command.env("CARGO_TARGET_DIR", directory.join("target")).stdin(Stdio::null());
    Ok(command.status().map_err(|error| format!("cannot run cargo-fuzz: {error}"))?.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_done_once_and_in_its_place() {
        let all: Vec<usize> = (0..100).collect();
        assert_eq!(side_by_side(&all, |one| one * 2), all.iter().map(|one| one * 2).collect::<Vec<_>>());
        assert!(side_by_side(&[0; 0], |one| *one).is_empty());
    }
}
