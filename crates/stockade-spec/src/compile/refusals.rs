//! What is refused whatever the host: requests that make no sense, and rules that this version cannot enforce.

use super::error::{CompileError, RuleProblem};
use super::{Input, limits, paths, workspace};
use crate::report::Protection;

/// Refuses before anything is worked out.
pub(super) fn check(input: Input<'_>) -> Result<(), CompileError> {
    let request = input.request;
    if request.command.first().is_none_or(|program| program.is_empty()) {
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
    check_gate(input)?;
    limits::check(&input.policy.limits)
}

/// Refuses every rule that needs the gate.
fn check_gate(input: Input<'_>) -> Result<(), CompileError> {
    let network = &input.policy.network;
    let bounds = &network.limits;
    let first = |list: &'static str, rule: Option<String>| rule.map(|rule| (list, rule));
    let needs = first("network.allow", network.allow.first().cloned())
        .or_else(|| first("network.publish", network.publish.first().map(u16::to_string)))
        .or_else(|| first("network.limits", bounds.sent.map(|sent| format!("sent = {sent}"))))
        .or_else(|| first("network.limits", bounds.received.map(|received| format!("received = {received}"))))
        .or_else(|| first("network.limits", bounds.connections.map(|most| format!("connections = {most}"))))
        .or_else(|| first("unix.allow", input.policy.unix.first().cloned()));
    match needs {
        Some((list, rule)) => Err(CompileError::Rule { list, rule, problem: RuleProblem::NeedsGate }),
        None => Ok(()),
    }
}
