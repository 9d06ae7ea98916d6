//! The attack suite: attempts to break out of a sandbox, and what has to become of each.
//!
//! Every attack is one [`Attack`] in one of the [`families`]: what it attempts, whether it succeeds without a sandbox,
//! and which event it has to leave when a sandbox stops it. The binary `attacks` carries one out; the test target
//! `containment` runs them all, natively and in a sandbox, and compares. `docs/ESCAPES.md` is made from the same data.

pub mod attack;
pub mod escapes;
pub mod families;
pub mod host;
pub mod internet;
pub mod scene;
pub mod sys;

pub use attack::Attack;
pub use scene::Scene;
