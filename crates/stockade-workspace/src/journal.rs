//! Says on disk that a run is going on, so that its sweep happens even when the supervisor is killed.
//!
//! The supervisor holds a lock (`flock(2)`) on its journal. The kernel lets go of it when the supervisor ends, however it
//! ends, so a journal that can be locked is one whose run was interrupted: no process id, which may have been given to
//! another process since, is looked at. The lock is taken before the first byte is written; a journal that can be locked and
//! is empty is one that is being made.
//!
//! The journal is not forced to disk. A killed supervisor loses nothing that it has written, since the kernel has it; only a
//! failure of power does, for which the sweep of the next run in the same workspace finds the same files, as far as they
//! are on disk themselves, unless they are there before it starts. Forcing it would cost more than the whole run.
//!
//! What a run holds open of the protected files is lost with its supervisor. So where one of them was replaced meanwhile by
//! something that is not harmless, the sweep made up for puts that away and puts nothing in its place.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use stockade_spec::glob::{Case, Rules};

use crate::before::Before;
use crate::directory;
use crate::error::{JournalError, StateError};
use crate::identity::Identity;
use crate::listing;
use crate::quarantine::Quarantine;
use crate::state::StateDirectory;
use crate::sweep::sweep;
use crate::swept::{Left, Options, Swept};
use crate::walk::{self, to_path};

const VERSION: u32 = 1;

/// Longest journal that is read.
const MAX_BYTES: u64 = 64 << 20;

/// Most journals that are carried out at once; the others wait for the next start.
const MAX_RECOVERED: usize = 100;

/// After this time, an empty journal is one whose maker was killed.
const MAX_MAKING: Duration = Duration::from_secs(60);

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    id: &'a str,
    patterns: Vec<&'a str>,
    options: Options,
    before: &'a Before,
}

#[derive(Deserialize)]
struct Found {
    version: u32,
    id: String,
    patterns: Vec<String>,
    options: Options,
    before: Before,
}

/// The journal of a run that is going on. Dropped without [`Journal::finish`], it stays for [`recover`].
#[derive(Debug)]
pub struct Journal {
    /// Holds the lock.
    _file: File,
    directory: OwnedFd,
    name: String,
    path: PathBuf,
}

impl Journal {
    /// Writes the journal of a run, before its command starts.
    ///
    /// # Errors
    /// When the state directory lies in the workspace or cannot be written to.
    pub fn begin(
        state: &StateDirectory,
        before: &Before,
        rules: &Rules,
        options: &Options,
        quarantine: &Quarantine,
    ) -> Result<Self, JournalError> {
        state.check_outside(&before.workspace)?;
        let directory = state.make("journal")?;
        let name = format!("{}.json", quarantine.id());
        let path = state.path().join("journal").join(&name);
        let failed = |operation, source| JournalError::Io { operation, path: path.clone(), source };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::openat(&directory, &name, flags, Mode::RUSR | Mode::WUSR);
        let mut file = File::from(file.map_err(|error| failed("create", error.into()))?);
        rustix::fs::flock(&file, FlockOperation::LockExclusive).map_err(|error| failed("lock", error.into()))?;
        let patterns = rules.globs().iter().map(|glob| glob.as_str()).collect();
        let written = Written { version: VERSION, id: quarantine.id(), patterns, options: *options, before };
        let text = serde_json::to_vec(&written).map_err(|error| failed("write", error.into()))?;
        if let Err(source) = file.write_all(&text) {
            // Where the disk is full, what was written of it is only in the way; if it cannot be removed, the next start does.
            drop(rustix::fs::unlinkat(&directory, &name, AtFlags::empty()).map_err(std::io::Error::from));
            return Err(failed("write", source));
        }
        Ok(Self { _file: file, directory, name, path })
    }

    /// Removes the journal, once the sweep is done.
    ///
    /// # Errors
    /// When it cannot be removed; the next start then sweeps once more.
    pub fn finish(self) -> Result<(), JournalError> {
        rustix::fs::unlinkat(&self.directory, &self.name, AtFlags::empty()).map_err(|error| JournalError::Io {
            operation: "remove",
            path: self.path,
            source: error.into(),
        })
    }
}

/// What became of one interrupted run.
#[derive(Debug)]
pub struct Recovered {
    /// Its workspace; `None` where the journal cannot be read.
    pub workspace: Option<PathBuf>,
    /// The name of its quarantine.
    pub quarantine: String,
    /// What its sweep did. The journal is removed, so that each is told of once, unless [`Swept::left`] or the error says that
    /// another sweep may do more.
    pub result: Result<Swept, JournalError>,
}

