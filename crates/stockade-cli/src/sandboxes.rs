//! The sandboxes of the caller, and where in their workspaces the caller is.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use stockade::sandbox::{Sandbox, Sandboxes};

use crate::caller::{Caller, current_directory};
use crate::failure::Failure;
use crate::{print, render};

/// All sandboxes of the caller.
///
/// # Errors
/// When the state directory cannot be used.
pub(crate) fn all() -> Result<Sandboxes, Failure> {
    let caller = Caller::find();
    at(&caller.state, caller.environment)
}

/// All sandboxes in a state directory.
///
/// # Errors
/// When it cannot be used.
pub(crate) fn at(state: &Path, environment: Vec<(OsString, OsString)>) -> Result<Sandboxes, Failure> {
    let program = std::env::current_exe().map_err(Failure::OwnProgram)?;
    Ok(Sandboxes::new(state, &program, environment)?)
}

/// One of them.
///
/// # Errors
/// When there is none of that name, or it cannot be used.
pub(crate) fn open(name: &str) -> Result<Sandbox, Failure> {
    Ok(all()?.open(name)?)
}

/// Puts in order what killed processes left. What cannot be is told, and keeps nobody from working with the rest.
pub(crate) fn tidy(sandboxes: &Sandboxes) {
    match sandboxes.tidy() {
        Ok(tidied) => {
            for (name, error) in tidied.failures {
                let error = render::one_line(&Failure::Library(error.into()));
                print::message(&format!(
                    "stockade: the sandbox `{}` cannot be used: {error}\n",
                    render::escaped(&name)
                ));
            }
        }
        Err(error) => print::message(&render::failure(&error.into())),
    }
}

/// Does something with each of some sandboxes, and tells of those with which it failed. The exit status.
///
/// # Errors
/// When none of them can be reached.
pub(crate) fn each(
    names: &[String],
    mut act: impl FnMut(&Sandboxes, &str) -> Result<(), Failure>,
) -> Result<u8, Failure> {
    let (sandboxes, mut status) = (all()?, 0);
    for name in names {
        if let Err(failure) = act(&sandboxes, name) {
            print::message(&render::failure(&failure));
            status = failure.status();
        }
    }
    Ok(status)
}

/// Paths as the caller types them, about a sandbox's workspace.
#[derive(Debug)]
pub(crate) struct Places {
    workspace: PathBuf,
    here: PathBuf,
}

impl Places {
    /// About a sandbox's workspace. A caller who is not in it names what is in it all the same.
    pub(crate) fn of(sandbox: &Sandbox) -> Self {
        let workspace = sandbox.workspace().to_owned();
        let here = current_directory().ok().filter(|here| here.starts_with(&workspace));
        Self { here: here.unwrap_or_else(|| workspace.clone()), workspace }
    }

    /// Where the caller is: in the workspace, or else the workspace.
    pub(crate) fn here(&self) -> &Path {
        &self.here
    }

    /// Where a path leads that was typed, without looking: what it names may be in the sandbox only.
    ///
    /// # Errors
    /// When that is not in the workspace.
    pub(crate) fn absolute(&self, typed: &Path) -> Result<PathBuf, Failure> {
        let mut absolute = PathBuf::new();
        for component in self.here.join(typed).components() {
            match component {
                Component::ParentDir => drop(absolute.pop()),
                Component::CurDir => {}
                other => absolute.push(other),
            }
        }
        if absolute.starts_with(&self.workspace) {
            return Ok(absolute);
        }
        Err(Failure::OutsideWorkspace { path: typed.to_owned(), workspace: self.workspace.clone() })
    }

    /// The same from the workspace on, `.` for the workspace itself.
    ///
    /// # Errors
    /// When one is not in the workspace.
    pub(crate) fn relative(&self, typed: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
        let relative = |typed: &PathBuf| {
            let absolute = self.absolute(typed)?;
            let below = absolute.strip_prefix(&self.workspace).unwrap_or(&absolute);
            Ok(if below.as_os_str().is_empty() { PathBuf::from(".") } else { below.to_owned() })
        };
        typed.iter().map(relative).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_workspace() {
        let places = Places { workspace: "/w".into(), here: "/w/sub".into() };
        for (typed, found) in
            [("a", "sub/a"), ("./a//b/", "sub/a/b"), ("../x", "x"), ("/w/y", "y"), ("..", "."), ("/w", ".")]
        {
            assert_eq!(places.relative(&[typed.into()]).expect(typed), [PathBuf::from(found)], "{typed}");
        }
        for typed in ["../..", "/", "/ww", "../../w2/x"] {
            assert!(matches!(places.absolute(typed.as_ref()), Err(Failure::OutsideWorkspace { .. })), "{typed}");
        }
    }
}
