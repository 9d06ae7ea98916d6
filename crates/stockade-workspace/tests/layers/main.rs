//! What layers mean, compared with what overlayfs makes of them.

mod by_hand;
mod diffs;
mod forms;
mod hostile;
mod inside;
mod operation;
mod place;
mod properties;
mod tree;
mod written;

#[path = "../support/privileges.rs"]
mod privileges;
