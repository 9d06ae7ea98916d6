//! Applies that are interrupted, or raced, at every place that they pass.
//!
//! Needs the feature `fault-injection`, which no program that is installed has.

mod killed;
mod raced;
mod scene;

#[path = "../apply/place.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod place;
#[path = "../support/privileges.rs"]
mod privileges;
#[path = "../layers/tree.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod tree;
