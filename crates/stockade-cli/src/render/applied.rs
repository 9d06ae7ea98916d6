//! What an apply did, and what it left alone: one line each, with the three versions of what is refused.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stockade::sandbox::Application;
use stockade::sandbox::applying::{Applied, Conflict, Progress};

use super::closing::push;
use super::quantity::{counted, size};
use super::text::{escaped_whole, shown};

/// Files that are listed because something of them was left out.
const FEW: usize = 8;

/// Files that are listed because they were not applied, for each reason. Each takes up to five lines with its path, and the paths
/// of a deep tree are as long as it is deep.
const MOST: usize = 100;

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

/// Tells what was not applied, and why; nothing when all was, as it should be. It is told part by part: paths may be long.
pub(crate) fn not_applied(application: &Application, workspace: &Path, mut tell: impl FnMut(&str)) {
    let Application { applied, layers, .. } = application;
    let tell = &mut tell;
    if !is_whole(applied) {
        let done = counted(applied.done.len() as u64, "change was", "changes were");
        tell(&format!("stockade: {done} applied, and these were not\n"));
    }
    let refused = "refused, since the workspace may hold what the sandbox has not seen";
    list(tell, refused, MOST, &applied.conflicts, |conflict| told(conflict, layers, workspace));
    list(tell, "held back, since your own tools execute or obey it later", MOST, &applied.held_back, |held| {
        format!("  {} (protected by {})\n", shown(&held.path), escaped_whole(&held.rule))
    });
    list(tell, "could not be applied", MOST, &applied.failed, |failed| {
        format!("  {}: {}\n", shown(&failed.path), escaped_whole(&failed.why.to_string()))
    });
    let path = |path: &PathBuf| format!("  {}\n", shown(path));
    let bits = "applied without set-user-id and set-group-id bits; --protected PATH keeps them";
    list(tell, bits, FEW, &applied.cleared, path);
    let bare = "applied without extended attributes that the workspace's file system does not take";
    list(tell, bare, FEW, &applied.bare, path);
    let hints = [
        (applied.conflicts.is_empty(), "--take PATH takes the sandbox's version"),
        (applied.held_back.is_empty(), "--protected PATH applies what is held back, once you have looked at it"),
    ];
    let hints: Vec<&str> = hints.into_iter().filter(|(none, _)| !none).map(|(_, hint)| hint).collect();
    if !hints.is_empty() {
        tell(&format!("\nhint: {}\n", hints.join("; ")));
    }
}

/// Tells of the first ones of a list, and how many more there are.
fn list<T>(tell: &mut impl FnMut(&str), heading: &str, most: usize, all: &[T], text: impl Fn(&T) -> String) {
    if all.is_empty() {
        return;
    }
    tell(&format!("stockade: {heading}:\n"));
    all.iter().take(most).for_each(|one| tell(&text(one)));
    if let Some(more) = all.len().checked_sub(most).filter(|more| *more > 0) {
        tell(&format!("  and {more} more; --json lists them\n"));
    }
}

/// A conflict, with where the versions are.
fn told(conflict: &Conflict, layers: &[PathBuf], workspace: &Path) -> String {
    let mut lines = format!("  {}: {}\n", shown(&conflict.path), escaped_whole(&conflict.reason.to_string()));
    let Versions { workspace, sandbox, before } = Versions::of(conflict, layers, workspace);
    for (name, path) in [("workspace", workspace), ("sandbox", sandbox), ("before", before)] {
        push(&mut lines, &format!("    {name:<9}  {}", path.as_deref().map_or_else(|| "-".to_owned(), shown)));
    }
    if let Some(kept) = &conflict.kept {
        push(&mut lines, &format!("    {:<9}  {}", "kept", shown(kept)));
    }
    lines
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
    use stockade::sandbox::applying::{Failed, HeldBack, Reason, Why};
    use stockade::sandbox::layers::Status;

    use super::*;

    #[test]
    fn a_line_of_progress_covers_the_one_before() {
        let long = progress(&Progress { files: 9_999_999, all_files: 10_000_000, bytes: 1 << 40, all_bytes: 1 << 41 });
        let short = progress(&Progress::default());
        assert!(long.starts_with("\rstockade: 9999999 of 10000000 files, 1.0 TB of 2.1 TB "), "{long}");
        assert_eq!([long.len(), short.len(), no_progress().len()], [PROGRESS + 1, PROGRESS + 1, PROGRESS + 2]);
    }

    #[test]
    fn what_is_listed_is_bounded_for_each_reason() {
        let path = |number: usize| PathBuf::from(format!("d/f{number:04}"));
        let (status, why) = (Status::Added, Why::Socket);
        let failed = |number| Failed { path: path(number), status, why: why.clone() };
        let held = |number| HeldBack { path: path(number), status, rule: "**/f*".to_owned() };
        let conflict = |number| Conflict {
            path: path(number),
            status,
            reason: Reason::Appeared,
            base: None,
            host: None,
            sandbox: None,
            layer: None,
            kept: None,
        };
        let told = |count: usize| {
            let applied = Applied {
                conflicts: (0..count).map(conflict).collect(),
                held_back: (0..count).map(held).collect(),
                failed: (0..count).map(failed).collect(),
                cleared: (0..count).map(path).collect(),
                ..Applied::default()
            };
            let application = Application { applied, checkpoint: "c1".to_owned(), layers: Vec::new() };
            let (mut text, mut longest) = (String::new(), 0);
            not_applied(&application, Path::new("/w"), |part| {
                longest = longest.max(part.lines().count());
                text.push_str(part);
            });
            assert!(longest <= 5);
            text
        };
        let (at_most, more) = (told(MOST), told(5_000));
        assert_eq!((at_most.matches("f0099").count(), at_most.matches(" more; ").count()), (3, 1), "{at_most}");
        assert_eq!(more.matches("  and 4900 more; --json lists them\n").count(), 3, "{more}");
        assert_eq!((more.lines().count(), more.contains("f0100")), (at_most.lines().count() + 3, false));
        assert_eq!(told(0), "");
    }
}
