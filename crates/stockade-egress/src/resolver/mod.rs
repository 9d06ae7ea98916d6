//! The name server inside: names that are allowed have an address, everything else has none.
//!
//! No query leaves. An allowed name has the address that stands for it ([`crate::names`]), and is looked up outside only
//! when somebody connects to it; of a name that is not allowed nobody outside ever learns. `answer` is a function of a
//! message; [`serve`] is the loop around it.

mod answer;
mod message;
pub mod serve;

pub use answer::{Answer, Denial, Reason, answer};

/// Longest response, in bytes: what fits every transport (RFC 1035, section 2.3.4), so that none is ever truncated.
pub const MAX_RESPONSE: usize = 512;
