//! Turns what was typed and who called into a request: the paths are looked up here, once.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use stockade::Request;
use stockade::request::{Terminal, Trace};

use crate::arguments::SandboxOptions;
use crate::caller::Caller;
use crate::failure::Failure;

/// What one run asks for.
///
/// # Errors
/// When the workspace is not a directory, or the current directory is gone.
pub(crate) fn request(
    command: Vec<OsString>,
    options: &SandboxOptions,
    caller: &Caller,
    here: &Path,
) -> Result<Request, Failure> {
    let workspace = workspace(options.workspace.as_deref(), here)?;
    let directory = if here.starts_with(&workspace) { here.to_owned() } else { workspace.clone() };
    let command = if command.is_empty() { vec![caller.shell.clone()] } else { command };
    Ok(Request {
        command,
        temporary: temporary(caller, Some(&workspace)),
        workspace,
        directory,
        home: caller.home.clone(),
        environment: caller.environment.clone(),
        terminal: terminal(),
        isolation: options.isolation,
        trace: options.trace.unwrap_or_default(),
        run_id: run_id(),
        layers: None,
    })
}

/// A request for a command that does nothing, in a workspace of its own.
pub(crate) fn trivial(workspace: &Path, caller: &Caller) -> Request {
    Request {
        command: vec!["true".into()],
        workspace: workspace.to_owned(),
        directory: workspace.to_owned(),
        home: caller.home.clone(),
        environment: caller.environment.clone(),
        terminal: Terminal::default(),
        isolation: None,
        trace: Trace::Off,
        temporary: temporary(caller, Some(workspace)),
        run_id: run_id(),
        layers: None,
    }
}

/// The workspace: the directory that was named, or the current one.
fn workspace(named: Option<&Path>, here: &Path) -> Result<PathBuf, Failure> {
    let Some(named) = named else { return Ok(here.to_owned()) };
    let failed = |source| Failure::Workspace { path: named.to_owned(), source };
    let path = std::fs::canonicalize(named).map_err(failed)?;
    // A directory that cannot be searched fails here too, before anything is set up in it.
    std::fs::metadata(path.join(".")).map_err(failed)?;
    Ok(path)
}

/// A path that was given with an option, absolute and without `.` and `..`. Symbolic links stay: the compiler follows them,
/// and refuses those of the workspace that lead out of it.
///
/// # Errors
/// When nothing is there, or its name is not Unicode.
pub(crate) fn option_path(option: &'static str, typed: &Path, here: &Path) -> Result<String, Failure> {
    // A shell has replaced `~` already unless the option was written `--read=~/x`; policies know what it means.
    if typed.starts_with("~") {
        return unicode(option, typed.to_owned());
    }
    let mut absolute = PathBuf::new();
    for component in here.join(typed).components() {
        match component {
            Component::ParentDir => drop(absolute.pop()),
            Component::CurDir => {}
            other => absolute.push(other),
        }
    }
    let failed = |source| Failure::OptionPath { option, path: typed.to_owned(), source };
    std::fs::symlink_metadata(&absolute).map_err(failed)?;
    unicode(option, absolute)
}

fn unicode(option: &'static str, path: PathBuf) -> Result<String, Failure> {
    path.into_os_string().into_string().map_err(|path| Failure::OptionPathNotUnicode { option, path: path.into() })
}

/// Which standard streams are terminals.
pub(crate) fn terminal() -> Terminal {
    use rustix::stdio::{stderr, stdin, stdout};
    use rustix::termios::isatty;
    Terminal { stdin: isatty(stdin()), stdout: isatty(stdout()), stderr: isatty(stderr()) }
}

/// Where private directories may be made on the host: `TMPDIR` where that is usable, else `/tmp`.
pub(crate) fn temporary(caller: &Caller, workspace: Option<&Path>) -> PathBuf {
    let outside = |path: &Path| workspace.is_none_or(|workspace| !path.starts_with(workspace));
    let usable = |path: &PathBuf| path.is_dir() && outside(path);
    let named = caller.variable("TMPDIR").and_then(|path| std::fs::canonicalize(path).ok()).filter(usable);
    named.unwrap_or_else(|| PathBuf::from("/tmp"))
}

/// A name that no other run on this machine has at the same time: a process has one run at once, and two processes with
/// one number, in different process namespaces, do not start in the same nanosecond.
pub(crate) fn run_id() -> String {
    let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("{}-{nanoseconds:x}", std::process::id())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn option_paths_become_absolute() {
        let folder = tempfile::tempdir().expect("folder");
        let here = std::fs::canonicalize(folder.path()).expect("canonical");
        std::fs::create_dir_all(here.join("a/b")).expect("directories");
        symlink("b", here.join("a/link")).expect("link");
        let text = |path: &str| here.join(path).to_str().expect("unicode").to_owned();
        for (typed, absolute) in
            [("a", text("a")), ("./a/../a/b", text("a/b")), ("a/link", text("a/link")), ("a/b/..", text("a"))]
        {
            assert_eq!(option_path("--read", typed.as_ref(), &here).expect(typed), absolute);
        }
        assert_eq!(option_path("--read", "~/x".as_ref(), &here).expect("home"), "~/x");
        assert_eq!(option_path("--read", "/".as_ref(), &here).expect("root"), "/");
        std::fs::create_dir(here.join("a/b/c")).expect("directory");
        assert_eq!(option_path("--read", "a/link/c".as_ref(), &here).expect("below a link"), text("a/link/c"));
        assert!(matches!(option_path("--read", "none".as_ref(), &here), Err(Failure::OptionPath { .. })));
    }

    #[test]
    fn the_workspace_is_a_directory() {
        let folder = tempfile::tempdir().expect("folder");
        let here = std::fs::canonicalize(folder.path()).expect("canonical");
        std::fs::write(here.join("file"), "").expect("write");
        symlink(".", here.join("link")).expect("link");
        assert_eq!(workspace(None, &here).expect("default"), here);
        assert_eq!(workspace(Some(&here.join("link")), &here).expect("link"), here);
        for wrong in ["file", "missing"] {
            assert!(matches!(workspace(Some(&here.join(wrong)), &here), Err(Failure::Workspace { .. })), "{wrong}");
        }
    }

    #[test]
    fn runs_have_names_of_their_own() {
        let name = run_id();
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{name}");
        assert_ne!(name, run_id());
    }
}
