//! The workspace: refused when too broad, else shown at its real path with its protected files held read-only.

use std::path::{Path, PathBuf};

use super::Input;
use super::data::{REFUSED, entries};
use super::error::CompileError;
use super::paths::{is_below, is_plain};
use super::view::{Node, View};
use crate::facts::PathFact;
use crate::plan::BindAccess;
use crate::policy::WorkspaceAccess;
use crate::report::Protection;
use crate::request::Request;

/// Protected files that one plan holds read-only, at most: each is a mount.
const MOST_PROTECTED: usize = 4_096;

/// The paths whose existence matters.
pub(super) fn survey(request: &Request, uses: &mut impl FnMut(PathBuf)) {
    uses(request.workspace.clone());
    uses(request.workspace.join(".git"));
}

/// Whether the workspace is a directory that a policy may open.
pub(super) fn check(input: Input<'_>) -> Result<(), CompileError> {
    let Input { request, facts, host, .. } = input;
    let workspace = &request.workspace;
    check_breadth(request)?;
    if *host.at(workspace) != PathFact::Directory {
        return Err(CompileError::WorkspaceMissing(workspace.clone()));
    }
    if facts.protected.len() > MOST_PROTECTED {
        return Err(CompileError::TooManyProtected { found: facts.protected.len(), most: MOST_PROTECTED });
    }
    Ok(())
}

/// Whether the workspace is narrow enough.
pub(super) fn check_breadth(request: &Request) -> Result<(), CompileError> {
    let workspace = &request.workspace;
    too_broad(workspace, request)
        .map_or(Ok(()), |reason| Err(CompileError::WorkspaceTooBroad { workspace: workspace.clone(), reason }))
}

/// Why a directory cannot be opened for writing as a whole; `None` where it can.
pub(super) fn too_broad(directory: &Path, request: &Request) -> Option<&'static str> {
    if directory == request.home {
        return Some("your home directory, with everything that you keep private");
    }
    if is_below(&request.home, directory) {
        return Some("a directory that holds your home directory");
    }
    // The most specific entry decides, so that an exception can be made below a refused directory.
    let nearest = entries(REFUSED)
        .filter(|(_, refused)| is_below(directory, Path::new(refused)))
        .max_by_key(|(_, refused)| refused.len())?;
    let (kind, refused) = nearest;
    (kind == "below" || directory == Path::new(refused)).then_some("a directory of the system")
}

/// Puts the workspace into the view.
pub(super) fn put(view: &mut View, input: Input<'_>) {
    if input.request.layers.is_some() {
        view.put(&input.request.workspace, Node::CopyOnWrite, Protection::Files);
        return;
    }
    let access = match input.policy.filesystem.workspace {
        WorkspaceAccess::ReadOnly => BindAccess::ReadOnly,
        WorkspaceAccess::Write => BindAccess::Write,
    };
    view.put(&input.request.workspace, Node::Host(access), Protection::Files);
}

/// Holds the protected files that exist read-only, and every `.git` that has some in place: were it renamed, another
/// one could be put there. Where any other protected file's parent is renamed and made anew, the sweep catches it.
pub(super) fn put_protected(view: &mut View, input: Input<'_>) {
    let Input { request, facts, host, .. } = input;
    if request.layers.is_some() {
        // Nothing written reaches the host before it is applied, where the same files are held back.
        return;
    }
    let workspace = &request.workspace;
    let git = workspace.join(".git");
    if *host.at(&git) == PathFact::File {
        view.put(git, Node::ReadOnly, Protection::ProtectedFiles);
    }
    for path in &facts.protected {
        if path == workspace || !is_below(path, workspace) || !is_plain(path) {
            continue;
        }
        for ancestor in path.ancestors().skip(1).take_while(|ancestor| *ancestor != workspace) {
            if ancestor.file_name().is_some_and(|name| name == ".git") {
                view.put(ancestor, Node::Pin, Protection::ProtectedFiles);
            }
        }
        view.put(path, Node::ReadOnly, Protection::ProtectedFiles);
    }
}
