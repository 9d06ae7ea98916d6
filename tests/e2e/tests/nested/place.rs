//! Where one trial takes place: a home with a workspace in it, and the program under test in the workspace.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use crate::user::User;

/// The consent with which an inner run works, whatever the outer sandbox leaves it.
pub(crate) const CONSENT: &str =
    "files,file-visibility,caches,protected-files,process-visibility,lifetime,loopback,ipc";

/// The place of a trial, and who runs things there.
pub(crate) struct Place {
    user: User,
    base: PathBuf,
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Fails unless it ended with that status.
    pub(crate) fn ends(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "{self:#?}");
        self
    }
}

impl Place {
    /// Makes a place, tries something there, and removes it.
    pub(crate) fn with(user: &User, run: impl FnOnce(&Self)) {
        // Not in /tmp, which is another directory inside of a sandbox.
        let folder = tempfile::Builder::new().prefix("stockade-nested-").tempdir_in("/var/tmp").expect("a directory");
        let base = fs::canonicalize(folder.path()).expect("a canonical path");
        fs::set_permissions(&base, fs::Permissions::from_mode(0o711)).expect("permissions");
        let place = Self { user: user.clone(), base };
        for name in ["home", "home/work"] {
            fs::create_dir(place.base.join(name)).expect("a new directory");
            place.user.own(&place.base.join(name)).expect("chown");
        }
        fs::copy(program(), place.workspace().join("stockade")).expect("a copy of the program");
        run(&place);
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.base.join("home/work")
    }

    /// Makes a file in the workspace.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.workspace().join(name), content).expect("a new file");
    }

    /// Runs a program in the workspace, with no more in its environment than it needs.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, program: &str, arguments: impl IntoIterator<Item = A>) -> Outcome {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.workspace()).env_clear().stdin(Stdio::null());
        command.env("HOME", self.base.join("home")).env("PATH", "/usr/local/bin:/usr/bin:/bin").env("SHELL", "/bin/sh");
        self.user.becomes(&mut command);
        let output = command.output().expect("the program starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Outcome { status: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Runs a shell script in a sandbox of the strongest tier.
    pub(crate) fn outer(&self, script: &str) -> Outcome {
        self.run("./stockade", ["run", "--isolation", "namespaces", "--", "sh", "-c", script])
    }

    /// The JSON that an inner run left in a file of the workspace.
    pub(crate) fn json(&self, name: &str) -> Value {
        let text = fs::read(self.workspace().join(name)).expect("the file was written");
        serde_json::from_slice(&text).expect("JSON")
    }
}

/// The program under test: `STOCKADE_BIN`, or what cargo builds from this tree.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(path) = std::env::var_os("STOCKADE_BIN") {
            return path.into();
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
        let build = ["build", "--quiet", "-p", "stockade-cli", "--bin", "stockade", "--manifest-path", manifest];
        assert!(Command::new(cargo).args(build).status().expect("cargo runs").success(), "cargo cannot build stockade");
        Path::new(env!("CARGO_BIN_EXE_attacks")).parent().expect("a directory of binaries").join("stockade")
    })
}
