//! What the host had at the paths that a sandbox changed, so that a later change of the host is told from the sandbox's own.
//!
//! Notes lie beside the layer whose files they are about, or beside `upper`, in `bases/notes.jsonl`: one line for each path,
//! with what the host had there and whether that is certain (`window.rs`). Small files of the host are kept as well. A path
//! that several layers change was seen first by the lowest of them, so that the lowest note counts.
//!
//! Notes are added, never changed. They are not forced to disk, and a line that is cut short is none: where a note is
//! missing, it is uncertain what the sandbox saw.

mod host;
mod look;
mod note;
mod writer;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use self::writer::Writer;
use super::error::SandboxError;
use super::folder::Folder;
use super::sandbox::Sandbox;
use crate::layers::Entry;
use crate::os_text;

/// The folder, beside `upper` or a layer's tree.
pub(super) const FOLDER: &str = "bases";

/// The notes, in that folder. Copies of files are beside them, called by their number.
const NOTES: &str = "notes.jsonl";

/// Longest path that something is noted about. In a tree of many levels, notes would otherwise grow with the square of them.
const MAX_PATH: usize = 8192;

/// Longest line: such a path as a list of numbers, and the rest.
const MAX_LINE: u64 = 5 * MAX_PATH as u64;

/// Most notes that are held at once, and how many bytes of paths. The others are uncertain.
const MAX_NOTES: usize = 2_000_000;
const MAX_BYTES: usize = 256 << 20;

/// What the host had at a path when the sandbox saw it first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "seen", rename_all = "kebab-case")]
pub enum Seen {
    /// It is known.
    Known {
        /// What lay there, if anything did.
        entry: Option<Entry>,
        /// Where a copy of it is, if it was a small file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        copy: Option<PathBuf>,
    },
    /// The host may have changed it before or after.
    #[default]
    Uncertain,
}

/// A line of the notes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    #[serde(with = "os_text")]
    path: PathBuf,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entry: Option<Entry>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    uncertain: bool,
    /// Number of the copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    copy: Option<u32>,
    /// Whether what the host has below, which is hidden, is noted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    hides: bool,
}

impl Note {
    /// That there was nothing.
    const fn new(path: PathBuf) -> Self {
        Self { path, entry: None, uncertain: false, copy: None, hides: false }
    }
}

/// What the host had at every path that a state of a sandbox changes.
#[derive(Debug, Default)]
pub struct Bases {
    notes: HashMap<Vec<u8>, Seen>,
    /// Bytes of their paths.
    bytes: usize,
}

impl Bases {
    /// What the host had at a path, relative to the workspace.
    #[must_use]
    pub fn of(&self, path: &Path) -> &Seen {
        self.notes.get(path.as_os_str().as_bytes()).unwrap_or(&Seen::Uncertain)
    }

    /// Adds notes about paths that nothing lower is noted about.
    fn add(&mut self, folder: &Folder) -> Result<(), SandboxError> {
        each(folder, |note| {
            if is_full(self.notes.len(), self.bytes) {
                return Ok(());
            }
            let path = note.path.into_os_string().into_encoded_bytes();
            let length = path.len();
            self.notes.entry(path).or_insert_with(|| {
                self.bytes += length;
                match note.uncertain {
                    true => Seen::Uncertain,
                    false => Seen::Known {
                        entry: note.entry,
                        copy: note.copy.map(|number| folder.path().join(number.to_string())),
                    },
                }
            });
            Ok(())
        })
    }
}

/// Whether no more notes are held.
const fn is_full(notes: usize, bytes: usize) -> bool {
    notes >= MAX_NOTES || bytes >= MAX_BYTES
}

impl Sandbox {
    /// What the host had at the paths that the sandbox changes now.
    ///
    /// # Errors
    /// When the notes cannot be read.
    pub fn bases(&self) -> Result<Bases, SandboxError> {
        let mut bases = self.bases_of_layers(&self.manifest.under)?;
        if let Some(folder) = self.folder.child(FOLDER)? {
            bases.add(&folder)?;
        }
        Ok(bases)
    }

