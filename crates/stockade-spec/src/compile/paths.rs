//! Paths as written in a policy, made absolute; and questions about paths that need no file system.

use std::path::{Component, Path, PathBuf};

use super::error::RuleProblem;
use crate::request::Request;

/// A path of a policy, made absolute: `~` is home, a relative one starts at the workspace. `.` and `..` are resolved by
/// their text, as a reader of the policy would.
pub(super) fn absolute(text: &str, request: &Request) -> Result<PathBuf, RuleProblem> {
    if text.is_empty() {
        return Err(RuleProblem::Empty);
    }
    if text.chars().any(char::is_control) {
        return Err(RuleProblem::ControlCharacter);
    }
    let joined = match text.strip_prefix('~') {
        None => request.workspace.join(text),
        Some("") => request.home.clone(),
        Some(rest) => match rest.strip_prefix('/') {
            Some(below) => request.home.join(below.trim_start_matches('/')),
            None => return Err(RuleProblem::OtherHome),
        },
    };
    normal(&joined).ok_or(RuleProblem::AboveRoot)
}

/// The path without `.`, `..` and doubled or trailing slashes; `None` when `..` leads above the root.
pub(super) fn normal(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::with_capacity(path.as_os_str().len());
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                if !out.pop() {
                    return None;
                }
            }
            other => out.push(other),
        }
    }
    Some(out)
}

/// Whether a path is absolute and has neither `.` nor `..` nor doubled or trailing slashes, as requests promise.
pub(super) fn is_plain(path: &Path) -> bool {
    path.is_absolute() && normal(path).is_some_and(|normal| normal.as_os_str() == path.as_os_str())
}

/// Whether a text has characters that make it a glob.
pub(super) fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

/// Whether a path is a directory or lies below it. Both are plain; this is [`Path::starts_with`] without taking the paths
/// apart.
pub(super) fn is_below(path: &Path, top: &Path) -> bool {
    let (path, top) = (path.as_os_str().as_encoded_bytes(), top.as_os_str().as_encoded_bytes());
    match path.strip_prefix(top) {
        Some(rest) => rest.is_empty() || rest[0] == b'/' || top.ends_with(b"/"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_resolved_by_text() {
        for (text, expected) in [
            ("/a/b/../c", Some("/a/c")),
            ("/a//b/./c/", Some("/a/b/c")),
            ("/..", None),
            ("/a/../..", None),
            ("/", Some("/")),
        ] {
            assert_eq!(normal(Path::new(text)), expected.map(PathBuf::from), "{text}");
        }
        for (path, top, expected) in
            [("/a/b", "/a", true), ("/a", "/a", true), ("/ab", "/a", false), ("/a", "/", true), ("/a", "/a/b", false)]
        {
            assert_eq!(is_below(Path::new(path), Path::new(top)), expected, "{path} {top}");
        }
        assert!(is_plain(Path::new("/a/b")) && is_plain(Path::new("/")));
        for text in ["a", "", "/a/", "/a//b", "/a/./b", "/a/../b"] {
            assert!(!is_plain(Path::new(text)), "{text}");
        }
    }
}
