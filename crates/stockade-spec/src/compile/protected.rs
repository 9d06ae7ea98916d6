//! The globs of protected files.

use super::data::{PROTECTED, entries};
use super::rules;
use super::view::{Node, Settled};
use crate::policy::Policy;
use crate::report::Protection;

/// The globs of protected files, relative to the workspace: the built-in ones, then the policy's own.
///
/// Whoever probes the host looks for files that match them before [`super::compile`], and puts what exists into
/// [`crate::HostFacts::protected`].
#[must_use]
pub fn protected_patterns(policy: &Policy) -> Vec<String> {
    let built_in = entries(PROTECTED).map(|(_, glob)| glob);
    built_in.chain(policy.filesystem.protect.iter().map(String::as_str)).map(str::to_owned).collect()
}

/// Globs for just the protected files that exist, absolute: some are protected by what refers to them and not by their name,
/// as a file is that git's configuration includes.
pub(super) fn existing<'v>(view: &'v Settled) -> impl Iterator<Item = String> + 'v {
    let held = view.entries().iter().filter(|entry| entry.protection == Protection::ProtectedFiles);
    held.filter(|entry| matches!(entry.node, Node::ReadOnly)).map(|entry| rules::literal(&entry.path))
}
