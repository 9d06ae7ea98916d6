//! The policy's own file rules: read, write, deny.

use std::path::{Path, PathBuf};

use super::error::{CompileError, RuleProblem};
use super::paths::{absolute, is_glob};
use super::system::{hide, place};
use super::view::{Node, View};
use super::{Input, workspace};
use crate::facts::PathFact;
use crate::glob::Glob;
use crate::plan::BindAccess;
use crate::policy::Policy;
use crate::report::Protection;
use crate::request::Request;

const READ: &str = "filesystem.read";
const WRITE: &str = "filesystem.write";
const DENY: &str = "filesystem.deny";

/// The paths whose existence matters: those of rules, with their ancestors, since one may be a symbolic link.
pub(super) fn survey(policy: &Policy, request: &Request, uses: &mut impl FnMut(PathBuf)) {
    let files = &policy.filesystem;
    for rule in files.read.iter().chain(&files.write).chain(&files.deny) {
        if is_glob(rule) {
            continue;
        }
        // A rule that cannot be understood is refused when the plan is compiled.
        if let Ok(path) = absolute(rule, request) {
            for ancestor in path.ancestors() {
                uses(ancestor.to_path_buf());
            }
        }
    }
}

/// Puts what the policy allows into the view.
pub(super) fn put_allowed(view: &mut View, input: Input<'_>) -> Result<(), CompileError> {
    let files = &input.policy.filesystem;
    for (list, rules, access) in [(READ, &files.read, BindAccess::ReadOnly), (WRITE, &files.write, BindAccess::Write)] {
        for rule in rules {
            let wrong = |problem| CompileError::Rule { list, rule: rule.clone(), problem };
            let path = allowed(rule, input, access).map_err(wrong)?;
            place(view, &path, input.host, &Node::Host(access), Protection::Files);
        }
    }
    Ok(())
}

/// The path of a rule that allows, checked.
fn allowed(rule: &str, input: Input<'_>, access: BindAccess) -> Result<PathBuf, RuleProblem> {
    if is_glob(rule) {
        return Err(RuleProblem::GlobShown);
    }
    let Input { request, facts, host, .. } = input;
    let path = absolute(rule, request)?;
    let end = host.real(&path).ok_or(RuleProblem::Missing)?;
    match host.at(&path) {
        PathFact::Missing | PathFact::Symlink { resolved: None, .. } => return Err(RuleProblem::Missing),
        PathFact::Socket => return Err(RuleProblem::IsSocket),
        PathFact::Special => return Err(RuleProblem::Special),
        PathFact::Sealed => return Err(RuleProblem::Sealed),
        PathFact::File | PathFact::Directory | PathFact::Symlink { .. } => {}
    }
    // What is in the workspace may have been put there by an earlier run.
    if path.starts_with(&request.workspace) && !end.starts_with(&request.workspace) {
        return Err(RuleProblem::LeadsOut(end));
    }
    for path in [&path, &end] {
        if access == BindAccess::Write {
            if let Some(reason) = workspace::too_broad(path, request) {
                return Err(RuleProblem::TooBroad(reason));
            }
            if facts.protected.iter().any(|protected| path.starts_with(protected)) {
                return Err(RuleProblem::Protected);
            }
        } else if let Some(reason) = unreadable(path, request) {
            return Err(RuleProblem::TooBroad(reason));
        }
    }
    Ok(path)
}

/// Why a directory cannot be shown as a whole; `None` where it can.
pub(super) fn unreadable(path: &Path, request: &Request) -> Option<&'static str> {
    if path == Path::new("/") {
        return Some("the root directory");
    }
    if path == request.home {
        return Some("your home directory, which is private inside");
    }
    let kernel = ["/proc", "/sys", "/dev"].iter().any(|top| path.starts_with(top));
    kernel.then_some("an interface of the kernel, of which the sandbox has its own")
}

/// Hides what the policy denies and exists. What appears later is refused at access, by [`denied_globs`].
pub(super) fn put_denied(view: &mut View, input: Input<'_>) -> Result<(), CompileError> {
    for rule in &input.policy.filesystem.deny {
        if is_glob(rule) {
            continue;
        }
        let wrong = |problem| CompileError::Rule { list: DENY, rule: rule.clone(), problem };
        let path = absolute(rule, input.request).map_err(wrong)?;
        hide(view, &path, input.host, Protection::Files);
    }
    Ok(())
}