    /// What the host had at the paths that a checkpoint changes.
    ///
    /// # Errors
    /// When there is no such checkpoint, or the notes cannot be read.
    pub fn bases_at(&self, checkpoint: &str) -> Result<Bases, SandboxError> {
        let number = self.number(checkpoint)?;
        let record = self.manifest.find(number);
        self.bases_of_layers(record.map_or(&[], |record| &record.layers))
    }

    /// What the host had at one path that the sandbox changes now. For many paths, see [`Self::bases`].
    ///
    /// # Errors
    /// When the notes cannot be read.
    pub fn base_of(&self, path: &Path) -> Result<Seen, SandboxError> {
        Ok(self.bases()?.of(path).clone())
    }

    fn bases_of_layers(&self, places: &[u32]) -> Result<Bases, SandboxError> {
        let mut bases = Bases::default();
        for id in self.manifest.ids(places) {
            if let Some(folder) = self.home.layer(id)?.child(FOLDER)? {
                bases.add(&folder)?;
            }
        }
        Ok(bases)
    }
}

/// Calls `seen` with each note of a folder.
fn each(folder: &Folder, mut seen: impl FnMut(Note) -> Result<(), SandboxError>) -> Result<(), SandboxError> {
    let failed = |source| SandboxError::Io { operation: "read", path: folder.path().join(NOTES), source };
    let file = match folder.open_file(NOTES) {
        Err(SandboxError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let mut file = BufReader::with_capacity(1 << 16, file);
    let mut line = Vec::new();
    loop {
        line.clear();
        (&mut file).take(MAX_LINE).read_until(b'\n', &mut line).map_err(failed)?;
        if line.is_empty() {
            return Ok(());
        }
        // One that is cut short is none.
        if let (Some(b'\n'), Ok(note)) = (line.last(), serde_json::from_slice(&line)) {
            seen(note)?;
        }
    }
}

/// Gives a layer the notes that lie beside `upper`. Those that come later are about changes that it has no part in.
pub(super) fn copy(from: &Folder, layer: &Folder) -> Result<(), SandboxError> {
    join(&[from], layer)
}

/// Gives a layer that is made of two the notes of both, those of the lower one first.
pub(super) fn merge(older: &Folder, newer: &Folder, layer: &Folder) -> Result<(), SandboxError> {
    join(&[older, newer], layer)
}

/// Writes the notes of some folders one after the other, and gives the copies that they name a further name.
fn join(from: &[&Folder], layer: &Folder) -> Result<(), SandboxError> {
    let mut from_folders = Vec::new();
    for from in from {
        from_folders.extend(from.child(FOLDER)?);
    }
    if from_folders.is_empty() {
        return Ok(());
    }
    let mut writer = Writer::open(layer.make_child(FOLDER)?)?;
    for from in &from_folders {
        each(from, |mut note| {
            // The first note about a path is the one that counts.
            if writer.knows(note.path.as_os_str().as_bytes()) {
                return Ok(());
            }
            note.copy = note.copy.map(|copy| writer.link(from, copy)).transpose()?.flatten();
            writer.add(&note)
        })?;
    }
    writer.finish()
}

/// Notes beside a layer that the host has had these entries since an apply.
pub(super) fn renew(
    layer: &Folder,
    renewed: impl IntoIterator<Item = (PathBuf, Option<Entry>)>,
) -> Result<(), SandboxError> {
    let folder = match layer.child(FOLDER)? {
        Some(folder) => folder,
        None => layer.make_child(FOLDER)?,
    };
    let mut writer = Writer::open(folder)?;
    for (path, entry) in renewed {
        if !writer.knows(path.as_os_str().as_bytes()) {
            writer.add(&Note { entry, ..Note::new(path) })?;
        }
    }
    writer.finish()
}
