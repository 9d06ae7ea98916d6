//! Where one trial takes place: a home with a repository in it, and the programs under test.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use crate::leftovers;
use crate::run;
use crate::tree::Tree;
use crate::user::User;

/// The place of a trial, and who runs things there.
pub(crate) struct Place {
    user: User,
    base: PathBuf,
    /// Control groups that others have left.
    groups: Vec<PathBuf>,
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Exit status; 1,000 and more for the signal that ended the program itself.
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn of(output: &Output) -> Self {
        let status = output.status.code().unwrap_or_else(|| 1_000 + output.status.signal().unwrap_or_default());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { status, stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

impl Place {
    /// Makes a place, tries something there, and removes it. Everything that ran in it is ended, and nothing may be left.
    pub(crate) fn with(user: &User, run: impl FnOnce(&Self)) {
        let folder = tempfile::Builder::new().prefix("sandboxes-").tempdir().expect("a temporary directory");
        let base = fs::canonicalize(folder.path()).expect("a canonical path");
        fs::set_permissions(&base, fs::Permissions::from_mode(0o755)).expect("permissions");
        let place = Self { user: user.clone(), base, groups: leftovers::groups() };
        for name in ["home", "home/project", "home/project/src", "tmp", "outside"] {
            place.directory(name);
        }
        place.file("home/.gitconfig", "[user]\n\tname = Ann\n\temail = ann@example.org\n");
        place.file("home/project/README", "work\n");
        place.file("home/project/src/main.c", "#include <stdio.h>\nint main(void) { puts(\"one\"); return 0; }\n");
        place.file("home/project/build.sh", "set -e\ngcc -o main src/main.c\n./main\n");
        place.file("outside/victim.txt", "untouched\n");
        // The target directory may lie where an ordinary user cannot go.
        fs::copy(program(), place.program()).expect("a copy of the program");
        for arguments in [&["init", "-q", "-b", "main"][..], &["add", "."], &["commit", "-q", "-m", "start"]] {
            let status = place.command("git").args(arguments).status().expect("git runs");
            assert!(status.success(), "git {arguments:?}");
        }
        let result = catch_unwind(AssertUnwindSafe(|| run(&place)));
        place.stop_all();
        if let Err(panic) = result {
            // What it left is taken away, so that the next trial can be made.
            drop(catch_unwind(AssertUnwindSafe(|| leftovers::none(&place))));
            resume_unwind(panic);
        }
        leftovers::none(&place);
    }

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

    pub(crate) fn groups(&self) -> &[PathBuf] {
        &self.groups
    }

    pub(crate) fn base(&self) -> &Path {
        &self.base
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.path("home/project")
    }

    /// The state directory.
    pub(crate) fn state(&self) -> PathBuf {
        self.path("home/.local/state/stockade")
    }

    /// The folder of a sandbox.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.state().join("sandboxes").join(name)
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
        self.directory(Path::new(name).parent().and_then(Path::to_str).unwrap_or_default());
        fs::write(&path, content).expect("a new file");
        self.user.own(&path).expect("chown");
        path
    }

    /// A program that the user runs in the workspace, with no more in its environment than it needs.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.workspace()).env_clear().stdin(Stdio::null());
        command
            .env("HOME", self.path("home"))
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("SHELL", "/bin/sh").env("TMPDIR", self.path("tmp")).env("LANG", "C.UTF-8");
        self.user.becomes(&mut command);
        command
    }

    /// `stockade` with these arguments.
    pub(crate) fn stockade(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(self.program());
        command.args(arguments);
        command
    }

    /// `stockade` with these words, which tells what there is to be told as JSON.
    pub(crate) fn call(&self, words: &[&str]) -> Command {
        let mut command = self.stockade(words);
        command.args(matches!(words.first(), Some(&("apply" | "diff" | "log" | "ls"))).then_some("--json"));
        command
    }

    /// Runs a program to its end.
    pub(crate) fn outcome(&self, command: &mut Command) -> Outcome {
        Outcome::of(&command.output().expect("the program starts"))
    }

    /// Makes a sandbox of the workspace.
    pub(crate) fn create(&self, name: &str, options: &[&str]) {
        let outcome = self.outcome(self.stockade(&["create", "--name", name]).args(options));
        assert_eq!(outcome.status, 0, "create {name}: {}", outcome.stderr);
    }

    /// A shell script in a sandbox.
    pub(crate) fn script(&self, name: &str, script: &str) -> Command {
        self.stockade(&["exec", name, "--", "sh", "-c", script])
    }

    /// Runs a shell script in a sandbox, to its end.
    pub(crate) fn exec(&self, name: &str, script: &str) -> Outcome {
        self.outcome(&mut self.script(name, script))
    }

    /// What a shell script prints, which has to succeed.
    pub(crate) fn good(&self, name: &str, script: &str) -> String {
        let outcome = self.exec(name, script);
        assert_eq!(outcome.status, 0, "{script}: {} {}", outcome.stdout, outcome.stderr);
        outcome.stdout
    }

    /// Starts a shell script in a sandbox.
    pub(crate) fn start(&self, name: &str, script: &str) -> Child {
        let mut command = self.script(name, script);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
    }

    /// What `stockade` prints, which has to succeed.
    pub(crate) fn done(&self, words: &[&str]) -> String {
        let outcome = self.outcome(&mut self.call(words));
        assert_eq!(outcome.status, 0, "{words:?}: {} {}", outcome.stdout, outcome.stderr);
        outcome.stdout.trim_end().to_owned()
    }

    /// What runs in a sandbox: commands and processes; `None` where it has no supervisor.
    pub(crate) fn running(&self, name: &str) -> Option<(u64, u64)> {
        let all: Value = serde_json::from_str(&self.done(&["ls"])).expect("JSON");
        let all = all["sandboxes"].as_array().expect("sandboxes");
        let one = all.iter().find(|one| one["name"] == name).expect("the sandbox");
        (one["state"] != "idle")
            .then(|| (one["commands"].as_u64().unwrap_or(0), one["processes"].as_u64().unwrap_or(0)))
    }

    /// What the workspace holds on the host.
    pub(crate) fn host(&self) -> Tree {
        Tree::of(&self.workspace())
    }

    /// What a sandbox's workspace holds, by a program inside.
    pub(crate) fn seen(&self, name: &str) -> String {
        self.good(name, SEEN)
    }

    fn stop_all(&self) {
        let Ok(list) = fs::read_dir(self.state().join("sandboxes")) else { return };
        for entry in list.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // Those that a trial has damaged cannot be opened; what runs in them is found by the look at what is left.
            drop(self.outcome(&mut self.stockade(&["stop", &name])));
        }
    }
}

/// Prints every path of the workspace but git's own, with kind, mode and content.
const SEEN: &str = "find . -path ./.git -prune -o -printf '%p %y %m %l\\n' | LC_ALL=C sort
    find . -path ./.git -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 -r cksum";

/// The program under test.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| run::stockade().expect("the program under test"))
}
