//! Sandboxes on disk: made, kept, restored, forked, removed, interrupted.

mod bad_input;
mod bases;
mod crowd;
mod faults;
mod frozen;
mod life;
mod overlay;
mod preserving;
mod states;
mod support;
mod verify;

#[allow(dead_code, reason = "shared with another test, which uses all of it")]
#[path = "../layers/operation.rs"]
mod operation;
#[allow(dead_code, reason = "shared with another test, which uses all of it")]
#[path = "../layers/tree.rs"]
mod tree;
