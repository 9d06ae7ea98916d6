//! A workspace and a state directory for one test, both removed at its end.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::fs;
use std::path::{Path, PathBuf};

use stockade_spec::glob::{Case, Rules};
use stockade_workspace::{Before, Finding, Hold, Options, Quarantine, StateDirectory, Swept, sweep};

pub(crate) const HELD: Options = Options { hold: Hold::ReadOnly, privilege_bits: true };
pub(crate) const OPEN: Options = Options { hold: Hold::Open, privilege_bits: true };

pub(crate) struct Place {
    _keep: tempfile::TempDir,
    pub(crate) workspace: PathBuf,
    pub(crate) home: PathBuf,
    pub(crate) state: StateDirectory,
    pub(crate) rules: Rules,
}

pub(crate) fn rules() -> Rules {
    let texts = [
        "**/.git/hooks",
        "**/.git/config",
        "**/.envrc",
        "**/.husky/",
        "**/.vscode",
        ".claude/settings.json",
        "**/.github/workflows",
        "deploy/hooks/**",
    ];
    Rules::new(texts, Case::Folded).expect("rules")
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::keep(tempfile::tempdir().expect("a directory"))
    }

    /// In memory, where many directories are made quickly.
    pub(crate) fn in_memory() -> Self {
        Self::keep(tempfile::tempdir_in("/dev/shm").expect("a directory in memory"))
    }

    fn keep(keep: tempfile::TempDir) -> Self {
        let base = keep.path().canonicalize().expect("its path");
        let workspace = base.join("work");
        fs::create_dir(&workspace).expect("a workspace");
        let state = StateDirectory::new(&base.join("state")).expect("a state directory");
        Self { _keep: keep, workspace, home: base.join("home"), state, rules: rules() }
    }

    pub(crate) fn file(&self, path: &str, text: &str) -> PathBuf {
        let path = self.workspace.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("parents");
        fs::write(&path, text).expect("a file");
        path
    }

    /// A repository as `git init` leaves it.
    pub(crate) fn repository(&self, path: &str) {
        self.file(&format!("{path}/HEAD"), "ref: refs/heads/main\n");
        self.file(&format!("{path}/config"), "[core]\n\tbare = false\n");
        self.file(&format!("{path}/hooks/pre-commit.sample"), "#!/bin/sh\n");
        for name in ["objects", "refs"] {
            fs::create_dir_all(self.workspace.join(path).join(name)).expect("a directory");
        }
    }

    pub(crate) fn before(&self) -> Before {
        Before::take(&self.workspace, &self.rules, &self.home).expect("a scan")
    }

    pub(crate) fn sweep(&self, before: &Before, options: &Options) -> Swept {
        let mut quarantine = Quarantine::new(&self.state, before);
        let swept = sweep(before, &self.rules, options, &mut quarantine);
        assert!(swept.incomplete.is_none(), "{:?}", swept.incomplete);
        assert!(swept.failures.is_empty(), "{:?}", swept.failures);
        swept
    }

    pub(crate) fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.workspace.join(path).symlink_metadata().is_ok()
    }
}

/// The paths that were put away, in order.
pub(crate) fn put_away(swept: &Swept) -> Vec<String> {
    let mut paths: Vec<String> = swept
        .findings
        .iter()
        .filter_map(|finding| match finding {
            Finding::PutAway { path, .. } => Some(path.to_string_lossy().into_owned()),
            _ => None,
        })
        .collect();
    paths.sort();
    paths
}
