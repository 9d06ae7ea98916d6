//! Checkpoints, and the tree that they form.

use serde::{Deserialize, Serialize};

use super::id::Id;
use super::manifest::{Manifest, Record, name};
use super::name::Label;

/// A state of a sandbox that was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// `c1`, `c2` and so on.
    pub name: String,
    /// What somebody called it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    /// Whether nobody asked for it: it was taken so that nothing is lost.
    pub automatic: bool,
    /// Whether programs ran when it was taken.
    pub running: bool,
    /// The checkpoint that the sandbox had come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// When it was taken, in nanoseconds since 1970.
    pub time: i64,
    /// Its layers, bottom to top.
    pub layers: Vec<Id>,
}

/// A checkpoint's place in the tree of checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branch {
    /// The checkpoint.
    #[serde(flatten)]
    pub checkpoint: Checkpoint,
    /// Checkpoints above it.
    pub depth: usize,
    /// Whether the current state came from it.
    pub head: bool,
}

/// All checkpoints: each before those that came from it, older ones first.
pub(super) fn tree(manifest: &Manifest) -> Vec<Branch> {
    let mut children = std::collections::BTreeMap::<Option<u32>, Vec<&Record>>::new();
    for record in &manifest.checkpoints {
        children.entry(record.parent).or_default().push(record);
    }
    let mut waiting: Vec<(usize, &Record)> = Vec::new();
    let mut enter = |waiting: &mut Vec<(usize, _)>, parent, depth| {
        let found = children.remove(&parent).unwrap_or_default();
        waiting.extend(found.into_iter().rev().map(|record| (depth, record)));
    };
    enter(&mut waiting, None, 0);
    let mut branches = Vec::with_capacity(manifest.checkpoints.len());
    while let Some((depth, record)) = waiting.pop() {
        let head = manifest.head == Some(record.number);
        branches.push(Branch { checkpoint: manifest.show(record), depth, head });
        enter(&mut waiting, Some(record.number), depth + 1);
    }
    branches
}

/// The number of the checkpoint that a text names: by its name, or else by its label if only one has it.
pub(super) fn find(manifest: &Manifest, text: &str) -> Result<u32, Missing> {
    let records = &manifest.checkpoints;
    if let Some(record) = records.iter().find(|record| name(record.number) == text) {
        return Ok(record.number);
    }
    let is_labelled = |record: &&Record| record.label.as_ref().is_some_and(|label| label.as_str() == text);
    let labelled: Vec<u32> = records.iter().filter(is_labelled).map(|record| record.number).collect();
    match labelled[..] {
        [number] => Ok(number),
        [] => Err(Missing::Unknown(records.iter().map(|record| name(record.number)).collect())),
        _ => Err(Missing::Ambiguous(labelled.into_iter().map(name).collect())),
    }
}

/// Why no checkpoint was found.
pub(super) enum Missing {
    /// None has the name or label; these names exist.
    Unknown(Vec<String>),
    /// These have the label.
    Ambiguous(Vec<String>),
}
