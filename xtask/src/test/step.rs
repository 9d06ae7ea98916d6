//! The steps, and running one.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use super::counts::Counts;
use super::{Failure, Place};

/// One step.
#[derive(Debug)]
pub(super) struct Step {
    /// Its name.
    pub(super) name: &'static str,
    /// What it shows.
    pub(super) about: &'static str,
    /// Programs that it needs, by the names in `needs.txt`.
    pub(super) needs: &'static [&'static str],
    /// Its commands, carried out in turn: words between spaces, variables first. `xtask` is this program, and `RELEASE` the
    /// directory of the release build.
    commands: &'static [&'static str],
    /// How long each command may take, in minutes; one that hangs fails.
    minutes: u32,
}

/// Every step: first what is quick and fails often.
pub(super) const STEPS: &[Step] = &[
    Step {
        name: "format",
        about: "rustfmt",
        needs: &["cargo-fmt"],
        commands: &[
            "cargo fmt --all --check -- --color never",
            "cargo fmt --manifest-path fuzz/Cargo.toml --check -- --color never",
        ],
        minutes: 2,
    },
    Step {
        name: "lint",
        about: "clippy without a warning",
        needs: &["cargo-clippy"],
        commands: &["cargo clippy --quiet --locked --workspace --all-targets -- -D warnings"],
        minutes: 15,
    },
    Step {
        name: "unit",
        about: "tests of each crate",
        needs: &["git", "python3", "setsid"],
        commands: &["cargo test --quiet --locked --workspace --exclude e2e --no-fail-fast"],
        minutes: 20,
    },
    Step {
        name: "budget",
        about: "how many crates are compiled in",
        needs: &[],
        commands: &["xtask budget"],
        minutes: 2,
    },
    Step {
        name: "deny",
        about: "licences, banned crates, sources and advisories",
        needs: &["cargo-deny"],
        commands: &["xtask deny"],
        minutes: 5,
    },
    Step {
        name: "build",
        about: "the release build, which every later step uses",
        needs: &[],
        commands: &["cargo build --quiet --locked --release --package stockade-cli", "xtask musl"],
        minutes: 15,
    },
    Step {
        name: "demo",
        about: "the example of untrusted code, in a sandbox and natively",
        needs: &["git", "perl", "setsid"],
        commands: &[
            "STOCKADE_BIN=RELEASE/stockade sh examples/untrusted/run.sh",
            "sh examples/untrusted/run.sh --native",
        ],
        minutes: 3,
    },
    Step {
        name: "containment",
        about: "every attack, natively and in a sandbox, as root and as an ordinary user, in both tiers",
        needs: &["git", "timeout"],
        commands: &["STOCKADE_BIN=RELEASE/stockade cargo test --quiet --locked --package e2e --test containment"],
        minutes: 20,
    },
    Step {
        name: "faults",
        about: "operations that fail, supervisors that are killed, bad input: nothing stays",
        needs: &["git"],
        commands: &["cargo test --quiet --locked --package e2e --test faults"],
        minutes: 15,
    },
    Step {
        name: "nested",
        about: "inside other sandboxes: itself, and bubblewrap",
        needs: &["bwrap", "python3"],
        commands: &["STOCKADE_BIN=RELEASE/stockade cargo test --quiet --locked --package e2e --test nested"],
        minutes: 10,
    },
    Step {
        name: "sandboxes",
        about: "sandboxes that last: real work, 500 kills, full disks, and every attack with what it did applied",
        needs: &["gcc", "git", "python3", "setsid", "timeout"],
        commands: &["STOCKADE_BIN=RELEASE/stockade cargo test --quiet --locked --package e2e --test sandboxes"],
        minutes: 30,
    },
    Step {
        name: "real",
        about: "real work with equal results natively and in a sandbox",
        needs: &["git", "gcc", "make", "python3", "pip3", "npm"],
        commands: &["STOCKADE_BIN=RELEASE/stockade cargo test --quiet --locked --package e2e --test real"],
        minutes: 20,
    },
    Step {
        name: "network",
        about: "real programs, attacks and faults over a network, natively and in a sandbox",
        needs: &[
            "curl",
            "dropbear",
            "git",
            "ip",
            "musl-gcc",
            "openssl",
            "psql",
            "python3",
            "redis-cli",
            "setpriv",
            "ssh",
            "timeout",
            "wget",
        ],
        commands: &["STOCKADE_BIN=RELEASE/stockade cargo test --quiet --locked --package e2e --test network"],
        minutes: 20,
    },
    Step {
        name: "fuzz",
        about: "a minute of each fuzz target",
        needs: &["cargo-fuzz", "g++"],
        commands: &["xtask fuzz --seconds 60"],
        minutes: 20,
    },
    Step {
        name: "machines",
        about: "Debian kernels in emulated machines",
        needs: &["qemu-system-x86_64", "busybox", "mke2fs", "xz", "zstd", "depmod", "dpkg-deb"],
        commands: &["xtask machines --stockade RELEASE/stockade"],
        minutes: 25,
    },
    Step {
        name: "bench",
        about: "the benchmark runs; few rounds, so its figures say little",
        needs: &["bwrap", "git", "python3", "setpriv", "tar"],
        commands: &["xtask bench --rounds 20 --work-rounds 1 --stockade RELEASE/stockade"],
        minutes: 15,
    },
];