/// Every deny rule as absolute globs. A relative one starts at the workspace; one that starts with `**/` counts below
/// every directory that the policy opens besides, too.
pub(super) fn denied_globs(input: Input<'_>) -> Result<Vec<String>, CompileError> {
    let mut globs = Vec::new();
    for rule in &input.policy.filesystem.deny {
        let wrong = |problem| CompileError::Rule { list: DENY, rule: rule.clone(), problem };
        for glob in anchored(rule, input).map_err(wrong)? {
            if !globs.contains(&glob) {
                globs.push(glob);
            }
        }
    }
    Ok(globs)
}

/// Refuses deny rules for a part of what is allowed: without a supervisor that decides on each access, only whole
/// directories are open or closed.
pub(super) fn refuse_partial_denials<'a>(
    allowed: impl Iterator<Item = &'a Path> + Clone,
    input: Input<'_>,
) -> Result<(), CompileError> {
    for rule in &input.policy.filesystem.deny {
        let wrong = |problem| CompileError::Rule { list: DENY, rule: rule.clone(), problem };
        for glob in anchored(rule, input).map_err(wrong)? {
            let top = fixed_part(&glob);
            if let Some(allowed) = allowed.clone().find(|allowed| top.starts_with(allowed) || allowed.starts_with(&top))
            {
                return Err(wrong(RuleProblem::NeedsListener { allowed: allowed.to_path_buf() }));
            }
        }
    }
    Ok(())
}

/// The directory or file below which everything lies that a glob can match: its components before the first one with a
/// special character.
fn fixed_part(glob: &str) -> PathBuf {
    let is_fixed = |component: &&str| !component.contains(['*', '?', '[', '{', '\\']);
    let components = glob.split('/').filter(|component| !component.is_empty());
    std::iter::once("/").chain(components.take_while(is_fixed)).collect()
}

/// A rule as globs of absolute paths.
fn anchored(rule: &str, input: Input<'_>) -> Result<Vec<String>, RuleProblem> {
    Glob::new(rule).map_err(RuleProblem::Glob)?;
    let Input { policy, request, host, .. } = input;
    if !is_glob(rule) {
        // Under the name as written, and under the name that it really has.
        let path = absolute(rule, request)?;
        let end = host.real(&path).filter(|end| *end != path);
        return Ok(std::iter::once(&path).chain(&end).map(|name| literal(name)).collect());
    }
    if rule.starts_with('/') {
        return Ok(vec![rule.to_owned()]);
    }
    if let Some(below) = rule.strip_prefix("~/") {
        return Ok(vec![format!("{}/{below}", literal(&request.home))]);
    }
    let mut tops = vec![request.workspace.clone()];
    if rule.starts_with("**/") {
        for opened in policy.filesystem.read.iter().chain(&policy.filesystem.write) {
            let path = absolute(opened, request)?;
            tops.extend(host.real(&path).filter(|end| *end != path));
            tops.push(path);
        }
    }
    Ok(tops.iter().map(|top| format!("{}/{rule}", literal(top))).collect())
}

/// A glob that matches just this path and what lies below it. A byte that is not Unicode becomes `?`, which matches any.
pub(super) fn literal(path: &Path) -> String {
    let mut glob = String::with_capacity(path.as_os_str().len());
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        for character in chunk.valid().chars() {
            if matches!(character, '*' | '?' | '[' | '{' | '}' | '\\') {
                glob.extend(['[', character, ']']);
            } else {
                glob.push(character);
            }
        }
        glob.extend(chunk.invalid().iter().map(|_| '?'));
    }
    glob
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_glob_matches_its_own_path_only() {
        for text in ["/a/b", "/a/[b]*?{x,y}\\!", "/!a/^b/-", "/ü/é"] {
            let glob = Glob::new(&literal(Path::new(text))).expect(text);
            assert!(glob.matches(Path::new(text)) && glob.matches(&Path::new(text).join("below")), "{text}");
            assert!(!glob.matches(Path::new("/a/bb")) && !glob.matches(Path::new("/a")), "{text}");
        }
    }

    #[test]
    fn the_fixed_part_of_a_glob_holds_all_that_it_matches() {
        for (glob, part) in [
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b"),
            ("/a/**/b", "/a"),
            ("/a/x*/b", "/a"),
            ("/**", "/"),
            ("/a/[*]/b", "/a"),
        ] {
            assert_eq!(fixed_part(glob), Path::new(part), "{glob}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_not_unicode_is_matched() {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"/a/x\xff\xfe"));
        let glob = Glob::new(&literal(path)).expect("a glob");
        assert!(glob.matches(path) && !glob.matches(Path::new("/a/x")));
    }
}
