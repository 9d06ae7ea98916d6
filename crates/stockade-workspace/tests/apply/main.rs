//! What becomes of a workspace when a sandbox's changes are applied to it.

mod attributes;
mod conflicts;
mod hostile;
mod interrupted;
mod lists;
mod place;
mod properties;
mod protected;
mod race;
mod selection;
mod space;

#[path = "../layers/inside.rs"]
mod inside;
#[path = "../layers/operation.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod operation;
#[path = "../support/privileges.rs"]
mod privileges;
#[path = "../layers/tree.rs"]
mod tree;
