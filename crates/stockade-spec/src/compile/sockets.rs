//! Unix sockets of the host that may be connected to: each is shown at its own path.

use std::path::{Path, PathBuf};

use super::Input;
use super::error::{CompileError, RuleProblem};
use super::paths::{absolute, is_below, is_glob};
use super::rules;
use super::system::place_existing;
use super::view::{Node, View};
use crate::facts::PathFact;
use crate::glob::Glob;
use crate::policy::Policy;
use crate::report::Protection;
use crate::request::Request;

pub(super) const LIST: &str = "unix.allow";

/// The paths whose existence matters, with their ancestors, since one may be a symbolic link.
pub(super) fn survey(policy: &Policy, request: &Request, uses: &mut impl FnMut(PathBuf)) {
    for rule in &policy.unix {
        // A rule that cannot be understood is refused when the plan is compiled.
        if let Ok(path) = absolute(rule, request) {
            path.ancestors().for_each(|ancestor| uses(ancestor.to_path_buf()));
        }
    }
}

/// Puts what the policy allows into the view.
pub(super) fn put(view: &mut View, input: Input<'_>) -> Result<(), CompileError> {
    let denied = if input.policy.unix.is_empty() { Vec::new() } else { rules::denied_globs(input)? };
    for rule in &input.policy.unix {
        let wrong = |problem| CompileError::Rule { list: LIST, rule: rule.clone(), problem };
        let path = socket(rule, input).map_err(wrong)?;
        let end = input.host.real(&path);
        for glob in &denied {
            // What cannot be read as a glob has been refused by now; were it not, it would deny.
            let covers = |path: &Path| Glob::new(glob).map_or(true, |glob| glob.matches(path));
            if covers(&path) || end.as_deref().is_some_and(covers) {
                return Err(wrong(RuleProblem::Denied(glob.clone())));
            }
        }
        place_existing(view, &path, input.host, &Node::Socket, Protection::Ipc);
    }
    Ok(())
}

/// The path of a rule, checked.
fn socket(rule: &str, input: Input<'_>) -> Result<PathBuf, RuleProblem> {
    if is_glob(rule) {
        return Err(RuleProblem::GlobShown);
    }
    let Input { policy, request, host, .. } = input;
    let path = absolute(rule, request)?;
    let end = host.real(&path).ok_or(RuleProblem::Missing)?;
    match host.at(&path) {
        PathFact::Missing | PathFact::Symlink { resolved: None, .. } => return Err(RuleProblem::Missing),
        // What a link leads to is looked at when the socket is shown.
        PathFact::Socket | PathFact::Symlink { directory: false, .. } => {}
        _ => return Err(RuleProblem::NotASocket),
    }
    // What the code can write, an earlier run may have made a link that leads to a socket that nobody meant.
    let writable = policy.filesystem.write.iter().filter_map(|rule| absolute(rule, request).ok());
    for top in std::iter::once(request.workspace.clone()).chain(writable) {
        if is_below(&path, &top) && !is_below(&end, host.real(&top).as_deref().unwrap_or(Path::new(&top))) {
            return Err(RuleProblem::LeadsOut(end));
        }
    }
    Ok(path)
}
