//! `cargo xtask machines`: boots Debian kernels in emulated machines and runs the suites there.
//!
//! What Stockade can enforce depends on the kernel and on how the machine is set up, and the machine that it is
//! developed on is only one of many. Each file `tests/machines/*.json` describes another: a kernel of Debian's, the
//! settings under which it runs, and the facts that `stockade doctor` must find there. A fact that differs is a
//! failure, so no machine can pass because something was silently missing.
//!
//! A machine is `qemu-system-x86_64` in software emulation, so it runs where there is no KVM. Its kernel comes from the
//! Debian archive that this machine's own apt is configured with, and its root file system is made of this machine's
//! programs (`tests/machines/guest/programs.txt`). Nothing is installed here; everything is kept below
//! `target/machines`.

mod apt;
mod boot;
mod cpio;
mod description;
mod disk;
mod kernel;
mod options;
mod programs;
mod suite;
mod transcript;
mod verdict;

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use boot::Guest;
use kernel::Kernel;
use options::Options;

/// How it is used.
pub(crate) const USAGE: &str = "\
  machines [--only NAME] [--stockade FILE] [--attack NAME] [--time SECONDS]
        boot each machine of tests/machines in qemu, compare what `stockade doctor` finds there with what is expected,
        and run the suites there; --only and --attack are repeatable
";

/// What stops it.
type Failure = Box<dyn Error>;

/// Runs with the arguments that follow its name.
#[expect(clippy::print_stdout, reason = "the result is what it is run for")]
pub(crate) fn run(arguments: &[&str]) -> Result<(), Failure> {
    let options = Options::parse(arguments)?;
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("xtask lies in no repository")?;
    let descriptions = repository.join("tests/machines");
    let suites = suite::prepare(&descriptions, &options.attacks)?;
    let machines = description::read_all(&descriptions, &options.only, &suites)?;
    let own = target_directory()?.join("machines");
    let stockade = match &options.stockade {
        Some(program) => program.clone(),
        None => build()?,
    };
    let disk = disk::make(&own, &descriptions.join("guest"), &stockade, &suites)?;
    let mut guests = Vec::new();
    for machine in &machines {
        // One after the other, since several machines have the same.
        let kernel = Kernel::fetch(&own.join("kernels"), &machine.kernel)?;
        let directory = own.join(&machine.name);
        guests.push(Guest { kernel, disk: &disk, machine, suites: &suites, time: options.time, directory });
    }
    let failed = in_parallel(&guests, |guest| {
        let (expected, text) = report(guest);
        println!("{text}");
        expected
    });
    if failed == 0 { Ok(()) } else { Err(format!("{failed} of {} machines failed", machines.len()).into()) }
}

/// Runs the guests, as many at a time as there are processors, and counts those that failed.
fn in_parallel(guests: &[Guest<'_>], run: impl Fn(&Guest<'_>) -> bool + Sync) -> usize {
    let at_once = thread::available_parallelism().map_or(1, usize::from).min(guests.len());
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(guest) = guests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    failed.fetch_add(usize::from(!run(guest)), Ordering::Relaxed);
                }
            });
        }
    });
    failed.into_inner()
}

/// Runs one guest; whether all was as expected, and what there is to say.
fn report(guest: &Guest<'_>) -> (bool, String) {
    let machine = guest.machine;
    let start = Instant::now();
    let (steps, problems) = match guest.run() {
        Ok(transcript) => (verdict::summary(&transcript), verdict::judge(machine, &transcript)),
        Err(error) => (Vec::new(), vec![error.to_string()]),
    };
    let mut text = format!("{}: {}\n", machine.name, machine.about);
    let problems_shown =
        problems.iter().map(|problem| format!("FAILED: {}", problem.trim_end().replace('\n', "\n    ")));
    for line in steps.into_iter().chain(problems_shown) {
        writeln!(text, "  {line}").expect("writing to a string cannot fail");
    }
    let word = if problems.is_empty() { "as expected" } else { "not as expected" };
    let seconds = start.elapsed().as_secs_f64();
    write!(text, "  {word}, {seconds:.1} s; its output is in {}", guest.directory.display())
        .expect("writing to a string cannot fail");
    (problems.is_empty(), text)
}

/// The target directory that this program was built in.
fn target_directory() -> Result<PathBuf, Failure> {
    // This program lies in TARGET/debug, or in TARGET/release.
    let own = std::env::current_exe()?;
    Ok(own.parent().and_then(Path::parent).ok_or("this program lies in no target directory")?.to_owned())
}

/// Builds what is shipped, which is also faster: emulated, an unoptimised build takes a second for each sandbox.
fn build() -> Result<PathBuf, Failure> {
    output_of(cargo().args(["build", "--release", "--quiet", "--package", "stockade-cli"]))?;
    Ok(target_directory()?.join("release/stockade"))
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a program to its end and returns its standard output; anything but success is an error that quotes what it
/// printed.
fn output_of(command: &mut Command) -> Result<Vec<u8>, Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    // Programs of the system's administrator are not in the search path of everyone.
    let path = std::env::var("PATH").unwrap_or_default();
    let output = command
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .env("LC_ALL", "C")
        .output()
        .map_err(|error| format!("cannot run `{name}`: {error} (is its Debian package installed?)"))?;
    if !output.status.success() {
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        return Err(format!("`{name}` failed with {}:\n{stdout}{stderr}", output.status).into());
    }
    Ok(output.stdout)
}
