//! How much changed: lines, or bytes where there are no lines, of each file and in all.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use similar::DiffTag;

use super::changes::{Change, Status};
use super::entry::{Entry, Kind};
use super::error::LayerError;
use super::sides::{Side, Sides, Untold};
use super::stack::Stack;
use super::{optional_path, text};
use crate::os_text;

/// How much of one path changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStat {
    /// Relative to the workspace.
    #[serde(with = "os_text")]
    pub path: PathBuf,
    /// Where the host has it, when it was renamed.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_path")]
    pub from: Option<PathBuf>,
    /// How it differs.
    pub status: Status,
    /// What it is now, or was.
    pub kind: Kind,
    /// How much of it.
    #[serde(flatten)]
    pub amount: Amount,
}

/// How much changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "counted")]
pub enum Amount {
    /// Lines of text; none where the content is the same, or there is none.
    Lines {
        /// Lines that only the sandbox has.
        added: u64,
        /// Lines that only the host has.
        deleted: u64,
    },
    /// A file whose lines are not compared.
    Bytes {
        /// Why.
        reason: Untold,
        /// Size on the host.
        old: u64,
        /// Size in the sandbox.
        new: u64,
    },
}

/// How much changed in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Paths that changed, without directories.
    pub files: u64,
    /// Lines that only the sandbox has.
    pub added: u64,
    /// Lines that only the host has.
    pub deleted: u64,
    /// Files whose lines are not compared.
    pub uncounted: u64,
}

/// How much of one path changed.
///
/// # Errors
/// When a file cannot be read.
pub fn stat(stack: &Stack, change: &Change) -> Result<FileStat, LayerError> {
    let kind = change.new.or(change.old).map_or(Kind::File, |entry| entry.kind);
    let amount = amount(change, &Sides::read(stack, change)?);
    Ok(FileStat { path: change.path.clone(), from: change.from.clone(), status: change.status, kind, amount })
}

impl Totals {
    /// The sum.
    #[must_use]
    pub fn of(stats: &[FileStat]) -> Self {
        let mut totals = Self::default();
        for stat in stats.iter().filter(|stat| stat.kind != Kind::Directory) {
            totals.files += 1;
            match stat.amount {
                Amount::Lines { added, deleted } => {
                    totals.added += added;
                    totals.deleted += deleted;
                }
                Amount::Bytes { .. } => totals.uncounted += 1,
            }
        }
        totals
    }
}

fn amount(change: &Change, Sides { old, new }: &Sides) -> Amount {
    let untold = |side: &Option<Side>| side.as_ref().and_then(|side| side.untold);
    if let Some(reason) = untold(old).or_else(|| untold(new)) {
        let size = |entry: Option<Entry>| entry.map_or(0, |entry| entry.size);
        return Amount::Bytes { reason, old: size(change.old), new: size(change.new) };
    }
    let (old, new) = (Side::lines(old.as_ref()), Side::lines(new.as_ref()));
    if change.status == Status::TypeChanged {
        return Amount::Lines { added: new.len() as u64, deleted: old.len() as u64 };
    }
    let (mut added, mut deleted) = (0, 0);
    for part in text::compare(&old, &new).iter().filter(|part| part.tag() != DiffTag::Equal) {
        added += part.new_range().len() as u64;
        deleted += part.old_range().len() as u64;
    }
    Amount::Lines { added, deleted }
}
