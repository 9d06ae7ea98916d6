//! Lists of sandboxes.

use serde_json::{Value, json};
use stockade::sandbox::{Look, Pruned, Status, Summary};

use super::failure::one_line;
use super::quantity::{ago, counted, milliseconds, size};
use super::table::table;
use super::text::shown;
use crate::failure::Failure;

/// A sandbox: its name, what it is, and what there is to see of it.
pub(crate) type Row = (String, Result<Summary, Failure>, Result<Look, Failure>);

/// The table of sandboxes, and below it what is wrong with some.
pub(crate) fn sandboxes(rows: &[Row]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut lines = vec![["NAME", "STATE", "CHANGES", "CHECKPOINTS", "HEAD", "USED", "WORKSPACE"].map(str::to_owned)];
    let mut problems = String::new();
    for (name, summary, look) in rows {
        match summary {
            Ok(summary) => lines.push(line(summary, look.as_ref().ok())),
            Err(_) => lines.push([name, "damaged", "?", "?", "?", "?", "?"].map(str::to_owned)),
        }
        // What keeps the summary from being read keeps the changes as well.
        if let Some(failure) = summary.as_ref().err().or(look.as_ref().err()) {
            problems.push_str(&format_problem(name, failure));
        }
    }
    table(&lines) + &problems
}

/// What runs: `ready` is a sandbox that is started, with nothing in it.
fn state(summary: &Summary, status: Option<Status>) -> &'static str {
    match (status, summary.running, summary.once) {
        (Some(status), ..) if status.processes > 0 => "running",
        (Some(_), ..) => "ready",
        (None, true, _) => "busy",
        (None, false, true) => "in review",
        (None, false, false) => "idle",
    }
}

fn line(summary: &Summary, look: Option<&Look>) -> [String; 7] {
    [
        summary.name.clone(),
        state(summary, look.and_then(|look| look.status)).to_owned(),
        look.map_or_else(|| "?".to_owned(), |look| look.changes.to_string()),
        summary.checkpoints.to_string(),
        summary.head.as_ref().map_or_else(|| "-".to_owned(), |head| head.name.clone()),
        ago(summary.used),
        shown(&summary.workspace.path),
    ]
}

fn format_problem(name: &str, failure: &Failure) -> String {
    format!("{name}: {}\n", one_line(failure))
}

/// The list as one document.
pub(crate) fn sandboxes_json(rows: &[Row]) -> Value {
    let row = |(name, summary, look): &Row| {
        let failure = summary.as_ref().err().or(look.as_ref().err()).map(one_line);
        let status = look.as_ref().ok().and_then(|look| look.status);
        let Ok(summary) = summary else { return json!({ "name": name, "failure": failure }) };
        json!({
            "name": name,
            "workspace": summary.workspace.path.to_string_lossy(),
            "state": state(summary, status),
            "commands": status.map_or(0, |status| status.commands),
            "processes": status.map_or(0, |status| status.processes),
            "review": summary.once,
            "changes": look.as_ref().ok().map(|look| look.changes),
            "checkpoints": summary.checkpoints,
            "head": summary.head.as_ref().map(|head| &head.name),
            "created_ms": milliseconds(summary.created),
            "used_ms": milliseconds(summary.used),
            "failure": failure,
        })
    };
    json!({ "version": 1, "sandboxes": rows.iter().map(row).collect::<Vec<_>>() })
}

/// What was, or would be, removed.
pub(crate) fn pruned(pruned: &[Pruned], only_told: bool) -> String {
    if pruned.is_empty() {
        return String::new();
    }
    let line = |pruned: &Pruned| [pruned.name.clone(), size(pruned.size.bytes), format!("used {}", ago(pruned.used))];
    let bytes = pruned.iter().map(|pruned| pruned.size.bytes).sum();
    let verb = if only_told { "would be removed" } else { "removed" };
    let sum = counted(pruned.len() as u64, "sandbox", "sandboxes");
    format!("{}{sum} {verb}, {}\n", table(&pruned.iter().map(line).collect::<Vec<_>>()), size(bytes))
}

/// The same as one document.
pub(crate) fn pruned_json(pruned: &[Pruned], removed: bool) -> Value {
    let one = |pruned: &Pruned| {
        json!({
            "name": pruned.name,
            "used_ms": milliseconds(pruned.used),
            "bytes": pruned.size.bytes,
            "inodes": pruned.size.inodes,
        })
    };
    json!({ "version": 1, "removed": removed, "sandboxes": pruned.iter().map(one).collect::<Vec<_>>() })
}
