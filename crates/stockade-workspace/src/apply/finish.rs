//! What is left to do once the outcome of every step is known: modes and times of directories, which are last because
//! everything before changes them, and the report.
//!
//! All of it can be done again after a crash. What is not essential, and may fail for good, is left as it is.

use std::collections::HashSet;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};

use super::attributes;
use super::carry_out::{Carrier, Outcome};
use super::error::ApplyError;
use super::report::{Applied, Conflict, Done, Failed, Reason, Why};
use super::stage::Script;
use super::staging::{Folder, old_path};
use super::step::{Member, Step, Work};
use crate::directory;
use crate::fault;
use crate::layers::{Entry, Kind};

/// An apply whose steps are all carried out.
pub(super) struct Finish<'a> {
    pub(super) folder: &'a Folder,
    pub(super) script: &'a Script,
    pub(super) outcomes: &'a [Outcome],
    /// Directories that got the sandbox's attributes.
    attributes: HashSet<&'a Path>,
    /// Directories in which something was not done.
    undone: HashSet<&'a Path>,
}

impl<'a> Finish<'a> {
    pub(super) fn new(folder: &'a Folder, script: &'a Script, outcomes: &'a [Outcome]) -> Self {
        let (mut attributes, mut undone) = (HashSet::new(), HashSet::new());
        for (step, outcome) in script.steps.iter().zip(outcomes) {
            match (&step.work, outcome) {
                (Work::Attributes { .. }, Outcome::Done) => drop(attributes.insert(step.path.as_path())),
                (Work::Attributes { .. }, _) | (_, Outcome::Done) => {}
                _ => undone.extend(step.path.parent()),
            }
        }
        Self { folder, script, outcomes, attributes, undone }
    }

    /// Finishes, and reports.
    pub(super) fn run(&self, carrier: &mut Carrier<'_>) -> Result<Applied, ApplyError> {
        let mut applied = Applied::default();
        for (step, outcome) in self.script.steps.iter().zip(self.outcomes) {
            fault::place();
            let kept = self.settle(carrier, step, outcome);
            let kept = kept.map_err(|error| ApplyError::folder("finish the old layer in", &self.folder.path, error))?;
            self.tell(carrier, step, outcome, kept, &mut applied);
        }
        self.restore_modes(carrier);
        self.set_times(carrier);
        let has_old = !applied.done.is_empty();
        if has_old {
            let finished = self.finish_parents(carrier);
            finished.map_err(|error| ApplyError::folder("finish the old layer in", &self.folder.path, error))?;
        }
        self.complete(carrier, &mut applied);
        fault::place();
        sync(carrier).map_err(|error| ApplyError::folder("write to disk what is in", &self.folder.path, error))?;
        fault::place();
        carrier.journal.finished(&applied)?;
        fault::place();
        Ok(applied)
    }

    /// Whether a directory got the attributes that the sandbox gave it.
    pub(super) fn has_attributes(&self, path: &Path) -> bool {
        self.attributes.contains(path)
    }

    /// Takes a step's outcome into the report. `kept` is where a version is that was there for a moment.
    fn tell(
        &self,
        carrier: &Carrier<'_>,
        step: &Step,
        outcome: &Outcome,
        kept: Option<PathBuf>,
        applied: &mut Applied,
    ) {
        let is_first = |member: &Member| member.path == step.path;
        let conflict = |member: &Member| Conflict {
            path: member.path.clone(),
            status: member.status,
            reason: if is_first(member) { Reason::Raced } else { Reason::Above(step.path.clone()) },
            base: None,
            host: carrier.host.look(member.path.as_os_str().as_bytes()).ok().flatten(),
            sandbox: member.entry,
            layer: member.layer,
            kept: kept.clone().filter(|_| is_first(member)),
        };
        match outcome {
            Outcome::Done => applied.done.extend(step.members.iter().map(|member| Done {
                path: member.path.clone(),
                status: member.status,
                entry: member.entry,
            })),
            Outcome::Raced | Outcome::Kept => applied.conflicts.extend(step.members.iter().map(conflict)),
            Outcome::Failed(why) => applied.failed.extend(step.members.iter().map(|member| Failed {
                path: member.path.clone(),
                status: member.status,
                why: if is_first(member) { why.clone() } else { Why::Above(step.path.clone()) },
            })),
        }
    }

