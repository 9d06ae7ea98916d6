//! Says on disk what an apply is about to do, so that it can be finished after a crash.
//!
//! One line of JSON for each thing that is known. The first is written before anything is made, so that what was made can be
//! found. The line that says `ready` comes once everything is staged and on disk: without it nothing was changed, and what
//! was made is removed; with it every step is carried out, however often. What each step has done is not written down, but
//! seen by the inodes, until all are carried out: before anything of them is tidied away, their outcomes are. The last line
//! holds the report.
//!
//! Each of these is forced to disk (`fdatasync(2)`) before what comes after it.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::carry_out::Outcome;
use super::error::ApplyError;
use super::report::{Applied, Told};
use super::stage::Script;
use super::staging::Folder;
use super::step::{Opened, Parent, Step, Time};
use crate::layers::Entry;
use crate::os_text;

/// Its name in the folder.
const NAME: &str = "journal";

const VERSION: u32 = 1;

/// What an apply works on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begin {
    version: u32,
    #[serde(with = "os_text")]
    pub(super) workspace: PathBuf,
    pub(super) root: Entry,
    /// The name of the staging directory, where it lies in the workspace.
    pub(super) inside: Option<String>,
}

#[derive(Serialize, Deserialize)]
enum Line {
    Begin(Begin),
    Step(Step),
    Parent(Parent),
    Time(Time),
    Opened(Opened),
    Told(Told),
    Bare(#[serde(with = "os_text::list")] Vec<PathBuf>),
    Ready,
    Outcomes(Vec<Outcome>),
    Finished(Applied),
}

/// The journal of an apply, open for more.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    path: PathBuf,
}

/// What a journal says.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing can have been changed yet.
    Nothing(Option<Begin>),
    /// The steps may be under way; or they are all carried out, with these outcomes.
    Ready(Begin, Script, Option<Vec<Outcome>>),
    /// All is done.
    Finished(Begin, Applied),
}

impl Begin {
    pub(super) fn new(workspace: &Path, root: Entry, inside: Option<String>) -> Self {
        Self { version: VERSION, workspace: workspace.to_owned(), root, inside }
    }
}

impl Found {
    /// What the apply works on, if it got that far.
    pub(super) fn begin(&self) -> Option<&Begin> {
        match self {
            Self::Nothing(begin) => begin.as_ref(),
            Self::Ready(begin, ..) | Self::Finished(begin, _) => Some(begin),
        }
    }
}

