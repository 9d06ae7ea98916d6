//! Merges layers into one policy.
//!
//! | field | a trusted layer (machine, user, command line) | the workspace's own file |
//! |---|---|---|
//! | `read`, `write`, `network.allow`, `publish`, `unix.allow`, `pass`, `accept_degraded` | adds to the list | if present, *is* the list: each entry must be allowed already |
//! | `filesystem.deny`, `protect`, `network.deny` | adds to the list | adds to the list |
//! | limits of both sections | replaces the value | the smaller value holds |
//! | `workspace`, `nested-namespaces`, `isolation` | replaces the value | the same value or a stricter one |
//! | `environment.set` | adds, and replaces by name | refused |
//! | `extends` | the strongest layer's profile is the start | refused |
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
