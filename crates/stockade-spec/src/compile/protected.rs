//! The globs of protected files.

use super::data::{PROTECTED, entries};
use crate::policy::Policy;

/// The globs of protected files, relative to the workspace: the built-in ones, then the policy's own.
///
/// Whoever probes the host looks for files that match them before [`super::compile`], and puts what exists into
/// [`crate::HostFacts::protected`].
#[must_use]
pub fn protected_patterns(policy: &Policy) -> Vec<String> {
    let built_in = entries(PROTECTED).map(|(_, glob)| glob);
    built_in.chain(policy.filesystem.protect.iter().map(String::as_str)).map(str::to_owned).collect()
}
