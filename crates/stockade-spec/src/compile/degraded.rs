//! Protections that are weaker than the strongest tier's, and whether the policy accepts that.

use super::error::CompileError;
use crate::plan::Degradation;
use crate::policy::Policy;
use crate::tier::Tier;

/// The degradations, if the policy accepts each by name.
pub(super) fn accepted(all: Vec<Degradation>, policy: &Policy, tier: Tier) -> Result<Vec<Degradation>, CompileError> {
    let accepts =
        |degradation: &&Degradation| policy.accept_degraded.iter().any(|name| name == degradation.protection.name());
    let missing: Vec<_> = all.iter().filter(|degradation| !accepts(degradation)).cloned().collect();
    if missing.is_empty() { Ok(all) } else { Err(CompileError::Degraded { tier, missing }) }
}
