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
mod transcript;
mod verdict;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use boot::Guest;
use description::Machine;
use kernel::Kernel;
use options::Options;

/// How it is used.
pub(crate) const USAGE: &str = "\
  machines [--only NAME] [--stockade FILE] [--suite FILE] [--time SECONDS]
        boot each machine of tests/machines in qemu, compare what `stockade doctor` finds there with what is expected,
        and run the suites there; --only and --suite are repeatable, and a suite is a program of the same architecture
        whose last line is `N passed, N failed`
";

/// What stops it.
type Failure = Box<dyn Error>;

/// Runs with the arguments that follow its name.
pub(crate) fn run(arguments: &[&str]) -> Result<(), Failure> {
    let options = Options::parse(arguments)?;
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("xtask lies in no repository")?;
    let descriptions = repository.join("tests/machines");
    let machines = description::read_all(&descriptions, &options.only)?;
    let own = target_directory()?.join("machines");
    let stockade = match &options.stockade {
        Some(program) => program.clone(),
        None => build()?,
    };
    let mut suites = vec![descriptions.join("smoke.sh")];
    suites.extend(options.suites.iter().cloned());
    let disk = disk::make(&own, &descriptions.join("guest"), &stockade, &suites)?;
    let mut failed = Vec::new();
    for machine in &machines {
        let kernel = Kernel::fetch(&own.join("kernels"), &machine.kernel)?;
        let guest = Guest { kernel: &kernel, disk: &disk, machine, suites: &suites, time: options.time };
        if !report(machine, &own.join(&machine.name), &guest)? {
            failed.push(machine.name.as_str());
        }
    }
    match failed[..] {
        [] => Ok(()),
        _ => Err(format!("{} of {} machines failed: {}", failed.len(), machines.len(), failed.join(", ")).into()),
    }
}

/// Runs one machine, prints how it did, and says whether all was as expected.
#[expect(clippy::print_stdout, reason = "the result is what it is run for")]
fn report(machine: &Machine, directory: &Path, guest: &Guest<'_>) -> Result<bool, Failure> {
    println!("{}: {}", machine.name, machine.about);
    let start = Instant::now();
    let transcript = guest.run(directory)?;
    let problems = verdict::judge(machine, guest.suites, &transcript);
    for line in verdict::summary(&transcript) {
        println!("  {line}");
    }
    for problem in &problems {
        println!("  FAILED: {}", problem.replace('\n', "\n    "));
    }
    let word = if problems.is_empty() { "as expected" } else { "not as expected" };
    println!("  {word}, {:.1} s; its output is in {}", start.elapsed().as_secs_f64(), directory.display());
    Ok(problems.is_empty())
}

/// The target directory that this program was built in.
fn target_directory() -> Result<PathBuf, Failure> {
    // This program lies in TARGET/debug, or in TARGET/release.
    let own = std::env::current_exe()?;
    Ok(own.parent().and_then(Path::parent).ok_or("this program lies in no target directory")?.to_owned())
}

fn build() -> Result<PathBuf, Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo).args(["build", "--quiet", "--package", "stockade-cli"]).status()?;
    if !status.success() {
        return Err("the build of stockade failed".into());
    }
    Ok(target_directory()?.join("debug/stockade"))
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
