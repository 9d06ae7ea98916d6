//! Where one trial takes place: a home, a workspace in it, and a directory for temporary files.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use crate::user::User;

/// The place of a trial, and who runs things there.
pub(crate) struct Place {
    user: User,
    base: PathBuf,
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Exit status; 1,000 and more for the signal that ended Stockade itself.
    pub(crate) status: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn of(output: Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let status = output.status.code().unwrap_or_else(|| 1_000 + output.status.signal().unwrap_or_default());
        Self { status, stdout: output.stdout, stderr: String::from_utf8_lossy(&output.stderr).into_owned() }
    }
}

impl Place {
    /// Makes a place, tries something there, and removes it.
    pub(crate) fn with(user: &User, run: impl FnOnce(&Self)) {
        let folder = tempfile::Builder::new().prefix("faults-").tempdir().expect("a temporary directory");
        let base = fs::canonicalize(folder.path()).expect("a canonical path");
        fs::set_permissions(&base, fs::Permissions::from_mode(0o711)).expect("permissions");
        let place = Self { user: user.clone(), base };
        for name in ["home", "home/project", "tmp"] {
            place.directory(name);
        }
        place.file("home/project/README", "work\n");
        place.file("home/project/src/main.c", "int main(void) { return 0; }\n");
        // The target directory may lie where an ordinary user cannot go.
        fs::copy(program(), place.program()).expect("a copy of the program");
        place.git(&["init", "-q", "-b", "main"]);
        run(&place);
    }

    /// The program under test.
    pub(crate) fn program(&self) -> PathBuf {
        self.path("stockade")
    }

    /// Who runs things.
    pub(crate) fn user(&self) -> &User {
        &self.user
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.base.join(name)
    }

    pub(crate) fn base(&self) -> &Path {
        &self.base
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.path("home/project")
    }

    /// Makes a directory of the user.
    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        let missing: Vec<&Path> = path.ancestors().take_while(|above| !above.exists()).collect();
        fs::create_dir_all(&path).expect("a new directory");
        missing.iter().for_each(|above| self.user.own(above).expect("chown"));
        path
    }

    /// Makes a file of the user.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        let above = Path::new(name).parent().and_then(Path::to_str).unwrap_or_default();
        self.directory(above);
        fs::write(&path, content).expect("a new file");
        self.user.own(&path).expect("chown");
        path
    }

    pub(crate) fn git(&self, arguments: &[&str]) {
        let mut git = self.command("git");
        assert!(git.args(arguments).status().expect("git runs").success(), "git {arguments:?}");
    }

    /// A program that the user runs in the workspace, with no more in its environment than it needs.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.workspace()).env_clear().stdin(Stdio::null());
        command
            .env("HOME", self.path("home"))
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("SHELL", "/bin/sh").env("TMPDIR", self.path("tmp"));
        self.user.becomes(&mut command);
        command
    }

    /// `stockade` with these arguments.
    pub(crate) fn stockade<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = self.command(self.program());
        command.args(arguments);
        command
    }

    /// `stockade run` with these options, of a shell script.
    pub(crate) fn script(&self, options: &[&str], script: &str) -> Command {
        let mut command = self.stockade(["run"]);
        command.args(options).args(["--", "sh", "-c", script]);
        command
    }

    /// Runs it to its end.
    pub(crate) fn outcome(&self, command: &mut Command) -> Outcome {
        Outcome::of(command.output().expect("stockade starts"))
    }

    /// Everything in the workspace: kind, mode, and content.
    pub(crate) fn snapshot(&self) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let mut found = BTreeMap::new();
        let mut open = vec![self.workspace()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(&directory).expect("a readable directory").flatten() {
                let path = entry.path();
                let data = fs::symlink_metadata(&path).expect("metadata");
                let content = if data.is_file() { fs::read(&path).expect("a readable file") } else { Vec::new() };
                if data.is_dir() {
                    open.push(path.clone());
                }
                found.insert(path, (data.mode(), content));
            }
        }
        found
    }
}

/// Options with which tier `landlock` runs.
pub(crate) const LANDLOCK: &[&str] = &[
    "--isolation",
    "landlock",
    "--accept-degraded",
    "files,file-visibility,caches,protected-files,process-visibility,lifetime,loopback,ipc",
];

/// Options of both tiers.
pub(crate) const TIERS: &[&[&str]] = &[&["--isolation", "namespaces"], LANDLOCK];

/// The program under test: `STOCKADE_BIN`, or what cargo builds from this tree.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(path) = std::env::var_os("STOCKADE_BIN") {
            return path.into();
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
        let build =
            ["build", "--quiet", "-p", "stockade-cli", "--bin", "stockade-faults", "--features", "fault-injection"];
        let built = Command::new(cargo).args(build).args(["--manifest-path", manifest]).status();
        assert!(built.expect("cargo runs").success(), "cargo cannot build stockade-faults");
        let target = Path::new(env!("CARGO_BIN_EXE_attacks")).parent().expect("a directory of binaries");
        target.join("stockade-faults")
    })
}
