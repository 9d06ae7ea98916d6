//! What takes the place of `fault.rs` in builds without the feature `fault-injection`: nothing.

#[inline]
pub(crate) const fn place() {}
