//! What layers mean, compared with what overlayfs makes of them.

mod by_hand;
mod inside;
mod operation;
mod properties;
mod tree;
