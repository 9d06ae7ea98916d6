//! Doing one job natively and boxed, and comparing.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::place;
use crate::snapshot;
use crate::user::User;

/// One job.
#[derive(Debug)]
pub(crate) struct Job {
    /// Its name, and that of its directory.
    pub(crate) name: &'static str,
    /// A shell command that succeeds where its tools are installed.
    needs: &'static str,
    /// What to install where they are not.
    remedy: &'static str,
    /// What it prints.
    expected: Expected,
}

/// What a job prints on standard output.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// The same in both runs, with these lines in it, and exit status 0.
    Same(&'static [&'static str]),
    /// `proof.sh`, run natively afterwards, ends every line with `planted` after the native run and with `kept out` after the
    /// boxed one; what the runs themselves print is not compared.
    Planted,
}

/// Every job.
pub(crate) static JOBS: [Job; 8] = [
    Job {
        name: "python",
        needs: "python3 -m pip --version",
        remedy: "needs python3 with pip: apt-get install python3-pip",
        expected: Expected::Same(&["pytest: 0"]),
    },
    Job { name: "cargo", needs: "true", remedy: "", expected: Expected::Same(&["build: 0", "test: 0"]) },
    Job {
        name: "npm",
        needs: "npm --version",
        remedy: "needs npm: apt-get install npm",
        expected: Expected::Same(&["install: 0", "test: 0"]),
    },
    Job {
        name: "c",
        needs: "gcc --version && make --version",
        remedy: "needs gcc and make: apt-get install build-essential",
        expected: Expected::Same(&["make: 0", "1229", "sanitised: 0"]),
    },
    Job {
        name: "git",
        needs: "git --version",
        remedy: "needs git: apt-get install git",
        expected: Expected::Same(&["in a repository of its own"]),
    },
    Job {
        name: "planting",
        needs: "git --version",
        remedy: "needs git: apt-get install git",
        expected: Expected::Planted,
    },
    Job {
        name: "java",
        needs: "javac -version",
        remedy: "needs a JDK: apt-get install default-jdk-headless",
        expected: Expected::Same(&["javac: 0", "hello, sandbox", "jar: 0"]),
    },
    Job {
        name: "go",
        needs: "go version",
        remedy: "needs Go: apt-get install golang-go",
        expected: Expected::Same(&["build: 0", "26", "test: 0", "ok hello"]),
    },
];

impl Expected {
    fn lines(self) -> &'static [&'static str] {
        match self {
            Self::Same(lines) => lines,
            Self::Planted => &[],
        }
    }

    fn proof(self) -> Option<&'static str> {
        matches!(self, Self::Planted).then_some("proof.sh")
    }
}

impl Job {
    /// What has to be installed before this job can be done.
    pub(crate) fn missing(&self, user: &User) -> Option<&'static str> {
        let mut test = user.command("/bin/sh", Path::new("/nonexistent"));
        test.args(["-c", self.needs]).stdout(Stdio::null()).stderr(Stdio::null());
        let there = test.status().is_ok_and(|status| status.success());
        (!there).then_some(self.remedy)
    }

    fn directory(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/jobs").join(self.name)
    }
}

