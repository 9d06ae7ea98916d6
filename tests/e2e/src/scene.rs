//! The place of one run: a home with secrets, a workspace in it, and things outside.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::attack::{Attempt, Failed};

/// What every secret of a scene holds. The attempts look for it, and never know it from elsewhere.
pub const CANARY: &str = "canary-7f3a";

/// What the workspace's file about the scene is called.
const ABOUT: &str = "scene.txt";

/// The place of one run.
#[derive(Clone, Debug)]
pub struct Scene {
    facts: BTreeMap<String, String>,
    base: PathBuf,
}

impl Scene {
    /// Builds a scene below an empty directory, as the user who runs.
    ///
    /// # Errors
    /// When a file cannot be made, or git is missing.
    pub fn build(base: &Path) -> io::Result<()> {
        let scene = Self { facts: BTreeMap::new(), base: base.to_owned() };
        let outside =
            ["canary.txt", "victim.txt", "stdin.txt", "linked/canary.txt"].map(|name| scene.outside().join(name));
        let home = [
            ".ssh/id_ed25519",
            ".aws/credentials",
            ".netrc",
            ".config/gh/hosts.yml",
            ".bashrc",
            ".profile",
            ".cache/pip/wheel",
            ".local/bin/tool",
            ".docker/config.json",
            ".local/share/keyrings/login.keyring",
        ];
        for path in outside.into_iter().chain(home.map(|name| scene.home().join(name))) {
            put(&path, format!("{CANARY} in {}\n", path.display()))?;
        }
        fs::set_permissions(scene.home().join(".ssh/id_ed25519"), fs::Permissions::from_mode(0o600))?;
        put(&scene.workspace().join("README"), "work\n")?;
        put(&scene.workspace().join("secrets/key.txt"), format!("{CANARY} in the workspace\n"))?;
        put(&scene.home().join(".gitconfig"), "[user]\n\tname = Ann\n\temail = ann@example.org\n")?;
        symlink("README", scene.workspace().join("link"))?;
        for arguments in [&["init", "-q", "-b", "main"][..], &["add", "README"], &["commit", "-q", "-m", "start"]] {
            let done = scene.git(&scene.workspace(), arguments)?;
            if !done {
                return Err(io::Error::other(format!("git {arguments:?} failed in the new workspace")));
            }
        }
        Ok(())
    }

    /// Reads the scene of a workspace.
    ///
    /// # Errors
    /// When its file is missing.
    pub fn open(workspace: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(workspace.join(ABOUT))?;
        let facts: BTreeMap<_, _> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let base = facts.get("base").map(PathBuf::from).ok_or_else(|| io::Error::other("the scene names no base"))?;
        Ok(Self { facts, base })
    }

    /// Writes down what attempts may know: where things lie, never what is in them.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn describe(base: &Path, facts: &str) -> io::Result<()> {
        put(&base.join("home/project").join(ABOUT), format!("base={}\n{facts}", base.display()))
    }

    /// The home.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.base.join("home")
    }

    /// The workspace, below home.
    #[must_use]
    pub fn workspace(&self) -> PathBuf {
        self.base.join("home/project")
    }

    /// A directory that the sandbox has nothing to do with.
    #[must_use]
    pub fn outside(&self) -> PathBuf {
        self.base.join("outside")
    }

    /// The word that names of this scene have in them where names are machine-wide.
    #[must_use]
    pub fn word(&self) -> String {
        self.base.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// A file in the host's `/tmp`.
    #[must_use]
    pub fn in_tmp(&self) -> PathBuf {
        Path::new("/tmp").join(format!("{}.shared", self.word()))
    }

    /// The file whose appearance tells that something planted was executed.
    #[must_use]
    pub fn fired(&self) -> PathBuf {
        self.outside().join("fired")
    }

    /// A number that the host process gave: its process id, a port, an identifier.
    ///
    /// # Errors
    /// When the host process could not provide it.
    pub fn number<N: std::str::FromStr>(&self, name: &str) -> Result<N, Failed> {
        let value = self.facts.get(name).and_then(|value| value.parse().ok());
        value.ok_or_else(|| Failed::untried(format!("the host process gave no `{name}`")))
    }

    /// Runs git as the user would, on the host.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn git(&self, directory: &Path, arguments: &[&str]) -> io::Result<bool> {
        let mut git = Command::new("git");
        git.args(arguments).current_dir(directory).env_clear().env("HOME", self.home());
        git.env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        git.status().map(|status| status.success())
    }
}

/// Writes a file and makes the directories above it.
///
/// # Errors
/// With the path.
pub fn put(path: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|error| named(parent, &error))?;
    }
    fs::write(path, content).map_err(|error| named(path, &error))
}

/// The error with the path before it, as programs print it.
#[must_use]
pub fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Reads a secret.
///
/// # Errors
/// When the path cannot be read, or leads to something else.
pub fn read_canary(path: &Path) -> Attempt {
    let content = fs::read(path).map_err(|error| named(path, &error))?;
    holds_canary(&content).map_err(|_| Failed::refused(format!("{}: another file", path.display())))
}

/// Whether what was read is a secret.
///
/// # Errors
/// When it is not.
pub fn holds_canary(content: &[u8]) -> Attempt {
    let found = content.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
    if found { Ok(()) } else { Err(Failed::refused("what was read is no secret")) }
}
