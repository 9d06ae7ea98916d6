//! What is to be applied, and what is known for the decision.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use stockade_spec::glob::Rules;

use super::error::ApplyError;
use crate::layers::{Change, Entry};

/// What the host had at a path when the sandbox changed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// It is known.
    Known {
        /// What was there, if anything.
        entry: Option<Entry>,
        /// Where a copy of its content is kept, if one is.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::layers::optional_path")]
        copy: Option<PathBuf>,
    },
    /// The host changed it at about the same time, or nobody took note.
    Uncertain,
}

/// Which changes are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All.
    Everything,
    /// Those at these paths, and below where they are directories. Relative to the workspace.
    Paths(Vec<PathBuf>),
}

/// What the caller has decided beforehand. Paths are relative to the workspace; a directory stands for all in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Where the sandbox's version is taken though the host's has changed as well.
    pub take: Vec<PathBuf>,
    /// Protected files that are applied all the same, and files that keep set-user-id and set-group-id bits.
    pub protected: Vec<PathBuf>,
}

/// A question: what would it take to bring these changes to the host?
pub struct Request<'a> {
    /// The host's workspace: an absolute path without links.
    pub workspace: &'a Path,
    /// What [`crate::layers::changes()`] says of the stack.
    pub changes: &'a [Change],
    /// Which of them are wanted.
    pub selection: &'a Selection,
    /// What is protected.
    pub rules: &'a Rules,
    /// Where the configuration of git lies that holds for every repository.
    pub home: &'a Path,
    /// What the host had at a path of the workspace when the sandbox changed it; of the workspace itself for the empty path.
    /// It is asked for every change: also for what the host has in a directory that the sandbox has removed.
    pub bases: &'a dyn Fn(&Path) -> Seen,
    /// What was decided beforehand.
    pub options: &'a Options,
}

impl std::fmt::Debug for Request<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("Request");
        shown.field("workspace", &self.workspace).field("selection", &self.selection).field("options", &self.options);
        shown.finish_non_exhaustive()
    }
}

/// Paths that were named, each a directory or a file; the empty path is the whole workspace.
#[derive(Debug)]
pub(super) struct Named<'a> {
    /// As they were named, and cleaned, in order.
    paths: Vec<(PathBuf, &'a Path)>,
}

impl<'a> Named<'a> {
    /// Reads paths as they were given.
    pub(super) fn new(paths: &'a [PathBuf]) -> Result<Self, ApplyError> {
        let clean = |path: &'a PathBuf| Ok((clean(path)?, path.as_path()));
        let mut paths = paths.iter().map(clean).collect::<Result<Vec<_>, ApplyError>>()?;
        paths.sort();
        Ok(Self { paths })
    }

    /// Whether a path, or a directory above it, was named.
    pub(super) fn covers(&self, path: &Path) -> bool {
        let named = |path: &Path| self.paths.binary_search_by(|(named, _)| named.as_path().cmp(path)).is_ok();
        !self.paths.is_empty() && path.ancestors().any(named)
    }

    /// Finds the named path at or below which none of these, which are in order, lies.
    pub(super) fn without(&self, sorted: &[&Path]) -> Option<&'a Path> {
        let empty = |named: &Path| {
            let at = sorted.partition_point(|path| *path < named);
            !sorted.get(at).is_some_and(|path| path.starts_with(named))
        };
        self.paths.iter().find(|(named, _)| empty(named)).map(|(_, given)| *given)
    }
}

fn clean(path: &Path) -> Result<PathBuf, ApplyError> {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            _ => return Err(ApplyError::Outside(path.to_owned())),
        }
    }
    if path.as_os_str().is_empty() { Err(ApplyError::Outside(clean)) } else { Ok(clean) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_stands_for_what_is_in_it() {
        let paths = ["a/./b/".into(), "c".into()];
        let named = Named::new(&paths).expect("paths");
        for (path, covered) in [("a", false), ("a/b", true), ("a/b/x", true), ("a/bc", false), ("c", true), ("", false)]
        {
            assert_eq!(named.covers(Path::new(path)), covered, "{path}");
        }
        assert_eq!(named.without(&[Path::new("a/b/x"), Path::new("c")]), None);
        assert_eq!(named.without(&[Path::new("a/bc"), Path::new("c")]), Some(Path::new("a/./b/")));
    }

    #[test]
    fn paths_that_lead_out_are_refused() {
        for path in ["", "/etc/passwd", "../x", "a/../../x"] {
            assert!(Named::new(&[path.into()]).is_err(), "{path}");
        }
        let all = [".".into()];
        assert!(Named::new(&all).expect("the workspace").covers(Path::new("x")));
    }
}
