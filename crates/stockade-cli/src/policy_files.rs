//! Finds and reads policy files. A default one may be absent; one that is there must be readable.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};
use stockade::policy::Source;

use crate::failure::{Failure, FileProblem};

/// The machine's policy.
pub(crate) const MACHINE: &str = "/etc/stockade/policy.toml";

/// The name of a workspace's own, untrusted policy.
pub(crate) const WORKSPACE: &str = ".stockade.toml";

/// Bytes that a policy file may have. Everything that a person writes fits; a file that is larger is a mistake or an
/// attempt to exhaust the reader.
const MAX_POLICY: u64 = 256 << 10;

/// One policy file as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PolicyFile {
    /// Where it was read from.
    pub(crate) path: PathBuf,
    /// The name by which messages speak of it.
    pub(crate) name: String,
    /// What it says.
    pub(crate) text: String,
}

impl PolicyFile {
    fn new(path: &Path, text: String) -> Self {
        Self { path: path.to_owned(), name: path.to_string_lossy().into_owned(), text }
    }

    /// Where it lies, as far as that can be told.
    pub(crate) fn real_path(&self) -> PathBuf {
        std::fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone())
    }

    /// The text for the library.
    pub(crate) fn source(&self) -> Source<'_> {
        Source { name: &self.name, text: &self.text }
    }

    /// A policy that holds the given files of the workspace read-only: what runs inside must not write the policy of the
    /// next run. `None` where there are none.
    pub(crate) fn protecting(files: &[PolicyFile], workspace: &Path) -> Option<Self> {
        let below = |file: &PolicyFile| {
            let path = file.real_path();
            Some(pattern(&path.strip_prefix(workspace).ok()?.to_string_lossy()))
        };
        let patterns: Vec<String> = files.iter().filter_map(below).collect();
        let text = format!("version = 1\nfilesystem.protect = [{}]\n", patterns.join(", "));
        (!patterns.is_empty()).then(|| Self::new(Path::new("policy files in the workspace"), text))
    }
}

/// A path as a quoted rule. Whatever could mean something else in a rule or a string becomes `?`, any one character,
/// which protects a little more than needed.
fn pattern(path: &str) -> String {
    let plain = |character: char| character.is_alphanumeric() || matches!(character, '/' | '.' | '-' | '_' | ' ');
    let characters: String = path.chars().map(|character| if plain(character) { character } else { '?' }).collect();
    format!("\"{characters}\"")
}

/// Reads a file that must be there.
///
/// # Errors
/// When it cannot be read, is not text, or is too large.
pub(crate) fn read(path: &Path) -> Result<PolicyFile, Failure> {
    let opened = File::open(path).map_err(|source| failed(path, FileProblem::Unreadable(source)))?;
    contents(path, opened)
}

/// Reads a file that was named, from a run in `workspace`: what runs inside must not be able to put another in its place.
///
/// # Errors
/// As [`read`], and when the way to it leads through a symbolic link in the workspace.
pub(crate) fn read_named(path: &Path, workspace: &Path) -> Result<PolicyFile, Failure> {
    let through_link = path.ancestors().any(|step| {
        let parent = step.parent().and_then(|parent| std::fs::canonicalize(parent).ok());
        step.is_symlink() && parent.is_some_and(|parent| parent.starts_with(workspace))
    });
    if through_link {
        return Err(failed(path, FileProblem::BehindLink));
    }
    read(path)
}

/// Reads a file that may be absent.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_default(path: &Path) -> Result<Option<PolicyFile>, Failure> {
    match File::open(path) {
        Ok(opened) => contents(path, opened).map(Some),
        Err(error) if is_absence(&error) => Ok(None),
        Err(source) => Err(failed(path, FileProblem::Unreadable(source))),
    }
}

/// Reads the workspace's own policy, which hostile code may have put there: a regular file, never a link or a FIFO.
///
/// # Errors
/// As [`read`], and when it is not a regular file.
pub(crate) fn read_workspace(workspace: &Path) -> Result<Option<PolicyFile>, Failure> {
    let path = workspace.join(WORKSPACE);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    match rustix::fs::open(&path, flags, Mode::empty()).map_err(io::Error::from) {
        Ok(opened) => contents(&path, opened.into()).map(Some),
        Err(error) if is_absence(&error) => Ok(None),
        // Opening a link without following it fails with ELOOP, a socket with ENXIO.
        Err(error) if [rustix::io::Errno::LOOP, rustix::io::Errno::NXIO].iter().any(|e| is(&error, *e)) => {
            Err(failed(&path, FileProblem::NotRegular))
        }
        Err(source) => Err(failed(&path, FileProblem::Unreadable(source))),
    }
}

/// Reads standard input as a policy.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_stdin() -> Result<PolicyFile, Failure> {
    text(Path::new("standard input"), io::stdin().lock())
}

fn contents(path: &Path, opened: File) -> Result<PolicyFile, Failure> {
    let status = rustix::fs::fstat(&opened).map_err(|source| failed(path, FileProblem::Unreadable(source.into())))?;
    match FileType::from_raw_mode(status.st_mode) {
        FileType::RegularFile => text(path, opened),
        // Process substitution, `--policy <(generate)`, hands over a pipe; its reader waits for whoever the user named.
        FileType::Fifo if !path.ends_with(WORKSPACE) => text(path, opened),
        _ => Err(failed(path, FileProblem::NotRegular)),
    }
}

