//! Checkpoints, and what going back did.

use std::collections::HashMap;

use serde_json::{Value, json};
use stockade::sandbox::{Branch, Checkpoint, Status};

use super::quantity::{ago, counted, milliseconds};
use super::table::table;
use super::text::escaped;

/// The tree: those that came from one checkpoint stand below it, and further to the right where there are several.
pub(crate) fn log(branches: &[Branch]) -> String {
    let mut children: HashMap<Option<&str>, usize> = HashMap::new();
    for Branch { checkpoint, .. } in branches {
        *children.entry(checkpoint.parent.as_deref()).or_default() += 1;
    }
    let mut indents: HashMap<&str, usize> = HashMap::new();
    let mut rows = Vec::new();
    for Branch { checkpoint, head, .. } in branches {
        let parent = checkpoint.parent.as_deref();
        let forks = parent.is_some() && children.get(&parent).is_some_and(|count| *count > 1);
        let indent = parent.and_then(|parent| indents.get(parent)).copied().unwrap_or(0) + usize::from(forks);
        indents.insert(&checkpoint.name, indent);
        let mark = if *head { '*' } else { ' ' };
        rows.push([
            format!("{mark} {:width$}{}", "", checkpoint.name, width = 2 * indent),
            ago(checkpoint.time),
            about(checkpoint),
        ]);
    }
    table(&rows)
}

fn about(checkpoint: &Checkpoint) -> String {
    let mut parts: Vec<String> = checkpoint.label.iter().map(|label| escaped(label.as_str()).to_string()).collect();
    if checkpoint.automatic {
        parts.push("(automatic)".to_owned());
    }
    parts.join(" ")
}

/// The same as one document, in the same order.
pub(crate) fn log_json(sandbox: &str, branches: &[Branch]) -> Value {
    let one = |Branch { checkpoint, depth, head }: &Branch| {
        json!({
            "name": checkpoint.name,
            "label": checkpoint.label,
            "parent": checkpoint.parent,
            "depth": depth,
            "head": head,
            "automatic": checkpoint.automatic,
            "running": checkpoint.running,
            "time_ms": milliseconds(checkpoint.time),
        })
    };
    json!({ "version": 1, "sandbox": sandbox, "checkpoints": branches.iter().map(one).collect::<Vec<_>>() })
}

/// What was ended; empty where nothing ran.
pub(crate) fn stopped(sandbox: &str, status: Option<&Status>) -> String {
    let Some(Status { commands, processes }) = status else { return String::new() };
    if *processes == 0 {
        return String::new();
    }
    let processes = counted(*processes as u64, "process", "processes");
    let commands = match *commands {
        0 => String::new(),
        commands => format!("{}, ", counted(commands as u64, "command", "commands")),
    };
    format!("stockade: ended in {sandbox}: {commands}{processes}\n")
}

/// Where the state before is; empty where there was nothing to keep.
pub(crate) fn kept(sandbox: &str, kept: Option<&Checkpoint>) -> String {
    kept.map_or_else(String::new, |kept| {
        format!(
            "stockade: the state before is kept as {name}; `stockade restore {sandbox} {name}` goes back to it\n",
            name = kept.name
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branch(name: &str, parent: Option<&str>, head: bool) -> Branch {
        let checkpoint = Checkpoint {
            name: name.to_owned(),
            label: None,
            automatic: name == "c4",
            running: false,
            parent: parent.map(str::to_owned),
            time: i64::MAX,
            layers: Vec::new(),
        };
        Branch { checkpoint, depth: 0, head }
    }

    #[test]
    fn only_forks_move_to_the_right() {
        let branches = [
            branch("c1", None, false),
            branch("c2", Some("c1"), false),
            branch("c3", Some("c2"), false),
            branch("c5", Some("c3"), true),
            branch("c4", Some("c2"), false),
            branch("c6", None, false),
        ];
        assert_eq!(
            log(&branches),
            "  c1    0s ago\n  c2    0s ago\n    c3  0s ago\n*   c5  0s ago\n    c4  0s ago  (automatic)\n  c6    0s ago\n"
        );
        assert_eq!(log_json("s", &branches)["checkpoints"][4]["parent"], "c2");
    }
}
