//! Packages of any suite of the Debian archive that this machine's apt is configured with.
//!
//! apt is used with lists and caches of its own, so the machine's configuration stays as it is and no privilege is
//! needed. Signatures are checked as ever, against Debian's own keyring.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Failure, output_of};

/// Debian's keys, from the package `debian-archive-keyring`, which holds those of newer releases too.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Names under which a machine's own release may stand in its sources, besides its code name.
const RELEASES: &[&str] = &["stable", "oldstable"];

/// Lists that are of no use here, and large.
const UNUSED_LISTS: &[&str] = &["DEP-11", "DEP-11-icons-small", "DEP-11-icons", "DEP-11-icons-large"];

/// One suite, with its lists fetched.
#[derive(Debug)]
pub(super) struct Suite {
    options: Vec<String>,
}

impl Suite {
    /// Fetches the lists of a suite into `directory`.
    pub(super) fn open(directory: &Path, suite: &str) -> Result<Self, Failure> {
        for list in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(directory.join(list))?;
        }
        let archive = archive()?;
        let source = directory.join("sources.list");
        fs::write(&source, format!("deb [signed-by={KEYRING}] {archive} {suite} main\n"))?;
        let mut options = vec![
            format!("Dir::Etc::SourceList={}", source.display()),
            "Dir::Etc::SourceParts=-".to_owned(),
            format!("Dir::State::Lists={}", directory.join("lists").display()),
            format!("Dir::Cache={}", directory.join("cache").display()),
            "Acquire::Languages=none".to_owned(),
            "Acquire::Retries=3".to_owned(),
        ];
        options.extend(
            UNUSED_LISTS.iter().map(|list| format!("Acquire::IndexTargets::deb::{list}::DefaultEnabled=false")),
        );
        let suite = Self { options };
        output_of(suite.command("apt-get").args(["--quiet", "update"]))?;
        Ok(suite)
    }

    /// The package that a package of no content depends on: `linux-image-amd64` names the newest kernel.
    pub(super) fn newest(&self, package: &str) -> Result<String, Failure> {
        let shown = output_of(self.command("apt-cache").args(["show", "--no-all-versions", package]))?;
        let shown = String::from_utf8(shown)?;
        let depends = shown.lines().find_map(|line| line.strip_prefix("Depends: "));
        let first = depends.and_then(|names| names.split([',', ' ']).next()).filter(|name| !name.is_empty());
        Ok(first.ok_or_else(|| format!("package {package} depends on nothing"))?.to_owned())
    }

    /// Downloads a package into an empty directory.
    pub(super) fn download(&self, package: &str, directory: &Path) -> Result<PathBuf, Failure> {
        output_of(self.command("apt-get").args(["--quiet", "download", package]).current_dir(directory))?;
        let file = fs::read_dir(directory)?.next().ok_or_else(|| format!("apt-get left no file of {package}"))??;
        Ok(file.path())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for option in &self.options {
            command.args(["-o", option]);
        }
        command
    }
}

/// Where this machine's own Debian packages come from.
fn archive() -> Result<String, Failure> {
    let targets = output_of(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI) $(RELEASE) $(COMPONENT)",
        "Identifier: Packages",
    ]))?;
    let own = code_name()?;
    let targets = String::from_utf8(targets)?;
    let found = targets.lines().find_map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
        [uri, release, "main"] if release == own || RELEASES.contains(&release) => Some(uri.to_owned()),
        _ => None,
    });
    found.ok_or_else(|| format!("apt on this machine is configured with no Debian archive of {own:?}").into())
}

/// The code name of this machine's release, if it is Debian.
fn code_name() -> Result<String, Failure> {
    let release = fs::read_to_string("/etc/os-release")?;
    let value = |key: &str| release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    match (value("ID"), value("VERSION_CODENAME")) {
        (Some("debian"), Some(name)) => Ok(name.trim_matches('"').to_owned()),
        _ => Err("the kernels come from the archive of a Debian machine, and this is none".into()),
    }
}
