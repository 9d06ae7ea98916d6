//! Rules that are decided one by one, and the directories that cannot be moved without moving files past them.
//!
//! A rule covers files by their path. Moving a directory changes the paths of everything in it at once, so a directory
//! stays where it is when a rule says something of just that place.

use std::path::Path;

use stockade_spec::glob::{Case, Glob, Rules};

use crate::observe::ObserveError;

/// Rules with what follows from them for directories.
#[derive(Debug)]
pub(super) struct Guard {
    rules: Rules,
    /// Directories whose own path a rule begins with, from the workspace: `**/.git` for `**/.git/hooks/**`.
    above: Rules,
    /// The same from the root of the file system, without the first slash.
    above_from_root: Rules,
    /// Directories anywhere below which a rule looks for files, while it does not look elsewhere: `a` for `a/**/b`.
    around: Vec<Glob>,
}

impl Guard {
    pub(super) fn new(globs: &[String]) -> Result<Self, ObserveError> {
        let (from_root, from_workspace): (Vec<_>, Vec<_>) = globs.iter().partition(|glob| glob.starts_with('/'));
        let above = from_workspace.iter().flat_map(|glob| beginnings(glob));
        let above_from_root = from_root.iter().flat_map(|glob| beginnings(glob.trim_start_matches('/')));
        let around = globs.iter().flat_map(|glob| before_deep(glob)).map(|glob| Glob::new(&glob));
        Ok(Self {
            rules: Rules::new(globs, Case::Folded)?,
            above: Rules::new(above, Case::Folded)?,
            above_from_root: Rules::new(above_from_root, Case::Folded)?,
            around: around.collect::<Result<_, _>>()?,
        })
    }

    /// The rules that cover files.
    pub(super) const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The beginning of a rule that either path is: `.git` itself cannot move, nor can anything take its place.
    pub(super) fn pins(&self, workspace: &Path, from: &Path, to: &Path) -> Option<&Glob> {
        self.begins_with(workspace, from).or_else(|| self.begins_with(workspace, to))
    }

    /// A rule, or the beginning of one, whose reach a directory would leave or enter with all that it holds.
    pub(super) fn parts(&self, workspace: &Path, from: &Path, to: &Path) -> Option<&Glob> {
        let inside = |path: &Path| path.strip_prefix(workspace).is_ok();
        let relative_rule = || self.rules.globs().iter().find(|glob| !glob.is_absolute());
        let covers = |glob: &Glob, path: &Path| {
            let relative = path.strip_prefix(workspace).ok();
            glob.matches_folded(path) || relative.is_some_and(|path| glob.matches_folded(path))
        };
        let leaves = (inside(from) != inside(to)).then(relative_rule).flatten();
        leaves.or_else(|| self.around.iter().find(|glob| covers(glob, from) != covers(glob, to)))
    }

    /// The beginning of a rule that a path is.
    fn begins_with(&self, workspace: &Path, path: &Path) -> Option<&Glob> {
        let from_workspace = || exact(&self.above, path.strip_prefix(workspace).ok()?);
        exact(&self.above_from_root, path.strip_prefix("/").ok()?).or_else(from_workspace)
    }
}

/// The rule that matches just this path, not a directory above it.
fn exact<'r>(rules: &'r Rules, path: &Path) -> Option<&'r Glob> {
    let mut cursor = rules.walk();
    let mut names = path.iter().peekable();
    while let Some(name) = names.next() {
        if names.peek().is_none() {
            return rules.globs().get(cursor.matches(name)?);
        }
        cursor = cursor.enter(name);
    }
    None
}

fn is_name(component: &&str) -> bool {
    !matches!(*component, "" | "." | "**")
}

/// The proper beginnings of a glob that end in a name: for `**/.git/hooks/**` just `**/.git`.
fn beginnings(glob: &str) -> Vec<String> {
    let names: Vec<&str> = glob.split('/').collect();
    let ends = (1..names.len()).filter(|&end| is_name(&names[end - 1]) && names[end..].iter().any(is_name));
    ends.map(|end| names[..end].join("/")).collect()
}

/// What stands before each `**` that has a name both before and after it.
fn before_deep(glob: &str) -> Vec<String> {
    let names: Vec<&str> = glob.split('/').collect();
    let between = |at: usize| names[..at].iter().any(is_name) && names[at..].iter().any(is_name);
    let deep = (0..names.len()).filter(|&at| names[at] == "**" && between(at));
    deep.map(|at| names[..at].join("/")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(rule: &str, from: &str, to: &str) -> bool {
        let guard = Guard::new(&[rule.to_owned()]).unwrap();
        let [workspace, from, to] = ["/w", from, to].map(Path::new);
        guard.pins(workspace, from, to).or_else(|| guard.parts(workspace, from, to)).is_some()
    }

    #[test]
    fn directories_that_a_rule_names_stay() {
        let hooks = "**/.git/hooks/**";
        assert!(holds(hooks, "/w/.git", "/w/x"));
        assert!(holds(hooks, "/w/a/b/.git", "/w/x"));
        assert!(holds(hooks, "/w/x", "/w/.git"));
        assert!(holds(hooks, "/w/x", "/w/.GIT"));
        assert!(!holds(hooks, "/w/x", "/w/y"));
        assert!(!holds(hooks, "/w/.git/refs/a", "/w/.git/refs/b"));
        assert!(holds("deploy/prod/key", "/w/deploy", "/w/x"));
        assert!(holds("deploy/prod/key", "/w/deploy/prod", "/w/x"));
        assert!(!holds("deploy/prod/key", "/w/a/deploy", "/w/a/x"));
        assert!(holds("/w/secrets/key", "/w/secrets", "/w/x"));
        assert!(!holds("/w/secrets/key", "/w/x", "/w/y"));
    }

    #[test]
    fn what_a_rule_looks_for_below_a_directory_stays_below_it() {
        assert!(holds("a/**/key", "/w/a/b", "/w/c"));
        assert!(holds("a/**/key", "/w/c", "/w/a/b"));
        assert!(!holds("a/**/key", "/w/b", "/w/c"));
        assert!(!holds("a/**/key", "/w/a/b", "/w/a/c"));
        assert!(!holds("/w/**/.git/hooks", "/w/a/b", "/w/c"));
        assert!(holds("/w/**/.git/hooks", "/w/a/b", "/tmp/c"));
        assert!(holds("/w/**/.git/hooks", "/w/a/.git", "/w/c"));
        assert!(holds("/w/**/.git/modules/**/hooks", "/w/.git/modules/x", "/w/x"));
        assert!(holds("/w/**/.git/modules/**/hooks", "/w/x", "/w/.git/modules/x"));
    }

    #[test]
    fn directories_do_not_leave_the_workspace_to_which_rules_are_relative() {
        assert!(holds("**/.env", "/w/a", "/tmp/a"));
        assert!(holds("**/.env", "/tmp/a", "/w/a"));
        assert!(!holds("**/.env", "/tmp/a", "/tmp/b"));
        assert!(!holds("**/.env", "/w/a", "/w/b"));
        assert!(!holds("/srv/x", "/w/a", "/tmp/a"));
    }
}
