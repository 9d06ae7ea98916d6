//! Denials that follow from a failed command's error text and the plan.
//!
//! Most refused file operations reach nobody but the program that tried them. When it fails, it usually says why, in one
//! of a few well-known ways. A line counts only if it names an error that the sandbox can cause, and a path that the plan
//! treats just so; a bare keyword proves nothing.

mod candidates;

use std::path::{Component, Path, PathBuf};

use stockade_spec::glob::Glob;
use stockade_spec::plan::{Operation, Plan};
use stockade_spec::report::{Area, allow_option};
use stockade_spec::tier::Tier;

use crate::denials::Attempt;

/// Bytes of error text that are looked at: the last ones.
pub const MAX_ERROR_TEXT: usize = 16 * 1024;

/// Denials that one error text yields.
const MAX_INFERRED: usize = 32;

/// What an error text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    Refused,
    ReadOnly,
    Missing,
    /// A mount point can be neither renamed nor replaced.
    Held,
}

/// Error texts in lower case, as the C library and the common languages write them.
const FAILURES: [(&str, Failure); 11] = [
    ("permission denied", Failure::Refused),
    ("operation not permitted", Failure::Refused),
    ("accessdeniedexception", Failure::Refused),
    ("read-only file system", Failure::ReadOnly),
    ("readonlyfilesystemexception", Failure::ReadOnly),
    ("no such file or directory", Failure::Missing),
    ("nosuchfileexception", Failure::Missing),
    (": not found", Failure::Missing),
    ("device or resource busy", Failure::Held),
    ("resource busy or locked", Failure::Held),
    ("cross-device link", Failure::Held),
];

/// Infers denials from the end of a failed command's error text. `exists` says whether a path exists on the host.
pub fn infer(plan: &Plan, error_text: &[u8], exists: impl Fn(&Path) -> bool) -> Vec<Attempt> {
    let cut = error_text.len().saturating_sub(MAX_ERROR_TEXT);
    let tail = String::from_utf8_lossy(&error_text[cut..]);
    let mut found = Vec::new();
    // The first line may lack its beginning, and a path without its beginning is another path.
    for line in tail.lines().skip(usize::from(cut > 0)) {
        if let Some(failure) = failure(line) {
            let attempts = candidates::paths(line).filter_map(|path| explain(plan, failure, path, &exists));
            found.extend(attempts.take(1));
        }
        found.extend(candidates::unresolved_host(line).map(unresolved));
        if found.len() >= MAX_INFERRED {
            break;
        }
    }
    found.truncate(MAX_INFERRED);
    found
}

fn failure(line: &str) -> Option<Failure> {
    let line = line.to_ascii_lowercase();
    FAILURES.iter().find(|(text, _)| line.contains(text)).map(|(_, failure)| *failure)
}

/// Why the plan would have made an operation on this path fail in this way, if it would.
fn explain(plan: &Plan, failure: Failure, path: &str, exists: &impl Fn(&Path) -> bool) -> Option<Attempt> {
    let path = absolute(&plan.command.directory, path)?;
    let attempt = |area, operation| Attempt::new(area, operation, &path).inferred();
    let lists = &plan.explanations;
    if let Some(rule) = rule_for(&lists.denied, &plan.workspace, &path) {
        return Some(attempt(Area::Files, "read").rule(rule));
    }
    if failure != Failure::Missing
        && let Some(rule) = rule_for(&lists.protected, &plan.workspace, &path)
    {
        return Some(attempt(Area::Protected, "write").rule(rule));
    }
    if failure == Failure::Held {
        return is_pinned(plan, &path).then(|| attempt(Area::Protected, "rename").rule("held in place"));
    }
    let writable = covered(&lists.writable, &path);
    let readable = covered(&lists.readable, &path);
    // Landlock refuses with one error whatever is missing; mounts that are read-only have an error of their own.
    let refused_write = failure == Failure::ReadOnly || (failure == Failure::Refused && plan.tier == Tier::Landlock);
    if readable > writable {
        return refused_write
            .then(|| with_option(attempt(Area::Files, "write").rule("read-only"), "--write", &path, exists));
    }
    if writable.is_some() {
        return None;
    }
    match failure {
        Failure::Missing if plan.tier == Tier::Namespaces && exists(&path) => {
            Some(with_option(attempt(Area::Files, "read").rule("hidden"), "--read", &path, exists))
        }
        Failure::Refused if plan.tier == Tier::Landlock && exists(&path) => {
            Some(with_option(attempt(Area::Files, "read").rule("hidden"), "--read", &path, exists))
        }
        _ if refused_write => {
            Some(with_option(attempt(Area::Files, "write").rule("read-only"), "--write", &path, exists))
        }
        _ => None,
    }
}

/// Whether the plan makes the path a mount point, so that it stays where it is.
fn is_pinned(plan: &Plan, path: &Path) -> bool {
    plan.steps.iter().any(|step| matches!(&step.operation, Operation::Pin { target } if target == path))
}

/// Adds the option that opens the path, or the nearest directory above it that exists.
fn with_option(attempt: Attempt, option: &str, path: &Path, exists: &impl Fn(&Path) -> bool) -> Attempt {
    let nearest = path.ancestors().find(|above| exists(above)).filter(|above| above.parent().is_some());
    match nearest {
        Some(nearest) => attempt.suggestion(format!("{option} {}", nearest.display())),
        None => attempt,
    }
}

/// The path from the root, with `.` and `..` taken out by their names.
fn absolute(directory: &Path, path: &str) -> Option<PathBuf> {
    let mut whole = PathBuf::new();
    for component in directory.join(path).components() {
        match component {
            Component::ParentDir => drop(whole.pop()),
            Component::CurDir => {}
            other => whole.push(other),
        }
    }
    whole.has_root().then_some(whole)
}

/// The rule, among globs relative to the workspace and absolute ones, that covers a path. What is no glob covers nothing.
fn rule_for<'r>(rules: &'r [String], workspace: &Path, path: &Path) -> Option<&'r str> {
    let relative = path.strip_prefix(workspace).ok();
    let covers = |glob: &Glob| glob.matches_folded(path) || relative.is_some_and(|path| glob.matches_folded(path));
    rules.iter().find(|rule| Glob::new(rule).is_ok_and(|glob| covers(&glob))).map(String::as_str)
}

/// Components of the longest path that covers `path`.
fn covered(paths: &[PathBuf], path: &Path) -> Option<usize> {
    paths.iter().filter(|above| path.starts_with(above)).map(|above| above.components().count()).max()
}

/// A name that could not be looked up; a rule for it would make it known, if it is one that a rule can have.
fn unresolved(host: &str) -> Attempt {
    let attempt = Attempt::new(Area::Network, "resolve", host).inferred();
    match allow_option(host, 443) {
        Some(option) => attempt.suggestion(option.trim_end_matches(":443")),
        None => attempt,
    }
}

#[cfg(test)]
mod tests;
