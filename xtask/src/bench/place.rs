//! Where it is measured: a temporary directory with the programs, a workspace and two homes.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::options::{Options, Part};
use super::{Failure, furniture};
use crate::musl;

/// The search path of everything that is measured.
pub(super) const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The directories of one benchmark; gone with this value.
#[derive(Debug)]
pub(super) struct Place {
    /// The program that is measured.
    pub(super) stockade: PathBuf,
    /// A workspace that is a git repository.
    pub(super) workspace: PathBuf,
    /// A home with nothing in it.
    pub(super) bare_home: PathBuf,
    /// A home with toolchains and caches.
    pub(super) furnished_home: PathBuf,
    _directory: TempDir,
}

impl Place {
    pub(super) fn prepare(options: &Options) -> Result<Self, Failure> {
        // Not below /tmp, which is private inside a sandbox: a workspace lies in a home as a rule.
        let directory = tempfile::Builder::new().prefix("stockade-bench-").tempdir_in("/var/tmp")?;
        let root = fs::canonicalize(directory.path())?;
        let place = Self {
            stockade: match &options.stockade {
                Some(program) => program.clone(),
                None => build()?,
            },
            workspace: root.join("workspace"),
            bare_home: root.join("bare"),
            furnished_home: root.join("furnished"),
            _directory: directory,
        };
        for path in [&place.workspace, &place.bare_home, &place.furnished_home] {
            fs::create_dir(path)?;
        }
        furniture::furnish(&place.furnished_home)?;
        let status = Command::new("git").args(["init", "--quiet"]).arg(&place.workspace).status()?;
        if status.success() { Ok(place) } else { Err("git init failed in the benchmark's workspace".into()) }
    }
}

/// Builds the program as README.md says to install it: with musl, unless rustup has not installed that target.
fn build() -> Result<PathBuf, Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--release", "--quiet", "--package", "stockade-cli"]);
    let musl = musl::target();
    let folder = if musl::is_installed(&musl)? {
        build.args(["--target", &musl]);
        format!("{musl}/release")
    } else {
        warn_of_slower_build(&musl);
        "release".to_owned()
    };
    if !build.status()?.success() {
        return Err("the release build failed".into());
    }
    // This program lies in TARGET/debug, or in TARGET/release.
    let own = std::env::current_exe()?;
    let target = own.parent().and_then(Path::parent).ok_or("this program lies in no target directory")?;
    Ok(target.join(folder).join("stockade"))
}

/// This program as it is, or, where the library is called for what is measured, an optimised build of it.
fn driver(options: &Options) -> Result<PathBuf, Failure> {
    let own = std::env::current_exe()?;
    if !options.wants(Part::Sandboxes) {
        return Ok(own);
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo).args(["build", "--profile", "driver", "--quiet", "--package", "xtask"]).status()?;
    let target = own.parent().and_then(Path::parent).ok_or("this program lies in no target directory")?;
    if built.success() { Ok(target.join("driver/xtask")) } else { Err("the build of the benchmark failed".into()) }
}

#[expect(clippy::print_stderr, reason = "told to whoever reads the figures")]
fn warn_of_slower_build(target: &str) {
    eprintln!("the target {target} is not installed (rustup target add {target}): measuring a slower build");
}

/// Runs the benchmark again as an ordinary user, with programs that this user can read.
pub(super) fn as_ordinary_user(options: &Options) -> Result<(), Failure> {
    let stockade = match &options.stockade {
        Some(program) => program.clone(),
        None => build()?,
    };
    let directory = tempfile::Builder::new().prefix("stockade-bench-programs-").tempdir_in("/var/tmp")?;
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
    let copy = |from: &Path, name: &str| -> Result<PathBuf, Failure> {
        let to = directory.path().join(name);
        fs::copy(from, &to)?;
        fs::set_permissions(&to, Permissions::from_mode(0o755))?;
        Ok(to)
    };
    let own = copy(&driver(options)?, "xtask")?;
    let stockade = copy(&stockade, "stockade")?;
    let raw = directory.path().join("raw.json");
    let mut command = Command::new("setpriv");
    command
        .args([&format!("--reuid={}", options.user), &format!("--regid={}", options.user), "--init-groups", "--"])
        .arg(own)
        .arg("bench")
        .args(&options.given)
        .arg("--stockade")
        .arg(stockade)
        .env("PATH", SEARCH_PATH)
        .current_dir("/");
    if options.json.is_some() {
        // The user may not be able to write where root asked for the samples.
        fs::write(&raw, "")?;
        fs::set_permissions(&raw, Permissions::from_mode(0o666))?;
        command.arg("--json").arg(&raw);
    }
    if !command.status()?.success() {
        return Err(format!("the benchmark failed as user {}", options.user).into());
    }
    if let Some(file) = &options.json {
        fs::copy(raw, file)?;
    }
    Ok(())
}
