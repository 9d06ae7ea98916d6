//! `cargo xtask fuzz`: every fuzz target for a while, from the seeds that are kept with it.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// How it is used.
pub(crate) const USAGE: &str = "\
  fuzz [--seconds N] [TARGET]...
        run fuzz targets (all of them, a minute each, unless told otherwise); needs cargo-fuzz
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
    let (mut passed, mut failed) = (0, 0);
    for target in chosen {
        let succeeded = fuzz(&directory, target, seconds)?;
        println!("{target}: {}", if succeeded { "no finding" } else { "FAILED" });
        *(if succeeded { &mut passed } else { &mut failed }) += 1;
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { Ok(()) } else { Err(format!("{failed} fuzz targets failed").into()) }
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

fn fuzz(directory: &Path, target: &str, seconds: u32) -> Result<bool, Failure> {
    let corpus = directory.join("corpus").join(target);
    let seeds = directory.join("seeds").join(target);
    fs::create_dir_all(&corpus)?;
    if !seeds.is_dir() {
        return Err(format!("{target} has no seeds in {}", seeds.display()).into());
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
