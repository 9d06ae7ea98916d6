//! What people see. Text that comes from inside a sandbox is escaped before it reaches a terminal.

mod applied;
mod audit;
mod changes;
mod checkpoints;
mod closing;
mod diff;
mod executed;
mod failure;
mod list;
mod quantity;
mod summary;
mod table;
mod text;
mod traffic;

pub(crate) use applied::{application_json, is_whole, no_progress, not_applied, progress};
pub(crate) use audit::{audit, audit_json, export, export_json};
pub(crate) use changes::{names, names_json, nothing_at, stats, stats_json};
pub(crate) use checkpoints::{kept, log, log_json, stopped};
pub(crate) use diff::Shown;
pub(crate) use executed::{executed, executed_json};
pub(crate) use failure::{failure, failure_json, one_line};
pub(crate) use list::{pruned, pruned_json, sandboxes, sandboxes_json};
pub(crate) use summary::{Verbosity, recovered, summary, summary_json};
pub(crate) use text::{escaped, escaped_json, escaped_lines};