fn text(path: &Path, input: impl Read) -> Result<PolicyFile, Failure> {
    let mut bytes = Vec::new();
    let read = input.take(MAX_POLICY + 1).read_to_end(&mut bytes);
    read.map_err(|source| failed(path, FileProblem::Unreadable(source)))?;
    if bytes.len() as u64 > MAX_POLICY {
        return Err(failed(path, FileProblem::TooLarge(MAX_POLICY)));
    }
    let text = String::from_utf8(bytes).map_err(|_| failed(path, FileProblem::NotText))?;
    Ok(PolicyFile::new(path, text))
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn is(error: &io::Error, errno: rustix::io::Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

fn failed(path: &Path, problem: FileProblem) -> Failure {
    Failure::PolicyFile { path: path.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn problem(result: Result<Option<PolicyFile>, Failure>) -> FileProblem {
        match result {
            Err(Failure::PolicyFile { problem, .. }) => problem,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn absence_is_no_error_for_defaults_only() {
        let folder = tempfile::tempdir().expect("folder");
        let missing = folder.path().join("policy.toml");
        assert_eq!(read_default(&missing).expect("absent"), None);
        assert_eq!(read_workspace(folder.path()).expect("absent"), None);
        assert!(read(&missing).is_err());
    }

    #[test]
    fn a_workspace_policy_is_a_regular_file() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join(WORKSPACE);
        std::fs::write(folder.path().join("elsewhere"), "version = 1").expect("write");
        symlink("elsewhere", &path).expect("link");
        assert!(matches!(problem(read_workspace(folder.path())), FileProblem::NotRegular));
        std::fs::remove_file(&path).expect("remove");

        rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::RUSR).expect("fifo");
        assert!(matches!(problem(read_workspace(folder.path())), FileProblem::NotRegular));
        std::fs::remove_file(&path).expect("remove");

        std::fs::create_dir(&path).expect("directory");
        assert!(matches!(problem(read_workspace(folder.path())), FileProblem::NotRegular));
        std::fs::remove_dir(&path).expect("remove");

        std::fs::write(&path, "version = 1").expect("write");
        let file = read_workspace(folder.path()).expect("read").expect("present");
        assert_eq!((file.text.as_str(), file.path), ("version = 1", path));
    }

    #[test]
    fn policies_in_the_workspace_protect_themselves() {
        let folder = tempfile::tempdir().expect("folder");
        let workspace = std::fs::canonicalize(folder.path()).expect("canonical");
        let file = |path: PathBuf| {
            std::fs::write(&path, "version = 1").expect("write");
            read(&path).expect("read")
        };
        let outside = tempfile::tempdir().expect("folder");
        let outer = file(outside.path().join("p.toml"));
        assert_eq!(PolicyFile::protecting(std::slice::from_ref(&outer), &workspace), None);
        let files = [outer, file(workspace.join("a.toml")), file(workspace.join("b\"*.toml"))];
        let policy = PolicyFile::protecting(&files, &workspace).expect("protects");
        assert_eq!(policy.text, "version = 1\nfilesystem.protect = [\"a.toml\", \"b??.toml\"]\n");
        assert_eq!(stockade::policy::check(policy.source()), Vec::new());
    }

    #[test]
    fn no_link_in_the_workspace_leads_to_a_policy() {
        let folder = tempfile::tempdir().expect("folder");
        let base = std::fs::canonicalize(folder.path()).expect("canonical");
        let workspace = base.join("workspace");
        std::fs::create_dir_all(workspace.join("real")).expect("directories");
        for path in ["workspace/real/p.toml", "p.toml"] {
            std::fs::write(base.join(path), "version = 1").expect("write");
        }
        for (link, target) in [("workspace/ci", "real"), ("workspace/q.toml", "../p.toml"), ("outer", "workspace/real")]
        {
            symlink(target, base.join(link)).expect("link");
        }
        for (path, allowed) in [
            ("p.toml", true),
            ("workspace/real/p.toml", true),
            ("workspace/../p.toml", true),
            ("outer/p.toml", true),
            ("workspace/ci/p.toml", false),
            ("workspace/ci/../real/p.toml", false),
            ("workspace/q.toml", false),
        ] {
            assert_eq!(read_named(&base.join(path), &workspace).is_ok(), allowed, "{path}");
        }
    }

    #[test]
    fn size_and_encoding_are_checked() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join(WORKSPACE);
        let most = usize::try_from(MAX_POLICY).expect("fits");
        std::fs::write(&path, vec![b' '; most]).expect("write");
        assert_eq!(read_workspace(folder.path()).expect("read").expect("present").text.len(), most);
        std::fs::write(&path, vec![b' '; most + 1]).expect("write");
        assert!(matches!(problem(read_workspace(folder.path())), FileProblem::TooLarge(MAX_POLICY)));
        std::fs::write(&path, b"# \xff").expect("write");
        assert!(matches!(problem(read_workspace(folder.path())), FileProblem::NotText));
    }
}