/// Lines of a failed step that are shown.
const TAIL_LINES: usize = 80;

/// Bytes of a log's end that are looked at for them.
const TAIL_BYTES: u64 = 16 << 10;

/// Runs a step; what it counted, and the end of its output where it failed.
pub(super) fn run(step: &Step, place: &Place<'_>) -> Result<(Counts, Option<String>), Failure> {
    let logs = place.target.join("ci");
    fs::create_dir_all(&logs)?;
    let log = logs.join(format!("{}.log", step.name));
    let output = File::create(&log)?;
    let mut succeeded = true;
    for command in step.commands {
        succeeded &= carry_out(command, step, place, &output)?;
    }
    let counts = Counts::of(&read(&log)?, succeeded);
    let tail = (counts.failed > 0).then(|| tail(&log)).transpose()?;
    Ok((counts, tail))
}

fn carry_out(command: &str, step: &Step, place: &Place<'_>, log: &File) -> Result<bool, Failure> {
    let release = place.target.join("release");
    let words = command.split_whitespace().map(|word| word.replace("RELEASE", &release.to_string_lossy()));
    let (variables, words): (Vec<String>, Vec<String>) = words.partition(|word| word.starts_with("STOCKADE_BIN="));
    let (program, arguments) = words.split_first().ok_or("a step has an empty command")?;
    let program = match program.as_str() {
        "xtask" => std::env::current_exe()?,
        "cargo" => std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()).into(),
        other => other.into(),
    };
    let mut run = Command::new("timeout");
    run.args(["--kill-after=10", &format!("{}m", step.minutes)])
        .arg(program)
        .args(arguments)
        .current_dir(place.repository)
        .env("CARGO_TARGET_DIR", &place.target)
        .env("CARGO_TERM_COLOR", "never")
        .env_remove("STOCKADE_BIN")
        .envs(variables.iter().filter_map(|variable| variable.split_once('=')))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?);
    Ok(run.status().map_err(|error| format!("cannot run `timeout {command}`: {error}"))?.success())
}

fn read(log: &Path) -> Result<String, Failure> {
    Ok(String::from_utf8_lossy(&fs::read(log)?).into_owned())
}

fn tail(log: &Path) -> Result<String, Failure> {
    let mut file = File::open(log)?;
    let start = file.metadata()?.len().saturating_sub(TAIL_BYTES);
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(start))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    // What programs print may hold what a terminal obeys.
    let text = String::from_utf8_lossy(&end).replace(|c: char| c.is_control() && c != '\n', " ");
    let lines: Vec<&str> = text.lines().collect();
    let shown = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    let shown: Vec<String> = shown.iter().map(|line| format!("       | {line}")).collect();
    Ok(format!("       the end of {}:\n{}", log.display(), shown.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_suite_is_forgotten() {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("tests/e2e/Cargo.toml");
        let manifest = fs::read_to_string(manifest).expect("the manifest of e2e");
        let suites = manifest.split("[[test]]").skip(1).filter_map(|rest| rest.split('"').nth(1));
        let commands: Vec<&str> = STEPS.iter().flat_map(|step| step.commands).copied().collect();
        let mut count = 0;
        for suite in suites {
            assert!(
                commands.iter().any(|command| command.ends_with(&format!("--test {suite}"))),
                "no step runs {suite}"
            );
            count += 1;
        }
        assert!(count >= 3, "only {count} suites were found");
    }
}
