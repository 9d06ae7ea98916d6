//! Who may be reached: a host, at a port, by the rules of the policy.
//!
//! A rule that denies wins over every rule that allows, however specific. What no rule names is decided by the policy's
//! default. Addresses that lead to this machine, its network or its cloud's metadata ([`special`]) are only ever reached by
//! a rule that names them.

mod decision;
mod host;
pub mod special;

pub use decision::{Misled, Rules, Verdict};
pub use stockade_spec::policy::NetworkDefault;

pub use host::{EndpointError, Host, HostName};