/// Does a job natively, boxed, and in a sandbox that lasts, whose changes are then applied; and compares.
///
/// # Errors
/// With everything that differs.
pub(crate) fn run(job: &Job, user: &User) -> Result<(), String> {
    let _one_at_a_time = place::lock(&format!("{}-{}", job.name, user.name))?;
    let stockade = place::stockade()?;
    let fetched = fetch(job)?;
    let directory = place::fresh(job.name, user)?;
    let home = directory.join("home");
    let workspace = home.join("project");
    let script = |name: &str| {
        fs::read_to_string(job.directory().join(name)).map_err(|error| format!("no {name} of {}: {error}", job.name))
    };
    let (work, proof) = (script("run.sh")?, job.expected.proof().map(script).transpose()?);
    let shell = |script: &str| output(user.command("/bin/sh", &home).args(["-c", script]).current_dir(&workspace));

    furnish(&fetched, &directory, user)?;
    let native = shell(&work)?;
    let native_proof = proof.as_deref().map(shell).transpose()?;

    furnish(&fetched, &directory, user)?;
    // Stockade's own state, such as the quarantine, is kept in the home as well.
    let state = home.join(".local");
    let before = snapshot::take(&home, &[&workspace, &state])?;
    let mut boxed = user.command(&stockade, &home);
    boxed.arg("run").arg("--report").arg(directory.join("report.json"));
    let boxed = output(boxed.args(["--", "/bin/sh", "-c", &work]).current_dir(&workspace))?;
    let after = snapshot::take(&home, &[&workspace, &state])?;
    let boxed_proof = proof.as_deref().map(shell).transpose()?;

    let mut wrong = judge(job, [&native, &boxed], [native_proof.as_ref(), boxed_proof.as_ref()]);
    let changed = snapshot::differences(&before, &after);
    if !changed.is_empty() {
        wrong.push(format!("the boxed run changed the home:\n  {}", changed.join("\n  ")));
    }

    furnish(&fetched, &directory, user)?;
    let before = snapshot::take(&home, &[&state])?;
    let call = |words: &[&str]| output(user.command(&stockade, &home).args(words).current_dir(&workspace));
    let created = call(&["create", "--name", "lasting"])?;
    let lasting = call(&["exec", "lasting", "--", "/bin/sh", "-c", &work])?;
    call(&["stop", "lasting"])?;
    let changed = snapshot::differences(&before, &snapshot::take(&home, &[&state])?);
    if !changed.is_empty() {
        wrong.push(format!("the sandbox changed the home before anything was applied:\n  {}", changed.join("\n  ")));
    }
    let applied = call(&["apply", "lasting", "--json"])?;
    let lasting_proof = proof.as_deref().map(shell).transpose()?;
    let judged = judge(job, [&native, &lasting], [native_proof.as_ref(), lasting_proof.as_ref()]);
    wrong.extend(judged.iter().map(|line| format!("in a sandbox that lasts: {line}")));
    if !is_applied(&applied, proof.is_some()) {
        wrong.push(format!("create {}\napply {}", describe(&created), describe(&applied)));
    }
    if wrong.is_empty() {
        return fs::remove_dir_all(&directory)
            .map_err(|error| format!("cannot remove {}: {error}", directory.display()));
    }
    wrong.push(format!("native {}\nboxed {}\nlasting {}", describe(&native), describe(&boxed), describe(&lasting)));
    Err(wrong.join("\n"))
}

/// Whether everything was applied but what is to be held back: what a job plants, and what packages bring for their own
/// repositories.
fn is_applied(applied: &Output, plants: bool) -> bool {
    let Ok(told) = serde_json::from_slice::<serde_json::Value>(&applied.stdout) else { return false };
    let all = |list: &str, fine: &dyn Fn(&str) -> bool| {
        told[list].as_array().is_some_and(|all| all.iter().all(|one| one["path"].as_str().is_some_and(fine)))
    };
    all("conflicts", &|_| false)
        && all("failed", &|_| false)
        && all("held_back", &|path| plants || path.starts_with("node_modules/"))
}

/// What is wrong with a run beside the native one, and with what both planted.
fn judge(job: &Job, [native, other]: [&Output; 2], proofs: [Option<&Output>; 2]) -> Vec<String> {
    match proofs {
        [Some(native), Some(other)] => [every_line(native, ": planted"), every_line(other, ": kept out")].concat(),
        _ => compare(job.expected, native, other),
    }
}

/// What is wrong with two runs that should be equal.
fn compare(expected: Expected, native: &Output, boxed: &Output) -> Vec<String> {
    let mut wrong = Vec::new();
    if native.status != boxed.status || !native.status.success() {
        wrong.push(format!("natively {}, boxed {}", native.status, boxed.status));
    }
    if native.stdout != boxed.stdout {
        wrong.push("the output differs".to_owned());
    }
    let text = String::from_utf8_lossy(&native.stdout);
    let missing = expected.lines().iter().filter(|line| !text.lines().any(|found| found == **line));
    wrong.extend(missing.map(|line| format!("natively there is no line `{line}`")));
    wrong
}

