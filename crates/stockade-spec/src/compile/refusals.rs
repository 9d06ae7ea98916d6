//! What is refused whatever the host: requests that make no sense, and limits with which nothing can run.

use super::error::CompileError;
use super::{Input, limits, paths, workspace};
use crate::report::Protection;

/// Refuses before anything is worked out.
pub(super) fn check(input: Input<'_>) -> Result<(), CompileError> {
    let request = input.request;
    // A sandbox that lasts is told its commands later.
    let later = request.layers.is_some() && request.command.is_empty();
    if !later && request.command.first().is_none_or(|program| program.is_empty()) {
        return Err(CompileError::NoCommand);
    }
    for (what, path) in [
        ("workspace", &request.workspace),
        ("directory", &request.directory),
        ("home directory", &request.home),
        ("temporary directory", &request.temporary),
    ] {
        if !paths::is_plain(path) {
            return Err(CompileError::UnclearPath { what, path: path.clone() });
        }
    }
    let run_id = &request.run_id;
    if run_id.is_empty() || !run_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(CompileError::BadRunId(run_id.clone()));
    }
    for name in &input.policy.accept_degraded {
        if Protection::from_name(name).is_none() {
            return Err(CompileError::UnknownProtection(name.clone()));
        }
    }
    workspace::check(input)?;
    limits::check(&input.policy.limits)
}
