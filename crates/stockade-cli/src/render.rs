//! What people see. Text that comes from inside a sandbox is escaped before it reaches a terminal.

mod failure;
mod summary;
mod text;
mod traffic;

pub(crate) use failure::{failure, failure_json, one_line};
pub(crate) use summary::{Verbosity, recovered, summary, summary_json};
pub(crate) use text::{escaped, escaped_lines};