/// Sweeps for every run whose supervisor is gone. Call it before anything is started; where no run was interrupted it costs
/// one directory read.
///
/// # Errors
/// When the journals cannot be listed.
pub fn recover(state: &StateDirectory) -> Result<Vec<Recovered>, JournalError> {
    let Some(directory) = state.open("journal")? else { return Ok(Vec::new()) };
    let path = state.path().join("journal");
    let mut names = Vec::new();
    let listed = listing::each(directory.as_fd(), |name, _| {
        names.push(name.to_owned());
        if names.len() > 4 * MAX_RECOVERED { Err(Errno::OVERFLOW) } else { Ok(()) }
    });
    match listed {
        Ok(()) | Err(Errno::OVERFLOW) => {}
        Err(error) => return Err(StateError::Io { operation: "read", path, source: error.into() }.into()),
    }
    let mut recovered = Vec::new();
    for name in names {
        if recovered.len() == MAX_RECOVERED {
            break;
        }
        let path = path.join(to_path(name.as_bytes()));
        recovered.extend(recover_one(state, &directory, &name, &path)?);
    }
    Ok(recovered)
}

/// Carries one journal out; `None` where its run is going on.
fn recover_one(
    state: &StateDirectory,
    directory: &OwnedFd,
    name: &std::ffi::CStr,
    path: &Path,
) -> Result<Option<Recovered>, JournalError> {
    let failed = |operation, source| JournalError::Io { operation, path: path.to_owned(), source };
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::openat(directory, name, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(failed("open", error.into())),
    };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(None),
        Err(error) => return Err(failed("lock", error.into())),
    }
    let metadata = file.metadata().map_err(|source| failed("read", source))?;
    if std::os::unix::fs::MetadataExt::nlink(&metadata) == 0 {
        return Ok(None);
    }
    let remove = || match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(failed("remove", error.into())),
    };
    if metadata.len() == 0 {
        let age = metadata.modified().ok().and_then(|made| SystemTime::now().duration_since(made).ok());
        if age.is_some_and(|age| age > MAX_MAKING) {
            remove()?;
        }
        return Ok(None);
    }
    let mut text = Vec::new();
    (&file).take(MAX_BYTES).read_to_end(&mut text).map_err(|source| failed("read", source))?;
    let recovered = match serde_json::from_slice::<Found>(&text) {
        Ok(found) if found.version == VERSION => Some(found.carry_out(state, path)),
        // Cut short: its maker was killed while it wrote, before the command started.
        Err(error) if error.is_eof() => None,
        Ok(_) | Err(_) => {
            let source = std::io::Error::new(std::io::ErrorKind::InvalidData, "not a journal of this version");
            let result = Err(failed("read", source));
            Some(Recovered { workspace: None, quarantine: String::new(), result })
        }
    };
    // Another start may do what could not be done for now.
    if recovered.as_ref().is_none_or(|recovered| recovered.left() != Left::ForNow) {
        remove()?;
    }
    Ok(recovered)
}

impl Recovered {
    fn left(&self) -> Left {
        match &self.result {
            Ok(swept) => swept.left,
            Err(JournalError::Scan(error)) => error.left(),
            Err(_) => Left::ForGood,
        }
    }
}

impl Found {
    fn carry_out(self, state: &StateDirectory, path: &Path) -> Recovered {
        let workspace = self.before.workspace.clone();
        let mut quarantine = Quarantine::with_id(state, &self.before, self.id.clone());
        let result = self.sweep(path, &mut quarantine);
        Recovered { workspace: Some(workspace), quarantine: quarantine.id().to_owned(), result }
    }

    fn sweep(&self, path: &Path, quarantine: &mut Quarantine) -> Result<Swept, JournalError> {
        let rules = Rules::new(&self.patterns, Case::Folded);
        let rules = rules.map_err(|source| JournalError::Rule { path: path.to_owned(), source })?;
        let root = walk::open_workspace(&self.before.workspace)?;
        let status = directory::own_status(root.as_fd());
        let same = status.is_ok_and(|status| Identity::of(&status).is_same_file(&self.before.root));
        if !same {
            return Err(JournalError::OtherWorkspace(self.before.workspace.clone()));
        }
        Ok(sweep(&self.before, &rules, &self.options, quarantine))
    }
}
