//! Runs the program in a home and a workspace of its own.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A made-up user with an empty home and an empty workspace.
pub(crate) struct User {
    folder: TempDir,
}

impl User {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        for name in ["home", "workspace"] {
            std::fs::create_dir(folder.path().join(name)).expect("directory");
        }
        Self { folder }
    }

    /// A path in the folder that holds `home` and `workspace`.
    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        std::fs::canonicalize(self.folder.path()).expect("canonical").join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> std::path::PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("directory");
        std::fs::write(&path, text).expect("write");
        path
    }

    /// The program in the workspace, with nothing in its environment but what it needs.
    pub(crate) fn stockade(&self, arguments: &[&str]) -> Command {
        self.stockade_in(&self.path("workspace"), arguments)
    }

    pub(crate) fn stockade_in(&self, directory: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stockade"));
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
