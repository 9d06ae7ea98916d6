//! The bounds of one run that the supervisor enforces: control group, timer, sampler.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::process::Pid;
use stockade_spec::facts::CgroupFacts;
use stockade_spec::plan::{LimitMechanism, Operation, Plan, Resource, Side};
use stockade_spec::report::Outcome;

use super::error::LaunchError;
use super::launch::limit_of;
use crate::limits::{Bound, Cgroup, LimitError, Version};

/// The bounds of one run.
#[derive(Debug)]
pub(super) struct Bounds {
    cgroup: Option<Cgroup>,
    deadline: Option<Instant>,
}

impl Bounds {
    /// Sets up what has to be there before the first process is.
    pub(super) fn prepare(plan: &Plan, facts: &CgroupFacts, started: Instant) -> Result<Self, LaunchError> {
        let time = limit_of(plan, Resource::Time).map(Duration::from_millis);
        Ok(Self { cgroup: make_cgroup(plan, facts)?, deadline: time.and_then(|time| started.checked_add(time)) })
    }

    /// The directory for `CLONE_INTO_CGROUP`.
    pub(super) fn cgroup_directory(&self) -> Option<BorrowedFd<'_>> {
        self.cgroup.as_ref().and_then(Cgroup::directory)
    }

    /// The descriptors by which the stage enters version 1 control groups.
    pub(super) fn entrances(&self) -> Result<Vec<OwnedFd>, LimitError> {
        match &self.cgroup {
            Some(group) if group.version() == Version::V1 => group.procs_descriptors(),
            _ => Ok(Vec::new()),
        }
    }

    /// Starts to watch what is inside.
    pub(super) fn watch(&mut self, proc: Option<OwnedFd>, store: Option<OwnedFd>, init: Pid) {
        let _ = (proc, store, init);
    }

    /// How long the supervisor may sleep before it must look again.
    pub(super) fn next_look(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// The limit that has been reached, if one has.
    pub(super) fn reached(&mut self) -> Result<Option<Outcome>, LimitError> {
        Ok(self.deadline.filter(|deadline| *deadline <= Instant::now()).map(|_| Outcome::TimeLimit))
    }

    /// No limit is looked for any more.
    pub(super) const fn forget_deadline(&mut self) {
        self.deadline = None;
    }

    /// After the end: the limit that ended the command by the kernel's hand, and how often new processes were refused.
    pub(super) fn verdict(&self) -> Result<(Option<Outcome>, u64), LimitError> {
        let Some(group) = &self.cgroup else { return Ok((None, 0)) };
        let hits = group.hits()?;
        Ok(((hits.memory > 0).then_some(Outcome::MemoryLimit), hits.processes))
    }

    /// Removes the control group.
    pub(super) fn remove(self) -> Result<(), LimitError> {
        self.cgroup.map_or(Ok(()), Cgroup::remove)
    }
}

fn make_cgroup(plan: &Plan, facts: &CgroupFacts) -> Result<Option<Cgroup>, LimitError> {
    for (mechanism, version) in [(LimitMechanism::CgroupV2, Version::V2), (LimitMechanism::CgroupV1, Version::V1)] {
        let bounds = bounds_by(plan, mechanism);
        if !bounds.is_empty() {
            return Cgroup::create(facts, version, &bounds).map(Some);
        }
    }
    Ok(None)
}

fn bounds_by(plan: &Plan, wanted: LimitMechanism) -> Vec<Bound> {
    plan.steps_of(Side::Supervisor)
        .filter_map(|step| match &step.operation {
            Operation::Limit { resource, value, mechanism } if *mechanism == wanted => {
                Some(Bound { resource: *resource, value: *value })
            }
            _ => None,
        })
        .collect()
}