impl Journal {
    /// Starts a journal.
    pub(super) fn create(folder: &Folder, begin: &Begin) -> Result<Self, ApplyError> {
        let path = folder.path.join(NAME);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::APPEND | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&folder.fd, NAME, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => file.into(),
            Err(Errno::EXIST) => return Err(ApplyError::Unfinished(path)),
            Err(error) => return Err(ApplyError::folder("create", path, error)),
        };
        let mut journal = Self { file, path };
        journal.write(&Line::Begin(begin.clone()))?;
        rustix::fs::fsync(&folder.fd).map_err(|error| ApplyError::folder("write", &journal.path, error))?;
        Ok(journal)
    }

    /// Opens the journal of the folder, if there is one, and reads it.
    pub(super) fn open(folder: &Folder) -> Result<Option<(Self, Found)>, ApplyError> {
        let path = folder.path.join(NAME);
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file: File = match rustix::fs::openat(&folder.fd, NAME, flags, Mode::empty()) {
            Ok(file) => file.into(),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(ApplyError::folder("open", path, error)),
        };
        let mut journal = Self { file, path };
        let found = journal.read()?;
        Ok(Some((journal, found)))
    }

    fn read(&mut self) -> Result<Found, ApplyError> {
        let mut begin = None;
        let mut script = Script::default();
        let (mut ready, mut whole) = (false, 0);
        let (mut outcomes, mut finished) = (None, None);
        let mut reader = BufReader::new(&self.file);
        let mut text = Vec::new();
        loop {
            text.clear();
            // As long as it may be: a step may be about a million files, and to take it for torn would lose what it has moved.
            let read = reader.read_until(b'\n', &mut text);
            read.map_err(|error| ApplyError::folder("read", &self.path, error))?;
            // A line without its end was being written when the machine or the program stopped.
            if text.pop() != Some(b'\n') {
                break;
            }
            whole += text.len() as u64 + 1;
            let line = serde_json::from_slice(&text);
            match line.map_err(|error| self.damaged(error.to_string()))? {
                Line::Begin(line) if line.version == VERSION => begin = Some(line),
                Line::Begin(line) => return Err(self.damaged(format!("its version is {}", line.version))),
                Line::Step(step) => script.steps.push(step),
                Line::Parent(parent) => script.parents.push(parent),
                Line::Time(time) => script.times.push(time),
                Line::Opened(opened) => script.opened.push(opened),
                Line::Told(told) => script.told = told,
                Line::Bare(paths) => script.bare = paths,
                Line::Ready => ready = true,
                Line::Outcomes(found) => outcomes = Some(found),
                Line::Finished(applied) => finished = Some(applied),
            }
        }
        // What follows is written after what was whole.
        self.file.set_len(whole).map_err(|error| ApplyError::folder("write", &self.path, error))?;
        Ok(match (begin, finished) {
            (Some(begin), Some(applied)) => Found::Finished(begin, applied),
            (Some(begin), None) if ready => Found::Ready(begin, script, outcomes),
            (begin, _) => Found::Nothing(begin),
        })
    }

    fn damaged(&self, reason: String) -> ApplyError {
        ApplyError::Damaged { path: self.path.clone(), reason }
    }

    /// Says that everything is staged, and what the steps are.
    pub(super) fn ready(&mut self, script: &Script) -> Result<(), ApplyError> {
        let mut writer = BufWriter::with_capacity(1 << 20, &self.file);
        let lines = script.steps.iter().cloned().map(Line::Step);
        let lines = lines.chain(script.parents.iter().cloned().map(Line::Parent));
        let lines = lines.chain(script.times.iter().cloned().map(Line::Time));
        let lines = lines.chain(script.opened.iter().cloned().map(Line::Opened));
        let lines = lines.chain([Line::Told(script.told.clone()), Line::Bare(script.bare.clone())]);
        let failed = |error| ApplyError::folder("write", &self.path, error);
        for line in lines {
            put(&mut writer, &line).map_err(failed)?;
        }
        writer.flush().map_err(failed)?;
        drop(writer);
        self.sync()?;
        self.write(&Line::Ready)
    }

    /// Says that a directory gets more permissions for the moment.
    pub(super) fn opened(&mut self, opened: &Opened) -> Result<(), ApplyError> {
        self.write(&Line::Opened(opened.clone()))
    }

    /// Says what became of the steps. From here on none is carried out again.
    pub(super) fn outcomes(&mut self, outcomes: &[Outcome]) -> Result<(), ApplyError> {
        self.write(&Line::Outcomes(outcomes.to_vec()))
    }

    /// Says that all is done.
    pub(super) fn finished(&mut self, applied: &Applied) -> Result<(), ApplyError> {
        self.write(&Line::Finished(applied.clone()))
    }

    fn write(&mut self, line: &Line) -> Result<(), ApplyError> {
        let failed = |error| ApplyError::folder("write", &self.path, error);
        let before = self.file.metadata().map_err(failed)?.len();
        if let Err(error) = put(&mut &self.file, line) {
            // What was written of a line must not become the beginning of the next one.
            self.file.set_len(before).map_err(failed)?;
            return Err(failed(error));
        }
        self.sync()
    }

    fn sync(&self) -> Result<(), ApplyError> {
        self.file.sync_data().map_err(|error| ApplyError::folder("write", &self.path, error))
    }
}

fn put(to: &mut impl Write, line: &Line) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    to.write_all(&text)
}

/// Removes the journal of a folder, if it is there.
pub(super) fn remove(folder: &Folder) -> Result<(), ApplyError> {
    match rustix::fs::unlinkat(&folder.fd, NAME, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(ApplyError::folder("remove", folder.path.join(NAME), error)),
    }
}
