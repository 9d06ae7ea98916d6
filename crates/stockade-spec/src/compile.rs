//! Compiles a policy, a request and host facts to a plan. Total and deterministic.

use std::path::PathBuf;

use thiserror::Error;

use crate::facts::HostFacts;
use crate::plan::Plan;
use crate::policy::Policy;
use crate::request::Request;

/// Why a policy cannot be carried out here.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CompileError {}

/// The paths that [`compile`] needs to know about.
#[must_use]
pub fn survey(policy: &Policy, request: &Request) -> Vec<PathBuf> {
    let _ = (policy, request);
    Vec::new()
}

/// Compiles.
///
/// # Errors
/// When the policy asks for something that this host cannot enforce.
pub fn compile(policy: &Policy, request: &Request, facts: &HostFacts) -> Result<Plan, CompileError> {
    let _ = (policy, request, facts);
    todo!()
}
