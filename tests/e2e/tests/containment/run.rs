//! One run of one attack: a fresh scene, a process outside, the attempt, and what is left.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use e2e::Attack;
use e2e::attack::Stdin;
use e2e::scene::{CANARY, Scene};
use serde_json::Value;
use tempfile::TempDir;

use crate::user::User;

/// Where an attack is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Without a sandbox.
    Native,
    /// In a sandbox of this tier; with or without tracing of every file operation.
    Boxed { tier: &'static str, traced: bool },
    /// In a sandbox that lasts, whose changes are all applied afterwards. What is told of that takes the report's place.
    Lasting,
}

/// The programs under test, where every user can run them.
#[derive(Debug)]
pub(crate) struct Bench {
    programs: TempDir,
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Exit status of the attempt or of `stockade`; `None` when a signal ended it.
    pub(crate) status: Option<i32>,
    /// Exit status of the proof, where the attack has one of its own.
    pub(crate) proof: Option<i32>,
    /// The report.
    pub(crate) report: Value,
    /// What was printed on standard error.
    pub(crate) errors: String,
    /// What was harmed outside although the attack does not say so.
    pub(crate) harm: Vec<String>,
}

/// What tier `landlock` leaves weaker; accepted, so that it runs, and asserted in the report.
const ACCEPTED: &str = "file-visibility,caches,process-visibility,lifetime,loopback,ipc,protected-files,files,memory-limit,\
                        cpu-limit,process-limit,disk-limit";

/// Makes a sandbox, runs the attempt in it, and applies everything; the exit status is the attempt's.
const LASTING: &str = r#"stockade=$1 options=$2 report=$3; shift 3
"$stockade" create --name attacked $options > /dev/null || exit 99
"$stockade" exec attacked -- "$@"
status=$?
told=$("$stockade" apply attacked --json 2>&1 > "$report")
case $? in
    0|1) ;;
    *) case $told in *"nothing to apply"*) ;; *) echo "$told" >&2; exit 96;; esac;;
esac
"$stockade" audit verify attacked > /dev/null || exit 98
"$stockade" rm --force attacked || exit 97
exit $status"#;

impl Bench {
    /// Finds or builds the binaries and puts them where every user can run them.
    pub(crate) fn new() -> io::Result<Self> {
        let programs = tempfile::Builder::new()
            .prefix("stockade-attacks-")
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir()?;
        fs::copy(env!("CARGO_BIN_EXE_attacks"), programs.path().join("attacks"))?;
        // Only the network suite needs it, and the emulated machines have just what the attack suite does.
        let internet = Path::new(env!("CARGO_BIN_EXE_internet"));
        if internet.exists() {
            fs::copy(internet, programs.path().join("internet"))?;
        }
        fs::copy(stockade()?, programs.path().join("stockade"))?;
        Ok(Self { programs })
    }

