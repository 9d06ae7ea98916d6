//! Merges layers into one policy, field by field as [`load`](super::load()) documents.
//!
//! The code in the sandbox can write the workspace, and so the workspace's file: nothing in that file may widen what the
//! code may do. What would is an error that names the place. It is not dropped in silence, since a person who wrote the file
//! would believe that it holds.

mod narrow;
mod trusted;

pub(super) use narrow::narrow;
pub(super) use trusted::merge;

#[cfg(test)]
mod properties;
#[cfg(test)]
#[path = "layers/tests.rs"]
mod tests;
