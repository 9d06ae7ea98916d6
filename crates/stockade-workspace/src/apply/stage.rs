//! Makes everything ready that the steps will put in place, so that each of them is a rename.
//!
//! All that can run out is used here: blocks and inodes for new content, for the old layer's directories and whiteouts, and,
//! where the old layer is on another file system, for the copies of what the host has. While this is done the host's files
//! are not touched, and when it fails, what was made is removed again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::io::Errno;

use super::attributes::Taken;
use super::error::ApplyError;
use super::host::Host;
use super::lists::Lists;
use super::member::Origin;
use super::plan::{ApplyPlan, Task, Unit};
use super::progress::Meter;
use super::report::{Conflict, Failed, Reason, Told, Why};
use super::staging::{Staging, old_path};
use super::step::{Below, Opened, Parent, Step, Time};
use crate::fault;
use crate::layers::{Change, Entry, Reader};

/// What is to be carried out, once everything is ready.
#[derive(Debug, Default)]
pub(super) struct Script {
    pub(super) steps: Vec<Step>,
    /// Directories of the old layer, by path.
    pub(super) parents: Vec<Parent>,
    pub(super) times: Vec<Time>,
    /// Directories that are staged with more permissions than they are to have.
    pub(super) opened: Vec<Opened>,
    pub(super) told: Told,
    /// Files that lack extended attributes.
    pub(super) bare: Vec<PathBuf>,
}

/// A unit whose content is there, and whose directories have not got their attributes.
pub(super) struct Ready {
    /// The staged file of this number.
    pub(super) number: u64,
    /// Where it is staged.
    pub(super) base: Vec<u8>,
    pub(super) task: Task,
    pub(super) members: Vec<Change>,
    pub(super) below: Vec<Below>,
    pub(super) placeholder: Option<Entry>,
    /// What the host has for it.
    pub(super) lists: Lists,
}

impl Ready {
    /// Whether it takes the place of a file whose list it gets.
    pub(super) fn keeps_list(&self) -> bool {
        matches!(self.task, Task::Replace(old) if self.members[0].new.is_some_and(|new| new.kind == old.kind))
    }
}

pub(super) struct Stage<'a, 'm> {
    pub(super) host: &'a Host,
    pub(super) reader: Reader<'a>,
    pub(super) staging: &'a mut Staging,
    pub(super) meter: Meter<'m>,
    /// Files of layers that have several names: where the first is staged.
    pub(super) links: HashMap<Origin, Vec<u8>>,
    pub(super) parents: BTreeMap<Vec<u8>, Parent>,
    pub(super) script: Script,
}

/// Why something cannot be made ready.
pub(super) enum Trouble {
    /// The file system does not take any more.
    Abort(ApplyError),
    /// It is left out.
    Failed(Why),
    /// The host changes it at this moment.
    Raced,
}

impl Trouble {
    /// Tells what concerns one file from what concerns all.
    pub(super) fn of(operation: &'static str, path: &[u8], source: Errno) -> Self {
        match source {
            Errno::NOSPC | Errno::DQUOT | Errno::ROFS | Errno::MFILE | Errno::NFILE | Errno::NOMEM => {
                Self::Abort(ApplyError::Stage { operation, path: crate::walk::to_path(path), source })
            }
            source => Self::Failed(Why::step(operation, source)),
        }
    }
}

/// Makes everything ready.
pub(super) fn stage(
    plan: &ApplyPlan<'_>,
    host: &Host,
    staging: &mut Staging,
    meter: Meter<'_>,
) -> Result<Script, ApplyError> {
    let script = Script { times: plan.times.clone(), told: plan.told().clone(), ..Script::default() };
    let (links, parents) = (HashMap::new(), BTreeMap::new());
    let mut stage = Stage { host, reader: Reader::new(plan.stack), staging, meter, links, parents, script };
    let (mut ready, mut undone) = (Vec::new(), HashSet::new());
    for (number, unit) in (0..).zip(&plan.units) {
        match stage.unit(number, unit) {
            Ok(unit) => ready.push(unit),
            Err(Trouble::Abort(error)) => return Err(error),
            Err(trouble) => {
                stage.leave_out(&unit.members, &trouble);
                stage.undo(number, unit)?;
                undone.extend(unit.members[0].path.parent());
            }
        }
    }
    stage.give_lists(&ready)?;
    for unit in ready {
        stage.seal(unit)?;
    }
    let mut script = stage.script;
    script.times.retain(|time| !undone.contains(time.path.as_path()));
    script.parents = stage.parents.into_values().collect();
    Ok(script)
}

