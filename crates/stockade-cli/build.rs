//! Links the program statically on Linux with glibc, where the static library is installed.
//!
//! The loader's work and the `CPUID` instructions of a dynamic start, each of which a virtual machine traps, would take a
//! fifth of a short run; and nothing here loads libraries at run time. `-C target-feature=+crt-static` says the same to
//! rustc, but not to the program alone: without `--target` it reaches procedural macros too, which cannot be built so.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Libraries that rustc names as dynamic ones, and what stands in for them.
const STATIC: [(&str, &str); 3] =
    [("libc.so", "INPUT(-l:libc.a)"), ("libm.so", "INPUT(-l:libm.a)"), ("libgcc_s.so", "INPUT(-l:libgcc_eh.a)")];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    if !is_native_glibc() || !["libc.a", "libm.a", "libgcc_eh.a"].iter().all(|name| is_installed(name)) {
        return Ok(());
    }
    let folder = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    write_scripts(&folder)?;
    // Searched before the system's directories. Position independent still, since the supervisor reads what hostile code
    // has written.
    for argument in [format!("-L{}", folder.display()), "-static-pie".to_owned()] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    Ok(())
}

/// A program for another machine is linked as its tool chain does it.
fn is_native_glibc() -> bool {
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") && env::var("TARGET") == env::var("HOST")
}

/// The compiler driver prints a name without directories when it does not find it.
fn is_installed(library: &str) -> bool {
    let found = Command::new("cc").arg(format!("-print-file-name={library}")).output();
    found.is_ok_and(|output| output.status.success() && output.stdout.contains(&b'/'))
}

/// Linker scripts by the names of the dynamic libraries, which name the static ones.
fn write_scripts(folder: &Path) -> Result<(), Box<dyn Error>> {
    for (name, script) in STATIC {
        fs::write(folder.join(name), script)?;
    }
    Ok(())
}
