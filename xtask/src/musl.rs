//! `cargo xtask musl`: whether the program compiles with musl, as README.md installs it.
//!
//! The C library's types differ there, and no other step builds with it.

use std::error::Error;
use std::path::Path;
use std::process::Command;

/// How it is used.
pub(crate) const USAGE: &str = "\
  musl  check that the program compiles with musl, where rustup has installed that target
";

/// What stops it.
type Failure = Box<dyn Error>;

#[expect(clippy::print_stdout, reason = "the result is what it is run for")]
pub(crate) fn run() -> Result<(), Failure> {
    let target = target();
    if !is_installed(&target)? {
        println!("not run: the program with musl (rustup target add {target})");
        return Ok(());
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut check = Command::new(cargo);
    check.args(["check", "--quiet", "--locked", "--package", "stockade-cli", "--target", &target]);
    if check.status()?.success() { Ok(()) } else { Err("the program does not compile with musl".into()) }
}

/// The target's name on this machine.
pub(crate) fn target() -> String {
    format!("{}-unknown-linux-musl", std::env::consts::ARCH)
}

/// Whether a target's standard library is there.
pub(crate) fn is_installed(target: &str) -> Result<bool, Failure> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let printed = Command::new(rustc).args(["--print", "target-libdir", "--target", target]).output()?;
    Ok(printed.status.success() && Path::new(String::from_utf8_lossy(&printed.stdout).trim()).is_dir())
}
