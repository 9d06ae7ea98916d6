//! Runs the program in a home and a workspace of its own.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A number that no user of the machine has.
const ORDINARY: u32 = 61_234;

/// A made-up user with an empty home and an empty workspace.
pub(crate) struct User {
    folder: TempDir,
    program: PathBuf,
    /// Whether it is not the user who runs the tests, but one without privileges.
    ordinary: bool,
}

impl User {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        for name in ["home", "workspace"] {
            std::fs::create_dir(folder.path().join(name)).expect("directory");
        }
        Self { folder, program: env!("CARGO_BIN_EXE_stockade").into(), ordinary: false }
    }

    /// One without privileges: where root runs the tests, another than root.
    pub(crate) fn ordinary() -> Self {
        let mut user = Self::new();
        if std::fs::metadata("/proc/self")
            .map(|own| std::os::unix::fs::MetadataExt::uid(&own))
            .is_ok_and(|uid| uid == 0)
        {
            // The tests may have been built where nobody else can look.
            let program = user.path("program");
            std::fs::copy(&user.program, &program).expect("copy");
            user.program = program;
            user.ordinary = true;
            ["", "home", "workspace"].into_iter().for_each(|name| user.give(&user.path(name)));
        }
        user
    }

    /// Makes a path the user's own.
    fn give(&self, path: &Path) {
        if self.ordinary {
            std::os::unix::fs::chown(path, Some(ORDINARY), Some(ORDINARY)).expect("chown");
        }
    }

    /// A path in the folder that holds `home` and `workspace`.
    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        std::fs::canonicalize(self.folder.path()).expect("canonical").join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> std::path::PathBuf {
        let path = self.path(name);
        let folder = path.parent().expect("parent");
        std::fs::create_dir_all(folder).expect("directory");
        std::fs::write(&path, text).expect("write");
        [folder, &path].into_iter().for_each(|path| self.give(path));
        path
    }

    /// The program in the workspace, with nothing in its environment but what it needs.
    pub(crate) fn stockade(&self, arguments: &[&str]) -> Command {
        self.stockade_in(&self.path("workspace"), arguments)
    }

    /// A shell in the workspace, which finds the program by its name.
    pub(crate) fn shell(&self, script: &str) -> Command {
        let folder = self.program.parent().expect("a folder").display();
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(self.path("workspace")).env_clear().stdin(Stdio::null());
        command.env("HOME", self.path("home")).env("PATH", format!("{folder}:/usr/local/bin:/usr/bin:/bin"));
        command
    }

    pub(crate) fn stockade_in(&self, directory: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        if self.ordinary {
            command.uid(ORDINARY).gid(ORDINARY);
        }
        command.args(arguments).current_dir(directory).env_clear().stdin(Stdio::null());
        command.env("HOME", self.path("home")).env("PATH", "/usr/local/bin:/usr/bin:/bin").env("SHELL", "/bin/sh");
        command
    }
}

/// Exit status, standard output, standard error.
pub(crate) fn outcome(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("started");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code().expect("exited"), text(stdout), text(stderr))
}