impl Stage<'_, '_> {
    fn unit(&mut self, number: u64, unit: &Unit) -> Result<Ready, Trouble> {
        let path = unit.members[0].path.as_os_str().as_bytes();
        let old = old_path(path);
        let placeholder = self.preserve(unit, &old)?;
        let lists = Lists::for_unit(self.host, unit).map_err(|source| match source {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP => Trouble::Raced,
            source => Trouble::of("read the access control list for", path, source),
        })?;
        let base = if matches!(unit.task, Task::Replace(_)) { old } else { format!("new/{number}").into_bytes() };
        let members = match unit.task {
            Task::Remove(_) => unit.members.clone(),
            _ => self.content(unit, &base)?,
        };
        let (task, below) = (unit.task, unit.below.clone());
        Ok(Ready { number, base, task, members, below, placeholder, lists })
    }

    /// Makes the new content of a unit, and gives the members that it has: those whose content could be read.
    fn content(&mut self, unit: &Unit, base: &[u8]) -> Result<Vec<Change>, Trouble> {
        let mut made: Vec<Change> = Vec::with_capacity(unit.members.len());
        let mut without: Option<&Change> = None;
        for change in &unit.members {
            if change.new.is_none() {
                made.push(change.clone());
                continue;
            }
            if let Some(above) = without.filter(|above| change.path.starts_with(&above.path)) {
                self.leave_out(std::slice::from_ref(change), &Trouble::Failed(Why::Above(above.path.clone())));
                continue;
            }
            fault::place();
            match self.member(change, &below(base, &unit.members[0], change)) {
                Ok(()) => made.push(change.clone()),
                Err(Trouble::Failed(why)) if !made.is_empty() => {
                    self.leave_out(std::slice::from_ref(change), &Trouble::Failed(why));
                    without = Some(change);
                }
                Err(trouble) => return Err(trouble),
            }
            self.meter.file();
        }
        Ok(made)
    }

    pub(super) fn note(&mut self, taken: Taken, path: &std::path::Path) {
        if taken == Taken::Some {
            self.script.bare.push(path.to_owned());
        }
    }

    /// Takes note that changes are not made.
    pub(super) fn leave_out(&mut self, changes: &[Change], trouble: &Trouble) {
        for change in changes {
            let (path, status) = (change.path.clone(), change.status);
            match trouble {
                Trouble::Failed(why) => self.script.told.failed.push(Failed { path, status, why: why.clone() }),
                Trouble::Raced => self.script.told.conflicts.push(Conflict::of(change, Reason::Raced)),
                Trouble::Abort(_) => {}
            }
        }
    }

    /// Removes what was made for a unit that is left out.
    fn undo(&mut self, number: u64, unit: &Unit) -> Result<(), ApplyError> {
        let path = unit.members[0].path.as_os_str().as_bytes();
        let old = old_path(path);
        let new = format!("new/{number}").into_bytes();
        self.links.retain(|_, staged| ![&old, &new].into_iter().any(|base| is_at_or_below(staged, base)));
        let mut remove = || {
            self.staging.root.remove(&new)?;
            // Of a directory that stays, the old layer holds what other units keep in it.
            if matches!(unit.task, Task::Attributes(_)) {
                return Ok(());
            }
            self.staging.root.remove(&old)?;
            self.staging.last().remove(&old)
        };
        remove().map_err(|source| ApplyError::Stage { operation: "remove", path: unit.members[0].path.clone(), source })
    }
}

fn is_at_or_below(path: &[u8], base: &[u8]) -> bool {
    path.strip_prefix(base).is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'/'))
}

/// Where what lies at or below the first change of a unit is staged.
pub(super) fn below(base: &[u8], first: &Change, change: &Change) -> Vec<u8> {
    let first = first.path.as_os_str().len();
    [base, &change.path.as_os_str().as_bytes()[first..]].concat()
}