    /// Where a program lies.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.programs.path().join(name)
    }

    /// A command of the `attacks` program, as a user.
    fn attacks(&self, user: &User, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.program("attacks"));
        command.args(arguments).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").current_dir("/");
        user.becomes(&mut command);
        command
    }

    /// Runs an attack once.
    pub(crate) fn run(&self, attack: &Attack, user: &User, place: Place) -> io::Result<Outcome> {
        let base = tempfile::Builder::new().prefix("stockade-e2e-").tempdir()?;
        user.own(base.path())?;
        let text = base.path().to_string_lossy().into_owned();
        succeed(&mut self.attacks(user, &["build", &text]))?;
        let host = Host::start(self.attacks(user, &["host", &text]).env("SECRET_OF_THE_HOST", CANARY))?;
        let workspace = base.path().join("home/project");
        let scene = Scene::open(&workspace)?;
        let words = [workspace.to_string_lossy().into_owned(), attack.name.to_owned()];
        succeed(&mut self.attacks(user, &["prepare", &words[0], &words[1]]))?;
        let output = self.attempt(attack, user, place, &scene)?;
        // What a proof does, such as a commit, must not read the terminal or leave anything behind either.
        let proof = self.attacks(user, &["prove", &words[0], &words[1]]).stdin(Stdio::null()).output()?;
        let proof = matches!(attack.proof, e2e::attack::Proof::Host(_)).then_some(proof.status.code()).flatten();
        let report =
            fs::read(base.path().join("report.json")).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let alive = host.end()?;
        let mut harm = harm(&scene, attack);
        if !alive {
            harm.push("the process outside was killed or stopped".to_owned());
        }
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok(Outcome { status: output.status.code(), proof, report: report.unwrap_or(Value::Null), errors, harm })
    }

    /// Starts the attempt as a careless caller would: with secrets in the environment and descriptors left open.
    fn attempt(&self, attack: &Attack, user: &User, place: Place, scene: &Scene) -> io::Result<Output> {
        let program = scene.workspace().join("attacks");
        fs::copy(self.program("attacks"), &program)?;
        if attack.name == "run-stockade-inside" {
            fs::copy(self.program("stockade"), scene.workspace().join("stockade"))?;
        }
        let mut command = self.attacks(user, &["careless", &scene.workspace().to_string_lossy()]);
        // A run that hangs is a finding, and must not keep the others from being made.
        command.args(["timeout", "--kill-after=1", "20"]);
        if attack.internet {
            command.arg(self.program("internet")).arg(scene.outside().with_file_name(""));
        }
        if let Place::Boxed { tier, traced } = place {
            command.arg(self.program("stockade")).args(["run", "--isolation", tier, "--report"]);
            command.arg(scene.outside().with_file_name("report.json"));
            if tier == "landlock" {
                command.args(["--accept-degraded", ACCEPTED]);
            }
            let outside = scene.outside().to_string_lossy().into_owned();
            let options = attack.options.iter().map(|option| option.replace("OUTSIDE", &outside));
            command.args(traced.then_some("--trace=all")).args(options).arg("--");
        }
        if place == Place::Lasting {
            command.args(["sh", "-c", LASTING, "sh"]).arg(self.program("stockade"));
            command.arg(attack.options.join(" ")).arg(scene.outside().with_file_name("report.json"));
        }
        command.arg(program).arg("attempt").arg(scene.workspace()).arg(attack.name);
        command.env("HOME", scene.home()).current_dir(scene.workspace());
        let stdin = scene.outside().join(if attack.stdin == Stdin::File { "stdin.txt" } else { "" });
        command.stdin(File::open(stdin)?).output()
    }
}

fn succeed(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?}: {errors}"))) }
}

/// The process outside.
struct Host(Child);

impl Host {
    fn start(command: &mut Command) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        child.stdout.as_mut().map_or(Ok(0), |output| BufReader::new(output).read_line(&mut line))?;
        if line == "ready\n" { Ok(Self(child)) } else { Err(io::Error::other("the process outside did not start")) }
    }

    /// Ends it; whether it was still there and well.
    fn end(mut self) -> io::Result<bool> {
        drop(self.0.stdin.take());
        Ok(self.0.wait()?.success())
    }
}

/// What is not as it was outside, beyond what the attack itself looks at.
fn harm(scene: &Scene, attack: &Attack) -> Vec<String> {
    let own = matches!(attack.proof, e2e::attack::Proof::Host(_));
    let mut kept: Vec<PathBuf> =
        ["canary.txt", "victim.txt", "stdin.txt", "memory.txt"].map(|name| scene.outside().join(name)).to_vec();
    kept.extend([".bashrc", ".profile", ".cache/pip/wheel", ".local/bin/tool"].map(|name| scene.home().join(name)));
    let changed = |path: &&PathBuf| !own && !fs::read_to_string(path).is_ok_and(|text| text.starts_with(CANARY));
    let mut harm: Vec<String> =
        kept.iter().filter(changed).map(|path| format!("{} was changed", path.display())).collect();
    let open = |path: &Path| fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o022 != 0);
    if open(&scene.outside().join("victim.txt")) {
        harm.push("victim.txt was opened to everybody".to_owned());
    }
    harm.extend(
        ["planted.txt", "received", "fired"]
            .into_iter()
            .filter(|name| !own && scene.outside().join(name).exists())
            .map(|name| format!("{name} appeared")),
    );
    harm
}

/// The binary under test: `STOCKADE_BIN`, or what cargo builds from this tree.
pub(crate) fn stockade() -> io::Result<PathBuf> {
    if let Some(path) = std::env::var_os("STOCKADE_BIN") {
        return Ok(path.into());
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let built =
        Command::new(cargo).args(["build", "--quiet", "-p", "stockade-cli", "--manifest-path", manifest]).status()?;
    let target = Path::new(env!("CARGO_BIN_EXE_attacks")).parent().unwrap_or(Path::new("/"));
    if built.success() { Ok(target.join("stockade")) } else { Err(io::Error::other("cargo cannot build stockade")) }
}
