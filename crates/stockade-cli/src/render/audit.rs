//! What came of judging records and layers.

use std::fmt::Write as _;

use serde_json::{Value, json};
use stockade::sandbox::record::{Broken, Exported, PublicKey, Verdict};
use stockade::sandbox::{Audit, AuditedLayer, Difference};

use super::closing::push;
use super::quantity::counted;
use super::text::{escaped_whole, shown};

/// Differences of a layer that are listed.
const FEW: usize = 8;

/// The findings about a sandbox.
pub(crate) fn audit(audit: &Audit) -> String {
    let mut lines = verdict(&audit.record);
    let bad: Vec<&AuditedLayer> = audit.layers.iter().filter(|layer| !layer.verified.is_good()).collect();
    if bad.is_empty() {
        push(&mut lines, &format!("layers: {}, as they were made", audit.layers.len()));
    }
    for layer in bad {
        let count = counted(layer.verified.count, "difference", "differences");
        push(&mut lines, &format!("layer {}: CHANGED FROM OUTSIDE, {count}", layer.id));
        for difference in layer.verified.differences.iter().take(FEW) {
            push(&mut lines, &format!("  {}", told(difference)));
        }
    }
    lines
}

fn told(difference: &Difference) -> String {
    match difference {
        Difference::Added { path } => format!("added: {}", shown(path)),
        Difference::Missing { path } => format!("missing: {}", shown(path)),
        Difference::Changed { path, what } => format!("changed: {} ({})", shown(path), what.join(", ")),
        Difference::Listing { what } => format!("the listing: {}", escaped_whole(what)),
    }
}

fn verdict(verdict: &Verdict) -> String {
    let mut lines = String::new();
    match verdict {
        Verdict::Verified(verified) => {
            let count = counted(verified.lines, "line", "lines");
            push(&mut lines, &format!("record: whole, {count}, the last one's hash is {}", verified.hash));
            if verified.unsigned > 0 {
                push(
                    &mut lines,
                    &format!("  the last {} not signed yet", counted(verified.unsigned, "line is", "lines are")),
                );
            }
            for loss in &verified.losses {
                let what = json!(loss.what).to_string();
                push(&mut lines, &format!("  line {} tells of a loss: {}", loss.line, escaped_whole(&what)));
            }
        }
        Verdict::Broken(broken) => {
            push(&mut lines, &format!("record: BROKEN at {}", escaped_whole(&broken.to_string())))
        }
    }
    lines
}

/// The same as one document.
pub(crate) fn audit_json(sandbox: &str, audit: &Audit) -> Value {
    json!({
        "version": 1,
        "sandbox": sandbox,
        "good": audit.is_good(),
        "key": audit.key.to_string(),
        "record": audit.record,
        "layers": audit.layers,
    })
}

/// The findings about an exported record.
pub(crate) fn export(found: &Result<Exported, Broken>, own: Option<&PublicKey>) -> String {
    let Exported { sandbox, key, verdict: found } = match found {
        Ok(exported) => exported,
        Err(broken) => return format!("record: BROKEN at {}\n", escaped_whole(&broken.to_string())),
    };
    let mut lines = verdict(found);
    let whose = match own {
        Some(own) if own == key => "this machine's and yours",
        Some(_) => "not this machine's and yours: compare it with that of the machine that it is said to come from",
        None => "compare it with that of the machine that it is said to come from",
    };
    let _infallible = writeln!(lines, "sandbox: {sandbox}\nkey: {key} ({whose})");
    lines
}

/// The same as one document.
pub(crate) fn export_json(found: &Result<Exported, Broken>, own: Option<&PublicKey>) -> Value {
    match found {
        Ok(exported) => json!({
            "version": 1,
            "good": matches!(exported.verdict, Verdict::Verified(_)),
            "sandbox": exported.sandbox,
            "key": exported.key.to_string(),
            "own_key": own.map(|own| *own == exported.key),
            "record": exported.verdict,
        }),
        Err(broken) => json!({ "version": 1, "good": false, "record": Verdict::Broken(broken.clone()) }),
    }
}
