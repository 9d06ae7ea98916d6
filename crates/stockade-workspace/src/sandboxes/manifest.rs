//! What a sandbox is made of, on disk: `sandbox.json`.
//!
//! It is replaced as a whole, by renaming a new file over the old one, so that whoever reads it needs no lock and finds one
//! state or the next. The new file's content is forced to disk before that, the rename is not: after a failure of power there
//! is a manifest of the last seconds, and never half of one. Names reach the disk in the order in which they were given, as
//! far as one file system's journal goes, so that it names no layer that is not there. What files of layers contain is
//! written back by the kernel in its own time; [`super::Sandbox::settle`] waits for all of it.
//!
//! Its `generation` counts the replacements. A change that takes several steps says beforehand which generation it will be
//! (`pending.rs`), so that after an interruption it is known whether the change took place.

use std::fs::File;
use std::io::Write;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use super::error::SandboxError;
use super::folder::Folder;
use super::id::Id;
use super::name::Label;
use super::workspace::Workspace;

pub(super) const FILE: &str = "sandbox.json";
pub(super) const TEMPORARY: &str = "sandbox.json.new";

const VERSION: u64 = 1;

/// Longest manifest that is read.
const MAX_BYTES: u64 = 64 << 20;

/// Most checkpoints of a sandbox.
pub(super) const MAX_CHECKPOINTS: usize = 10_000;

/// A layer, as the manifests that name it know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LayerRecord {
    pub(super) id: Id,
    /// SHA-256 of its listing.
    pub(super) digest: String,
    /// Entries in it.
    pub(super) entries: u64,
    /// Whether it holds what the host had before an apply.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) preserved: bool,
}

/// A checkpoint. Layers are given by their place in [`Manifest::layers`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) number: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) label: Option<Label>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) automatic: bool,
    /// Whether programs ran.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) running: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parent: Option<u32>,
    pub(super) time: i64,
    /// Bottom to top.
    pub(super) layers: Vec<u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) version: u64,
    pub(super) generation: u64,
    pub(super) id: Id,
    pub(super) workspace: Workspace,
    /// Nanoseconds since 1970.
    pub(super) created: i64,
    /// Made by a run that is to be reviewed, for that run only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) once: bool,
    pub(super) settings: serde_json::Value,
    /// Number of the next checkpoint.
    pub(super) next: u32,
    /// The checkpoint that the current state came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) head: Option<u32>,
    /// The layers below `upper`, bottom to top.
    pub(super) under: Vec<u32>,
    /// The last mirror of `upper`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mirror: Option<u32>,
    pub(super) layers: Vec<LayerRecord>,
    pub(super) checkpoints: Vec<Record>,
}

#[derive(Deserialize)]
struct Version {
    version: u64,
}

/// Whether what is written has to outlive a failure of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durable {
    Yes,
    No,
}

impl Manifest {
    pub(super) fn new(id: Id, workspace: Workspace, created: i64) -> Self {
        Self {
            version: VERSION,
            generation: 0,
            id,
            workspace,
            created,
            once: false,
            settings: serde_json::Value::Null,
            next: 1,
            head: None,
            under: Vec::new(),
            mirror: None,
            layers: Vec::new(),
            checkpoints: Vec::new(),
        }
    }

    /// Reads the manifest of a sandbox's folder; `None` where there is none.
    pub(super) fn read(folder: &Folder) -> Result<Option<Self>, SandboxError> {
        let Some(text) = folder.read(FILE, MAX_BYTES)? else { return Ok(None) };
        let path = || folder.path().join(FILE);
        let damaged = |what: String| SandboxError::Damaged { path: path(), what };
        // Of a newer format, nothing but the version is known.
        let Version { version } = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if version > VERSION {
            return Err(SandboxError::Newer { path: path(), version });
        }
        let manifest: Self = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        manifest.check().map_err(|what| damaged(what.to_owned()))?;
        Ok(Some(manifest))
    }

    /// Writes it to a file of the folder that is not its manifest yet.
    pub(super) fn write_temporary(&self, folder: &Folder, name: &str, durable: Durable) -> Result<(), SandboxError> {
        let failed = |operation, source| SandboxError::Io { operation, path: folder.path().join(name), source };
        let mut text = serde_json::to_vec(self).map_err(|error| failed("write", error.into()))?;
        text.push(b'\n');
        let mut file: File = folder.create(name)?;
        file.write_all(&text).map_err(|source| failed("write", source))?;
        if durable == Durable::Yes {
            rustix::fs::fdatasync(&file).map_err(|error| failed("force to disk", error.into()))?;
        }
        Ok(())
    }