/// The lines of a proof that end otherwise than they should.
fn every_line(proof: &Output, end: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(&proof.stdout);
    let mut wrong: Vec<_> =
        text.lines().filter(|line| !line.ends_with(end)).map(|line| format!("not `{end}`: {line}")).collect();
    if text.is_empty() || !proof.status.success() {
        wrong.push(format!("the proof failed, {}", describe(proof)));
    }
    wrong
}

/// Gets what a job needs, once for each state of its directory, as whoever runs the tests.
fn fetch(job: &Job) -> Result<PathBuf, String> {
    let base = place::base()?;
    let _one_at_a_time = place::lock(&format!("fetch-{}", job.name))?;
    let fetched = base.join(format!("fetched-{}-{:016x}", job.name, fingerprint(&job.directory())?));
    if fetched.exists() {
        return Ok(fetched);
    }
    let new = base.join(format!("fetching-{}", job.name));
    if new.exists() {
        fs::remove_dir_all(&new).map_err(|error| format!("cannot remove {}: {error}", new.display()))?;
    }
    fs::create_dir(&new).map_err(|error| format!("cannot make {}: {error}", new.display()))?;
    let mut command = Command::new("/bin/sh");
    command.arg(job.directory().join("fetch.sh")).current_dir(&new).env("JOB", job.directory()).stdin(Stdio::null());
    let got = output(&mut command)?;
    if !got.status.success() {
        return Err(format!("fetching what `{}` needs failed, {}", job.name, describe(&got)));
    }
    fs::rename(&new, &fetched).map_err(|error| format!("cannot rename {}: {error}", new.display()))?;
    Ok(fetched)
}

fn fingerprint(directory: &Path) -> Result<u64, String> {
    let failed = |error: std::io::Error| format!("cannot read {}: {error}", directory.display());
    let mut paths: Vec<_> = fs::read_dir(directory).map_err(failed)?.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| !path.ends_with("run.sh"));
    paths.sort();
    let mut hasher = DefaultHasher::new();
    for path in paths {
        fs::read(path).map_err(failed)?.hash(&mut hasher);
    }
    Ok(hasher.finish())
}

/// Makes a home and a workspace in it of what was fetched. What lies in `linked` is shared by hard links and stays with its
/// owner; the rest is a copy of the user's own.
fn furnish(fetched: &Path, directory: &Path, user: &User) -> Result<(), String> {
    let script = r#"
        set -eu
        rm -rf "$2/home"
        cp -R -P -p "$1/home" "$2/home"
        cp -R -P -p "$1/work" "$2/home/project"
        [ "$(id -u)" != 0 ] || chown -R -h "$3" "$2/home"
        [ ! -d "$1/linked" ] || cp -alT "$1/linked" "$2/home" 2>/dev/null || cp -aT "$1/linked" "$2/home"
        [ "$(id -u)" != 0 ] || chown "$3" "$2/home"
    "#;
    let owner = format!("{}:{}", user.uid, user.gid);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script, "sh"]).arg(fetched).arg(directory).arg(owner).stdin(Stdio::null());
    let done = output(&mut command)?;
    if done.status.success() { Ok(()) } else { Err(format!("furnishing the home failed, {}", describe(&done))) }
}

fn output(command: &mut Command) -> Result<Output, String> {
    command.output().map_err(|error| format!("cannot start {}: {error}", command.get_program().display()))
}

/// A run in words, with the end of what it printed.
fn describe(run: &Output) -> String {
    let text = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(60)..].iter().map(|line| format!("    {line}\n")).collect::<String>()
    };
    format!("{}\n  standard output:\n{}  standard error:\n{}", run.status, text(&run.stdout), text(&run.stderr))
}