    /// Puts back the modes of directories that were changed for the moment, unless they got others. One that is not there any
    /// more, or not the same, needs none.
    fn restore_modes(&self, carrier: &mut Carrier<'_>) {
        for opened in carrier.opened.all().iter().rev().filter(|opened| !self.has_attributes(&opened.path)) {
            fault::place();
            let path = opened.path.as_os_str().as_bytes();
            let old = carrier.staging.root.place(&old_path(path));
            let old = old.and_then(|old| directory::open_path(old.dir.as_fd(), &old.name));
            for found in [carrier.host.open_path(path), old].into_iter().flatten() {
                let mode = opened.entry.mode;
                let is_it = directory::own_status(found.as_fd()).is_ok_and(|status| {
                    let entry = Entry::of(&status);
                    entry.is_same_file(&opened.entry) && entry.mode == mode | 0o700
                });
                if is_it {
                    drop(directory::set_mode(found.as_fd(), Mode::from_raw_mode(mode)).map_err(std::io::Error::from));
                }
            }
        }
    }

    /// Gives directories in which everything is done the time that they have in the sandbox. One whose time cannot be set has
    /// that of the apply.
    fn set_times(&self, carrier: &Carrier<'_>) {
        for time in self.script.times.iter().rev().filter(|time| !self.undone.contains(time.path.as_path())) {
            fault::place();
            let times = attributes::times(time.modified);
            let set = carrier.host.directory(time.path.as_os_str().as_bytes());
            let set = set.and_then(|dir| rustix::fs::utimensat(&dir, c"", &times, AtFlags::EMPTY_PATH));
            drop(set.map_err(std::io::Error::from));
        }
    }

    /// Adds what was known before, and puts everything in order.
    fn complete(&self, carrier: &Carrier<'_>, applied: &mut Applied) {
        let (script, told) = (self.script, self.script.told.clone());
        applied.done.iter_mut().for_each(|done| renew(carrier, done));
        applied.done.sort_by(|one, other| one.path.cmp(&other.path));
        applied.conflicts.extend(told.conflicts);
        applied.conflicts.sort_by(|one, other| one.path.cmp(&other.path));
        applied.failed.extend(told.failed);
        applied.failed.sort_by(|one, other| one.path.cmp(&other.path));
        applied.held_back = told.held_back;
        let done = &applied.done;
        let is_done = |path: &&PathBuf| done.binary_search_by(|done| done.path.cmp(path)).is_ok();
        applied.cleared = told.cleared.iter().filter(is_done).cloned().collect();
        applied.bare = script.bare.iter().filter(is_done).cloned().collect();
        applied.old = (!done.is_empty()).then(|| self.folder.path.join("old"));
    }
}

/// Looks at what the host has by now, if it is what was put there: a rename changes the time of the last change of attributes.
fn renew(carrier: &Carrier<'_>, done: &mut Done) {
    let Some(staged) = done.entry else { return };
    let content = |entry: &Entry| (entry.size, entry.modified, entry.mode);
    let is_it =
        |now: &Entry| now.is_same_file(&staged) && (now.kind == Kind::Directory || content(now) == content(&staged));
    if let Some(now) = carrier.host.look(done.path.as_os_str().as_bytes()).ok().flatten().filter(is_it) {
        done.entry = Some(now);
    }
}

/// Forces the renames to disk, before the report says that they are done.
fn sync(carrier: &Carrier<'_>) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(carrier.host.root(), c".", flags, Mode::empty())?;
    rustix::fs::syncfs(&root)?;
    carrier.staging.sync()
}
