//! `cargo xtask figures`: measures, and puts the figures into README.md.

use std::error::Error;
use std::path::Path;
use std::process::Command;

/// How it is used.
pub(crate) const USAGE: &str = "\
  figures [OPTIONS OF bench]
        measure, and replace the figures in README.md
";

/// What stops it.
type Failure = Box<dyn Error>;

const BEGIN: &str = "<!-- figures: begin (written by `cargo xtask figures`) -->\n";
const END: &str = "<!-- figures: end -->";

/// Runs the benchmark with the arguments that follow its name, and writes what it printed.
pub(crate) fn run(arguments: &[&str]) -> Result<(), Failure> {
    let output = Command::new(std::env::current_exe()?).arg("bench").args(arguments).output()?;
    if !output.status.success() {
        return Err(format!("the benchmark failed:\n{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("README.md");
    let text = std::fs::read_to_string(&readme)?;
    let figures = format!("{}\n\n{}", machine(), String::from_utf8(output.stdout)?.trim());
    Ok(std::fs::write(&readme, replaced(&text, &figures).ok_or("README.md has no place for figures")?)?)
}

/// On what it was measured.
fn machine() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    format!("Measured on Linux {} with {processors} processors, as an ordinary user.", kernel.trim())
}

fn replaced(text: &str, figures: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{figures}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_figures_change() {
        let text = format!("a\n{BEGIN}old\n{END}\nb\n");
        assert_eq!(replaced(&text, "new"), Some(format!("a\n{BEGIN}new\n{END}\nb\n")));
        assert_eq!(replaced("a\n", "new"), None);
        let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("README.md"));
        assert!(replaced(&readme.expect("README.md"), "new").is_some());
    }
}
