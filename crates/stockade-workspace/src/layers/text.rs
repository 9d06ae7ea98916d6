//! A change as text: a unified diff that `git apply` takes, and `patch -p1` where no directory becomes a file or a link.
//!
//! The form is git's ("Generating patch text with -p" in `git-diff(1)`). What that has no form for stands in lines of its own,
//! which git skips: see [`remarks`](super::remarks).

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use similar::{Algorithm, DiffOp, DiffTag, capture_diff_slices_deadline, group_diff_ops};

use super::changes::{Change, Status};
use super::entry::Kind;
use super::error::LayerError;
use super::quote::quote;
use super::remarks::remarks;
use super::sides::{Side, Sides, Untold};
use super::stack::Stack;

/// Lines that are shown around a change.
const CONTEXT: usize = 3;

/// How long the shortest difference of one file is searched for; after that, one that may be longer is good enough.
const PATIENCE: Duration = Duration::from_secs(1);

/// The unified diff of one change. `holds` is whether changes below its path are told as well, which tell of a directory.
///
/// # Errors
/// When a file cannot be read.
pub fn unified(stack: &Stack, change: &Change, holds: bool) -> Result<Vec<u8>, LayerError> {
    let Sides { old, new } = Sides::read(stack, change)?;
    let mut out = remarks(stack, change, holds)?;
    if change.status == Status::TypeChanged {
        // A file that became a link is, to git, one that is gone and another that is new.
        patch(&mut out, change, old.as_ref(), None);
        patch(&mut out, change, None, new.as_ref());
    } else {
        patch(&mut out, change, old.as_ref(), new.as_ref());
    }
    Ok(out)
}

/// How lines differ.
pub(super) fn compare(old: &[&[u8]], new: &[&[u8]]) -> Vec<DiffOp> {
    capture_diff_slices_deadline(Algorithm::Myers, old, new, Instant::now().checked_add(PATIENCE))
}

fn patch(out: &mut Vec<u8>, change: &Change, old: Option<&Side>, new: Option<&Side>) {
    let mut rest = header(change, old, new);
    if old.and_then(|side| side.untold).or(new.and_then(|side| side.untold)).is_some() {
        rest.extend(not_shown(change, old, new));
    } else {
        rest.extend(hunks(change, old, new));
    }
    if !rest.is_empty() {
        let (a, b) = (name("a/", change.old_path()), name("b/", &change.path));
        out.extend([b"diff --git ", &a[..], b" ", &b, b"\n"].concat());
        out.extend(rest);
    }
}

/// What is told before the content.
fn header(change: &Change, old: Option<&Side>, new: Option<&Side>) -> Vec<u8> {
    let mut lines = Vec::new();
    match (old.map(mode), new.map(mode)) {
        (Some(old), None) => lines = format!("deleted file mode {old:06o}\n").into_bytes(),
        (None, Some(new)) => lines = format!("new file mode {new:06o}\n").into_bytes(),
        (Some(old), Some(new)) if old != new => {
            lines = format!("old mode {old:06o}\nnew mode {new:06o}\n").into_bytes();
        }
        _ => {}
    }
    if let (Some(from), Status::Renamed) = (&change.from, change.status) {
        let (from, to) = (name("", from), name("", &change.path));
        lines.extend([b"similarity index 100%\nrename from ", &from[..], b"\nrename to ", &to, b"\n"].concat());
    }
    lines
}

/// Kind and permission as git has them.
fn mode(side: &Side) -> u32 {
    match side.entry.kind {
        Kind::Symlink => 0o120_000,
        _ if side.entry.mode & 0o100 != 0 => 0o100_755,
        _ => 0o100_644,
    }
}

/// Says that there is more than is shown, so that `git apply` refuses what it cannot apply.
fn not_shown(change: &Change, old: Option<&Side>, new: Option<&Side>) -> Vec<u8> {
    let binary = [old, new].into_iter().flatten().any(|side| side.untold == Some(Untold::Binary));
    let told = |prefix, path, side: Option<&Side>| match side {
        None => b"/dev/null".to_vec(),
        Some(_) if binary => name(prefix, path),
        Some(side) => [name(prefix, path), format!(" ({} bytes)", side.entry.size).into_bytes()].concat(),
    };
    let kind = if binary { &b"Binary files "[..] } else { b"Files " };
    let (a, b) = (told("a/", change.old_path(), old), told("b/", &change.path, new));
    [kind, &a, b" and ", &b, b" differ\n"].concat()
}

fn hunks(change: &Change, old: Option<&Side>, new: Option<&Side>) -> Vec<u8> {
    let (old_lines, new_lines) = (Side::lines(old), Side::lines(new));
    let groups = group_diff_ops(compare(&old_lines, &new_lines), CONTEXT);
    if groups.iter().flatten().all(|part| part.tag() == DiffTag::Equal) {
        return Vec::new();
    }
    let named = |prefix, path, side: Option<&Side>| {
        let name = if side.is_some() { name(prefix, path) } else { b"/dev/null".to_vec() };
        // Without the tab, `patch` would take a blank for the end of the name.
        let tab: &[u8] = if side.is_some() && path.as_os_str().as_bytes().contains(&b' ') { b"\t" } else { b"" };
        [&name, tab].concat()
    };
    let (a, b) = (named("a/", change.old_path(), old), named("b/", &change.path, new));
    let mut out = [b"--- ", &a[..], b"\n+++ ", &b, b"\n"].concat();
    for group in groups {
        hunk(&mut out, &group, &old_lines, &new_lines);
    }
    out
}

fn hunk(out: &mut Vec<u8>, parts: &[DiffOp], old: &[&[u8]], new: &[&[u8]]) {
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return };
    let before = range(first.old_range().start, last.old_range().end);
    let after = range(first.new_range().start, last.new_range().end);
    out.extend(format!("@@ -{before} +{after} @@\n").into_bytes());
    for part in parts {
        if part.tag() == DiffTag::Equal {
            lines(out, b' ', &old[part.old_range()]);
        } else {
            lines(out, b'-', &old[part.old_range()]);
            lines(out, b'+', &new[part.new_range()]);
        }
    }
}

/// Lines from 1, as `first,count`; of no lines, the one before them.
fn range(start: usize, end: usize) -> String {
    match end - start {
        0 => format!("{start},0"),
        1 => format!("{}", start + 1),
        count => format!("{},{count}", start + 1),
    }
}

fn lines(out: &mut Vec<u8>, sign: u8, lines: &[&[u8]]) {
    for line in lines {
        out.push(sign);
        out.extend_from_slice(line);
        if !line.ends_with(b"\n") {
            out.extend_from_slice(b"\n\\ No newline at end of file\n");
        }
    }
}

fn name(prefix: &str, path: &Path) -> Vec<u8> {
    quote(prefix, path.as_os_str().as_bytes())
}
