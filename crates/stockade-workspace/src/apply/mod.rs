//! Brings a sandbox's changes to the host's workspace.
//!
//! [`plan`] decides, and changes nothing: which changes are wanted, which of them are held back because the file is protected,
//! and which are refused because the host may have something that the sandbox has not seen. [`perform`] makes everything
//! ready on the workspace's file system, writes down what it is going to do, and does it, each file by one rename. After a
//! crash [`resume`] does the rest. [`close`] ends it, once its report has been dealt with.
//!
//! What the workspace loses by it is not deleted, but becomes a layer, which the sandbox's older checkpoints need.
//!
//! # Running out of space
//!
//! Everything that takes space is made before the first file is changed; where there is not enough, nothing is changed. What
//! comes then needs none on most file systems: an exchange writes two inode numbers where two inode numbers were, and what
//! is removed takes the place of a placeholder. Where a directory has to grow for a name that is added, or a file system
//! needs space to write anything, a step that fails so is one file that stays as it was, and is reported.

mod attributes;
mod carry_out;
mod contents;
mod copy;
mod error;
mod finish;
mod git_shape;
mod host;
mod journal;
mod judge;
mod lists;
mod member;
mod old;
mod perform;
mod permission;
mod plan;
mod preserve;
mod progress;
mod protection;
mod remove;
mod report;
mod request;
mod seal;
mod selected;
mod stage;
mod staging;
mod step;
mod units;

pub use error::ApplyError;
pub use perform::{close, perform, resume};
pub use plan::{ApplyPlan, plan};
pub use progress::Progress;
pub use report::{Applied, Conflict, Done, Failed, HeldBack, Reason, Told, Why};
pub use request::{Options, Request, Seen, Selection};
