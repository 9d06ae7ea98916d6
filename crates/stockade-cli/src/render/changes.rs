//! Lists of changes.

use serde_json::{Value, json};
use stockade::sandbox::layers::{Amount, Change, FileStat, Kind, Status, Totals, Untold};

use super::quantity::counted;
use super::table::table;
use super::text::shown;

/// Signs of the longest bar.
const BAR: u64 = 40;

/// The letter of a status, as git has it where git has one.
const fn letter(status: Status) -> char {
    match status {
        Status::Added => 'A',
        Status::Deleted => 'D',
        Status::Modified => 'M',
        Status::TypeChanged => 'T',
        Status::Attributes => 'P',
        Status::Renamed => 'R',
    }
}

/// A path, and that from which it was renamed. A directory's ends in `/`.
fn name(path: &std::path::Path, from: Option<&std::path::Path>, kind: Option<Kind>) -> String {
    let slash = if kind == Some(Kind::Directory) { "/" } else { "" };
    let from = from.map_or_else(String::new, |from| format!("{} -> ", shown(from)));
    format!("{from}{}{slash}", shown(path))
}

/// What is said of a path that was asked about, and at which nothing has changed.
pub(crate) fn nothing_at(path: &std::path::Path) -> String {
    format!("stockade: nothing has changed at {}\n", shown(path))
}

/// How each path changed.
pub(crate) fn names(changes: &[Change]) -> String {
    let line = |change: &Change| {
        let kind = change.new.or(change.old).map(|entry| entry.kind);
        format!("{} {}\n", letter(change.status), name(&change.path, change.from.as_deref(), kind))
    };
    changes.iter().map(line).collect()
}

/// The same as one document, with what workspace and sandbox have there.
pub(crate) fn names_json(sandbox: &str, changes: &[Change]) -> Value {
    let one = |change: &Change| {
        let mut value = json!(change);
        if let Value::Object(fields) = &mut value {
            // The place of a layer in a list that is not told.
            fields.remove("layer");
        }
        value
    };
    json!({ "version": 1, "sandbox": sandbox, "changes": changes.iter().map(one).collect::<Vec<_>>() })
}

/// How much of each file changed, and in all.
pub(crate) fn stats(stats: &[FileStat]) -> String {
    let files: Vec<&FileStat> = stats.iter().filter(|stat| stat.kind != Kind::Directory).collect();
    if files.is_empty() {
        return String::new();
    }
    let longest = files.iter().map(|stat| lines(stat).map_or(0, |(added, deleted)| added + deleted)).max().unwrap_or(0);
    let row = |stat: &&FileStat| {
        let [number, bar] = match (lines(stat), stat.amount) {
            (Some((added, deleted)), _) => [(added + deleted).to_string(), bar(added, deleted, longest)],
            (None, Amount::Bytes { reason, old, new }) => {
                let kind = if reason == Untold::Binary { "binary" } else { "large" };
                [kind.to_owned(), format!("{old} -> {new} bytes")]
            }
            (None, _) => [String::new(), String::new()],
        };
        [format!(" {}", name(&stat.path, stat.from.as_deref(), None)), format!("| {number:>6}"), bar]
    };
    let totals = Totals::of(stats);
    format!(
        "{} {} changed, {} added, {} deleted\n",
        table(&files.iter().map(row).collect::<Vec<_>>()),
        counted(totals.files, "file", "files"),
        counted(totals.added, "line", "lines"),
        counted(totals.deleted, "line", "lines"),
    )
}

const fn lines(stat: &FileStat) -> Option<(u64, u64)> {
    match stat.amount {
        Amount::Lines { added, deleted } => Some((added, deleted)),
        Amount::Bytes { .. } => None,
    }
}

/// Signs in proportion to the file with most changes; whatever there is gets one.
fn bar(added: u64, deleted: u64, longest: u64) -> String {
    let signs = |count: u64| {
        let scaled = if longest <= BAR { count } else { count.saturating_mul(BAR).div_ceil(longest) };
        usize::try_from(scaled).unwrap_or(0)
    };
    "+".repeat(signs(added)) + &"-".repeat(signs(deleted))
}

/// The same as one document.
pub(crate) fn stats_json(sandbox: &str, stats: &[FileStat]) -> Value {
    json!({ "version": 1, "sandbox": sandbox, "changes": stats, "totals": Totals::of(stats) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(path: &str, amount: Amount) -> FileStat {
        FileStat { path: path.into(), from: None, status: Status::Modified, kind: Kind::File, amount }
    }

    #[test]
    fn bars_are_in_proportion() {
        let text = stats(&[
            stat("a", Amount::Lines { added: 1, deleted: 0 }),
            stat("esc\u{1b}[2J", Amount::Lines { added: 300, deleted: 100 }),
            stat("b", Amount::Bytes { reason: Untold::Binary, old: 1, new: 20 }),
        ]);
        assert_eq!(
            text,
            format!(
                " a             |      1  +\n esc\\u{{1b}}[2J  |    400  {}{}\n b             | binary  1 -> 20 bytes\n \
                 3 files changed, 301 lines added, 100 lines deleted\n",
                "+".repeat(30),
                "-".repeat(10)
            )
        );
        assert_eq!(stats(&[]), "");
    }

    #[test]
    fn names_are_safe_to_print() {
        let change = Change {
            path: "new\nline".into(),
            status: Status::Renamed,
            from: Some("old".into()),
            old: None,
            new: None,
            layer: Some(3),
        };
        assert_eq!(names(std::slice::from_ref(&change)), "R old -> new\\nline\n");
        assert_eq!(
            names_json("s", &[change])["changes"][0],
            json!({"path": "new\nline", "status": "renamed", "from": "old"})
        );
    }
}
