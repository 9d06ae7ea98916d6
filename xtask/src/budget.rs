//! `cargo xtask budget`: how many crates are compiled into what is shipped, against what `budgets.txt` allows.
//!
//! Each dependency is code that runs with the rights of whoever starts Stockade, so a new one is a decision: it shows up
//! here, and raising a budget is a change of a file that is reviewed.

use std::collections::BTreeSet;
use std::error::Error;
use std::process::Command;

/// How it is used.
pub(crate) const USAGE: &str = "\
  budget
        count the crates that are compiled in, for each target; fails above what xtask/src/budgets.txt allows
";

/// What stops it.
type Failure = Box<dyn Error>;

const BUDGETS: &str = include_str!("budgets.txt");

/// The targets that are supported.
const TARGETS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// One line of the file.
#[derive(Debug, PartialEq, Eq)]
struct Budget<'t> {
    package: &'t str,
    linked: usize,
    compiled: usize,
}

/// Counts, and prints a line for each count.
#[expect(clippy::print_stdout, reason = "the counts are what it is run for")]
pub(crate) fn run() -> Result<(), Failure> {
    let (mut kept, mut exceeded) = (0, 0);
    for budget in budgets(BUDGETS)? {
        for target in TARGETS {
            for (kind, edges, allowed) in
                [("linked", "normal,no-proc-macro", budget.linked), ("compiled", "normal", budget.compiled)]
            {
                let crates = crates(budget.package, target, edges)?;
                let count = crates.len();
                println!("{}, {target}: {count} crates {kind}, {allowed} allowed", budget.package);
                if count > allowed {
                    exceeded += 1;
                    println!("  {}", crates.into_iter().collect::<Vec<_>>().join(", "));
                } else {
                    kept += 1;
                }
            }
        }
    }
    println!("{kept} passed, {exceeded} failed");
    if exceeded == 0 { Ok(()) } else { Err(format!("{exceeded} budgets are exceeded").into()) }
}

/// The crates of a package's tree, itself included.
fn crates(package: &str, target: &str, edges: &str) -> Result<BTreeSet<String>, Failure> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["tree", "--locked", "--no-dedupe", "--prefix", "none", "--format", "{p}"])
        .args(["--package", package, "--target", target, "--edges", edges])
        .output()?;
    if !output.status.success() {
        return Err(format!("cargo tree failed: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
    }
    // Lines are `NAME vVERSION`, and `NAME vVERSION (PATH)` for our own.
    let text = String::from_utf8(output.stdout)?;
    let names = text.lines().filter(|line| !line.is_empty());
    Ok(names.map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect())
}

fn budgets(text: &str) -> Result<Vec<Budget<'_>>, Failure> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
            [package, linked, compiled] => Ok(Budget { package, linked: linked.parse()?, compiled: compiled.parse()? }),
            _ => Err(format!("budgets.txt has a line that is no budget: {line:?}").into()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read() {
        assert_eq!(budgets("# x\na 1 2\n").expect("a budget"), [Budget { package: "a", linked: 1, compiled: 2 }]);
        assert!(budgets("a 1\n").is_err());
        assert!(budgets("a 1 many\n").is_err());
        assert!(budgets(BUDGETS).is_ok_and(|all| all.iter().any(|budget| budget.package == "stockade-linux")));
    }
}
