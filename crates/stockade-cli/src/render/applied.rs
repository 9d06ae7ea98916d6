//! What an apply did, and what it left alone: one line each, with the three versions of what is refused.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stockade::sandbox::Application;
use stockade::sandbox::applying::{Applied, Conflict, Progress};

use super::closing::push;
use super::quantity::{counted, size};
use super::text::escaped_whole;

/// Files that are listed because something of them was left out.
const FEW: usize = 8;

/// Columns of the line of progress, which blanks remove again: codes for that would be taken out where there is no colour.
const PROGRESS: usize = 72;

/// How far it is, in place of the line before.
pub(crate) fn progress(progress: &Progress) -> String {
    let Progress { files, all_files, bytes, all_bytes } = progress;
    let text = format!("stockade: {files} of {all_files} files, {} of {}", size(*bytes), size(*all_bytes));
    format!("\r{text:<PROGRESS$}")
}

/// Takes the line of progress away.
pub(crate) fn no_progress() -> String {
    format!("\r{:PROGRESS$}\r", "")
}

/// Whether all that was asked for was applied.
pub(crate) const fn is_whole(applied: &Applied) -> bool {
    applied.conflicts.is_empty() && applied.held_back.is_empty() && applied.failed.is_empty()
}

/// What was not applied, and why; empty when all was, as it should be.
pub(crate) fn not_applied(application: &Application, workspace: &Path) -> String {
    let Application { applied, layers, .. } = application;
    let mut lines = String::new();
    if !is_whole(applied) {
        let done = counted(applied.done.len() as u64, "change was", "changes were");
        push(&mut lines, &format!("stockade: {done} applied, and these were not"));
    }
    if !applied.conflicts.is_empty() {
        push(&mut lines, "stockade: refused, since the workspace may hold what the sandbox has not seen:");
    }
    for conflict in &applied.conflicts {
        push(&mut lines, &format!("  {}: {}", shown(&conflict.path), escaped_whole(&conflict.reason.to_string())));
        let Versions { workspace, sandbox, before } = Versions::of(conflict, layers, workspace);
        for (name, path) in [("workspace", workspace), ("sandbox", sandbox), ("before", before)] {
            push(&mut lines, &format!("    {name:<9}  {}", path.as_deref().map_or_else(|| "-".to_owned(), shown)));
        }
        if let Some(kept) = &conflict.kept {
            push(&mut lines, &format!("    {:<9}  {}", "kept", shown(kept)));
        }
    }
    if !applied.held_back.is_empty() {
        push(&mut lines, "stockade: held back, since your own tools execute or obey it later:");
    }
    for held in &applied.held_back {
        push(&mut lines, &format!("  {} (protected by {})", shown(&held.path), escaped_whole(&held.rule)));
    }
    if !applied.failed.is_empty() {
        push(&mut lines, "stockade: could not be applied:");
    }
    for failed in &applied.failed {
        push(&mut lines, &format!("  {}: {}", shown(&failed.path), escaped_whole(&failed.why.to_string())));
    }
    without(&mut lines, &applied.cleared, "set-user-id and set-group-id bits; --protected PATH keeps them");
    without(&mut lines, &applied.bare, "extended attributes that the workspace's file system does not take");
    let hints = [
        (applied.conflicts.is_empty(), "--take PATH takes the sandbox's version"),
        (applied.held_back.is_empty(), "--protected PATH applies what is held back, once you have looked at it"),
    ];
    let hints: Vec<&str> = hints.into_iter().filter(|(none, _)| !none).map(|(_, hint)| hint).collect();
    if !hints.is_empty() {
        push(&mut lines, &format!("\nhint: {}", hints.join("; ")));
    }
    lines
}

fn without(lines: &mut String, paths: &[PathBuf], what: &str) {
    if paths.is_empty() {
        return;
    }
    push(lines, &format!("stockade: applied without {what}:"));
    for path in paths.iter().take(FEW) {
        push(lines, &format!("  {}", shown(path)));
    }
    if let Some(more) = paths.len().checked_sub(FEW).filter(|more| *more > 0) {
        push(lines, &format!("  and {more} more; --json lists them"));
    }
}

fn shown(path: impl AsRef<Path>) -> String {
    escaped_whole(&path.as_ref().to_string_lossy()).to_string()
}

/// Where the three versions of a file are; `None` where there is none.
struct Versions {
    workspace: Option<PathBuf>,
    sandbox: Option<PathBuf>,
    before: Option<PathBuf>,
}

impl Versions {
    fn of(conflict: &Conflict, layers: &[PathBuf], workspace: &Path) -> Self {
        let layer = conflict.layer.and_then(|layer| layers.get(layer));
        Self {
            workspace: conflict.host.map(|_| workspace.join(&conflict.path)),
            sandbox: layer.map(|layer| layer.join(&conflict.path)),
            before: conflict.base.clone(),
        }
    }
}

/// Everything as one document.
pub(crate) fn application_json(sandbox: &str, application: &Application, workspace: &Path) -> Value {
    let Application { applied, checkpoint, layers } = application;
    let text = |path: Option<PathBuf>| path.map(|path| path.to_string_lossy().into_owned());
    let conflict = |conflict: &Conflict| {
        let versions = Versions::of(conflict, layers, workspace);
        let mut value = json!(conflict);
        if let Value::Object(fields) = &mut value {
            fields.remove("layer");
            fields.remove("base");
            let versions = json!({
                "workspace": text(versions.workspace),
                "sandbox": text(versions.sandbox),
                "before": text(versions.before),
            });
            fields.insert("versions".to_owned(), versions);
        }
        value
    };
    let mut value = json!(applied);
    if let Value::Object(fields) = &mut value {
        fields.remove("old");
        fields.insert("conflicts".to_owned(), applied.conflicts.iter().map(conflict).collect());
        fields.insert("version".to_owned(), 1.into());
        fields.insert("sandbox".to_owned(), sandbox.into());
        fields.insert("checkpoint".to_owned(), checkpoint.as_str().into());
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_progress_covers_the_one_before() {
        let long = progress(&Progress { files: 9_999_999, all_files: 10_000_000, bytes: 1 << 40, all_bytes: 1 << 41 });
        let short = progress(&Progress::default());
        assert!(long.starts_with("\rstockade: 9999999 of 10000000 files, 1.0 TB of 2.1 TB "), "{long}");
        assert_eq!([long.len(), short.len(), no_progress().len()], [PROGRESS + 1, PROGRESS + 1, PROGRESS + 2]);
    }
}
