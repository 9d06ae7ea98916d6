//! What takes the place of `fault.rs` in builds without the feature `fault-injection`: nothing.

use std::io;

use stockade_spec::plan::{Operation, Plan};

use crate::supervisor::LaunchError;

#[inline]
pub(crate) const fn step(_index: usize) -> io::Result<()> {
    Ok(())
}

#[inline]
pub(crate) fn steps(_plan: &Plan, _kind: impl Fn(&Operation) -> bool) -> Result<(), LaunchError> {
    Ok(())
}

#[inline]
pub(crate) const fn place() {}