    /// Checks that everything that it names is there.
    fn check(&self) -> Result<(), &'static str> {
        let known = |places: &[u32]| places.iter().all(|place| (*place as usize) < self.layers.len());
        let has = |number: Option<u32>| number.is_none_or(|number| self.find(number).is_some());
        if self.checkpoints.len() > MAX_CHECKPOINTS {
            return Err("it has too many checkpoints");
        }
        if !self.chains().all(|chain| known(chain)) {
            return Err("it names a layer that it does not describe");
        }
        if self.mirror.is_some_and(|mirror| !known(&[mirror])) {
            return Err("it names a mirror that it does not describe");
        }
        if !self.checkpoints.is_sorted_by(|one, other| one.number < other.number) {
            return Err("its checkpoints are not in order");
        }
        if !has(self.head) || self.checkpoints.iter().any(|record| record.number >= self.next) {
            return Err("it names a checkpoint that it does not describe");
        }
        // A parent comes before its child, so that following parents ends.
        let ordered = |record: &Record| record.parent.is_none_or(|parent| parent < record.number);
        if !self.checkpoints.iter().all(|record| has(record.parent) && ordered(record)) {
            return Err("a checkpoint's parent is not there");
        }
        Ok(())
    }

    /// The checkpoint of a number.
    pub(super) fn find(&self, number: u32) -> Option<&Record> {
        let at = self.checkpoints.binary_search_by_key(&number, |record| record.number).ok()?;
        self.checkpoints.get(at)
    }

    /// Every list of layers: of the checkpoints, and below `upper`.
    pub(super) fn chains(&self) -> impl Iterator<Item = &Vec<u32>> {
        self.checkpoints.iter().map(|record| &record.layers).chain([&self.under])
    }

    /// The same, to be changed.
    pub(super) fn chains_mut(&mut self) -> impl Iterator<Item = &mut Vec<u32>> {
        self.checkpoints.iter_mut().map(|record| &mut record.layers).chain([&mut self.under])
    }

    /// Identifiers of layers, in the same order.
    pub(super) fn ids(&self, places: &[u32]) -> Vec<Id> {
        places.iter().filter_map(|place| Some(self.layers.get(*place as usize)?.id)).collect()
    }

    /// Adds a layer, and gives its place.
    pub(super) fn add_layer(&mut self, layer: LayerRecord) -> Result<u32, Errno> {
        let place = u32::try_from(self.layers.len()).map_err(|_| Errno::OVERFLOW)?;
        self.layers.push(layer);
        Ok(place)
    }

    /// Adds a checkpoint of a chain, as what the current state came from.
    pub(super) fn add_checkpoint(&mut self, layers: Vec<u32>, time: i64, about: About) -> Checkpoint {
        let About { label, automatic, running } = about;
        let number = self.next;
        self.next += 1;
        let record = Record { number, label, automatic, running, parent: self.head, time, layers };
        let shown = self.show(&record);
        self.checkpoints.push(record);
        self.head = Some(number);
        shown
    }

    /// Forgets layers that nothing in it names any more; gives whether there were any.
    pub(super) fn drop_unused(&mut self) -> bool {
        let mut used = vec![false; self.layers.len()];
        for place in self.chains().flatten().chain(&self.mirror) {
            used[*place as usize] = true;
        }
        let mut moved = Vec::with_capacity(used.len());
        let mut kept = 0;
        for used in &used {
            moved.push(kept);
            kept += u32::from(*used);
        }
        let mut places = used.iter();
        self.layers.retain(|_| places.next().copied().unwrap_or_default());
        for place in self.chains_mut().flatten() {
            *place = moved[*place as usize];
        }
        self.mirror = self.mirror.map(|place| moved[place as usize]);
        self.layers.len() < used.len()
    }

    /// What others see of a checkpoint.
    pub(super) fn show(&self, record: &Record) -> Checkpoint {
        Checkpoint {
            name: name(record.number),
            label: record.label.clone(),
            automatic: record.automatic,
            running: record.running,
            parent: record.parent.map(name),
            time: record.time,
            layers: self.ids(&record.layers),
        }
    }
}

/// What is said about a checkpoint when it is taken.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    pub(super) label: Option<Label>,
    pub(super) automatic: bool,
    pub(super) running: bool,
}

/// The name of a checkpoint.
pub(super) fn name(number: u32) -> String {
    format!("c{number}")
}
