//! `cargo xtask test`: everything that has to hold before a change is kept, in one run, with a line for each step.
//!
//! What a step prints goes to `target/ci/STEP.log`; of a step that failed, the end is shown. Nothing is installed: what
//! is missing is named, with the command that would install it, before anything runs.

mod counts;
mod needs;
mod step;

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use counts::Counts;
use step::{STEPS, Step};

/// How it is used.
pub(crate) const USAGE: &str = "\
  test [STEP]...
        pass all tests, or the named steps; --list names them, --without STEP leaves one out
";

/// What stops it.
type Failure = Box<dyn Error>;

/// Runs with the arguments that follow its name.
#[expect(clippy::print_stdout, reason = "the result is what it is run for")]
pub(crate) fn run(arguments: &[&str]) -> Result<(), Failure> {
    if arguments == ["--list"] {
        STEPS.iter().for_each(|step| println!("{:12} {}", step.name, step.about));
        return Ok(());
    }
    let steps = chosen(arguments)?;
    let missing = needs::missing(steps.iter().flat_map(|step| step.needs))?;
    if let Some(remedy) = missing {
        return Err(remedy.into());
    }
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("xtask lies in no repository")?;
    let place = Place { repository, target: target_directory()? };
    let mut total = Counts::default();
    for step in steps {
        let start = Instant::now();
        let (counts, tail) = step::run(step, &place)?;
        let word = if counts.failed == 0 { "ok    " } else { "FAILED" };
        println!("{word} {:12} {counts} ({:.0} s)", step.name, start.elapsed().as_secs_f64());
        counts.not_run.iter().for_each(|line| println!("       {line}"));
        if let Some(tail) = tail {
            println!("{tail}");
        }
        total.add(counts);
    }
    if !total.not_run.is_empty() {
        println!("\nNot run ({}):", total.not_run.len());
        total.not_run.iter().for_each(|line| println!("  {line}"));
    }
    println!("\n{} passed, {} failed", total.passed, total.failed);
    if total.failed == 0 { Ok(()) } else { Err("not everything passed".into()) }
}

/// Where steps run.
#[derive(Debug)]
struct Place<'r> {
    repository: &'r Path,
    target: PathBuf,
}

/// The steps that the arguments ask for, in their own order.
fn chosen(arguments: &[&str]) -> Result<Vec<&'static Step>, Failure> {
    let (mut wanted, mut unwanted) = (BTreeSet::new(), BTreeSet::new());
    let mut rest = arguments.iter();
    while let Some(&argument) = rest.next() {
        match argument {
            "--without" => unwanted.insert(known(rest.next().ok_or("--without needs the name of a step")?)?),
            name => wanted.insert(known(name)?),
        };
    }
    let takes = |step: &&Step| (wanted.is_empty() || wanted.contains(step.name)) && !unwanted.contains(step.name);
    Ok(STEPS.iter().filter(takes).collect())
}

fn known(name: &str) -> Result<&'static str, Failure> {
    let step = STEPS.iter().find(|step| step.name == name);
    Ok(step.ok_or_else(|| format!("no step is called {name:?}; `cargo xtask test --list` names them"))?.name)
}

/// The target directory that this program was built in.
fn target_directory() -> Result<PathBuf, Failure> {
    // This program lies in TARGET/debug, or in TARGET/release.
    let own = std::env::current_exe()?;
    Ok(own.parent().and_then(Path::parent).ok_or("this program lies in no target directory")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_chosen_by_name_and_keep_their_order() {
        let names =
            |arguments: &[&str]| chosen(arguments).map(|steps| steps.iter().map(|step| step.name).collect::<Vec<_>>());
        assert_eq!(names(&["lint", "format"]).expect("known steps"), ["format", "lint"]);
        assert_eq!(names(&[]).expect("all").len(), STEPS.len());
        assert_eq!(names(&["--without", "format"]).expect("all but one").len(), STEPS.len() - 1);
        assert!(names(&["no-such-step"]).is_err());
        assert!(names(&["--without"]).is_err());
    }
}
