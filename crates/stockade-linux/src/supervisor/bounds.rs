//! The bounds of one run that the supervisor enforces: control group, timer, sampler.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::process::Pid;
use stockade_spec::facts::CgroupFacts;
use stockade_spec::plan::{LimitMechanism, Operation, Plan, Resource, Side};
use stockade_spec::report::Outcome;

use super::launch::limit_of;
use crate::limits::{self, Bound, Cgroup, Hits, LimitError, Processes, Sampler, Scope, Version, Watched};
use crate::sys::alarm::Alarm;

/// How long the caller's systemd may take to make a scope.
const SCOPE_PATIENCE: Duration = Duration::from_secs(5);

/// The bounds of one run.
#[derive(Debug)]
pub(super) struct Bounds {
    group: Option<Group>,
    sampler: Option<Sampler>,
    deadline: Option<Instant>,
    /// Becomes readable when the control group has run out of memory. The kernel then ends one process of it, and the
    /// supervisor the others.
    out_of_memory: Option<OwnedFd>,
    /// The root of the private store.
    store: Option<OwnedFd>,
}

#[derive(Debug)]
enum Group {
    Own(Cgroup),
    Scope(Scope),
}

impl Bounds {
    /// Sets up what has to be there before the first process is.
    pub(super) fn prepare(plan: &Plan, facts: &CgroupFacts, started: Instant) -> Result<Self, LimitError> {
        // In a sandbox that lasts, each command has this time.
        let lasts = plan.steps.iter().any(|step| step.operation == Operation::ServeCommands);
        let time = limit_of(plan, Resource::Time).filter(|_| !lasts).map(Duration::from_millis);
        refuse_split_groups(plan)?;
        let group = make_cgroup(plan, facts)?;
        let out_of_memory = group.as_ref().map_or(Ok(None), Cgroup::out_of_memory_descriptor)?;
        let deadline = time.and_then(|time| started.checked_add(time));
        Ok(Self { group: group.map(Group::Own), sampler: None, deadline, out_of_memory, store: None })
    }

    /// The directories of the control groups in which everything inside is, and nothing else.
    pub(super) fn groups(&self) -> impl Iterator<Item = &std::path::Path> {
        let own = match &self.group {
            Some(Group::Own(group)) => Some(group.paths()),
            _ => None,
        };
        own.into_iter().flatten()
    }

    /// The directory for `CLONE_INTO_CGROUP`.
    pub(super) fn cgroup_directory(&self) -> Option<BorrowedFd<'_>> {
        match &self.group {
            Some(Group::Own(group)) => group.directory(),
            _ => None,
        }
    }

    /// The descriptors by which the stage enters version 1 control groups.
    pub(super) fn entrances(&self) -> Result<Vec<OwnedFd>, LimitError> {
        match &self.group {
            Some(Group::Own(group)) if group.version() == Version::V1 => group.procs_descriptors(),
            _ => Ok(Vec::new()),
        }
    }

    /// Sets up what needs the first process, which waits meanwhile.
    pub(super) fn enclose(&mut self, plan: &Plan, facts: &CgroupFacts, init: Pid) -> Result<(), LimitError> {
        let bounds = bounds_by(plan, LimitMechanism::SystemdScope);
        if bounds.is_empty() {
            return Ok(());
        }
        let socket = facts.systemd_user.as_deref().ok_or(LimitError::NoPlace { controller: "memory" })?;
        let scope = Scope::start(socket, init, &bounds, SCOPE_PATIENCE)?;
        self.out_of_memory = scope
            .out_of_memory_descriptor()
            .map(|events| events.try_clone_to_owned())
            .transpose()
            .map_err(|source| LimitError::call("copy the descriptor of the scope's events", source))?;
        self.group = Some(Group::Scope(scope));
        Ok(())
    }

    /// Starts to look at what is inside.
    pub(super) fn watch(
        &mut self,
        plan: &Plan,
        proc: Option<OwnedFd>,
        store: Option<OwnedFd>,
        init: Pid,
    ) -> Result<(), LimitError> {
        self.store = store.as_ref().map(|store| store.try_clone()).transpose().map_err(copy_failed)?;
        let bounds = bounds_by(plan, LimitMechanism::Sampler);
        if bounds.is_empty() {
            return Ok(());
        }
        let own = if proc.is_some() { numbers_of_own(plan) } else { vec![init] };
        let processes = proc.map_or(Processes::Descendants(init), Processes::Namespace);
        let watched = Watched { processes, own, store, directories: private_directories(plan)? };
        let sampler =
            Sampler::new(&bounds, watched).map_err(|source| LimitError::call("look at the processes", source))?;
        self.sampler = Some(sampler);
        Ok(())
    }

    /// A descriptor that becomes readable when memory has run out.
    pub(super) fn out_of_memory(&self) -> Option<BorrowedFd<'_>> {
        self.out_of_memory.as_ref().map(AsFd::as_fd)
    }

    /// The descriptor was readable: whether a process was ended for lack of memory. It is not looked at again then.
    pub(super) fn ran_out_of_memory(&mut self) -> Result<bool, LimitError> {
        let (outcome, _) = self.verdict(None)?;
        if outcome.is_some() {
            self.out_of_memory = None;
        }
        Ok(outcome.is_some())
    }

    /// How long the supervisor may sleep before it must look again.
    pub(super) fn next_look(&self) -> Option<Duration> {
        let sample = self.sampler.as_ref().map(Sampler::next_due);
        let next = [self.deadline, sample].into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// The limit that has been reached, if one has.
    pub(super) fn reached(&mut self) -> Result<Option<Outcome>, LimitError> {
        let now = Instant::now();
        if self.is_overdue() {
            return Ok(Some(Outcome::TimeLimit));
        }
        let Some(sampler) = self.sampler.as_mut().filter(|sampler| sampler.next_due() <= now) else { return Ok(None) };
        let exceeded = sampler.sample().map_err(|source| LimitError::call("look at the processes", source))?;
        Ok(limits::verdict(Hits::default(), exceeded, None))
    }

    /// What wakes this process, should it be stopped, when the run's time is over.
    pub(super) fn alarm(&self) -> io::Result<Option<Alarm>> {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        left.map(Alarm::after).transpose()
    }

    /// Whether the run's time is over.
    pub(super) fn is_overdue(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    /// The run is ending: no limit is looked for any more.
    pub(super) fn stop_looking(&mut self) {
        self.deadline = None;
        self.sampler = None;
        self.out_of_memory = None;
    }

    /// The limit that ended something by the kernel's hand, where `signal` ended the command; and how often new processes
    /// were refused.
    pub(super) fn verdict(&self, signal: Option<i32>) -> Result<(Option<Outcome>, u64), LimitError> {
        let hits = match &self.group {
            Some(Group::Own(group)) => group.hits()?,
            Some(Group::Scope(scope)) => scope.hits()?,
            None => Hits::default(),
        };
        Ok((limits::verdict(hits, None, signal), hits.processes))
    }

    /// Whether the private store has no room left: then writes to it have failed.
    pub(super) fn store_is_full(&self) -> bool {
        let usage = self.store.as_ref().and_then(|store| rustix::fs::fstatvfs(store).ok());
        usage.is_some_and(|usage| usage.f_bavail == 0 || usage.f_favail == 0)
    }

    /// Removes the control group. A scope vanishes with its last process.
    pub(super) fn remove(self) -> Result<(), LimitError> {
        match self.group {
            Some(Group::Own(group)) => group.remove(),
            Some(Group::Scope(_)) | None => Ok(()),
        }
    }
}

fn copy_failed(source: std::io::Error) -> LimitError {
    LimitError::call("copy the descriptor of the private store", source)
}

/// The numbers that Stockade's own processes have inside: init's, which is the first, and the spawner's, which is its only child.
fn numbers_of_own(plan: &Plan) -> Vec<Pid> {
    let lasts = plan.steps.iter().any(|step| step.operation == Operation::ServeCommands);
    [1, 2].into_iter().take(1 + usize::from(lasts)).filter_map(Pid::from_raw).collect()
}

/// Every bound of the plan has to be in force: one that a second kind of group would hold is not dropped.
fn refuse_split_groups(plan: &Plan) -> Result<(), LimitError> {
    let kinds = [
        (LimitMechanism::CgroupV2, "version 2"),
        (LimitMechanism::CgroupV1, "version 1"),
        (LimitMechanism::SystemdScope, "a systemd scope"),
    ];
    let mut used = kinds.into_iter().filter(|(kind, _)| !bounds_by(plan, *kind).is_empty()).map(|(_, name)| name);
    match (used.next(), used.next()) {
        (Some(one), Some(other)) => Err(LimitError::Split { one, other }),
        _ => Ok(()),
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

/// The bounds that the plan sets by one mechanism.
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

/// The plan's private directories on the host, outermost only. Those of a command that has ended at once are gone already.
fn private_directories(plan: &Plan) -> Result<Vec<OwnedFd>, LimitError> {
    let mut paths: Vec<&std::path::Path> = Vec::new();
    for step in &plan.steps {
        if let Operation::PrivateDirectory { path } = &step.operation
            && !paths.iter().any(|outer| path.starts_with(outer))
        {
            paths.push(path);
        }
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = |path: &&std::path::Path| match rustix::fs::openat(CWD, *path, flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) => None,
        opened => Some(opened.map_err(|error| LimitError::group("open", *path, error))),
    };
    paths.iter().filter_map(open).collect()
}

#[cfg(test)]
mod tests {
    use stockade_spec::plan::{Command, Explanations, PLAN_VERSION, Step};
    use stockade_spec::report::Protection;
    use stockade_spec::request::Terminal;
    use stockade_spec::tier::Tier;

    use super::*;

    fn plan(mechanisms: &[LimitMechanism]) -> Plan {
        let step = |&mechanism| Step {
            operation: Operation::Limit { resource: Resource::Memory, value: 1 << 30, mechanism },
            protection: Protection::MemoryLimit,
            degradable: false,
        };
        Plan {
            version: PLAN_VERSION,
            tier: Tier::Namespaces,
            profile: "default".into(),
            command: Command {
                arguments: vec!["true".into()],
                environment: Vec::new(),
                directory: "/".into(),
                terminal: Terminal::default(),
            },
            workspace: "/w".into(),
            home: "/h".into(),
            steps: mechanisms.iter().map(step).collect(),
            degraded: Vec::new(),
            explanations: Explanations::default(),
        }
    }

    #[test]
    fn no_bound_of_a_second_kind_of_group_is_dropped() {
        use LimitMechanism::{CgroupV1, CgroupV2, Sampler, SystemdScope};
        for split in [[CgroupV2, CgroupV1], [CgroupV1, SystemdScope], [SystemdScope, CgroupV2]] {
            let refused = refuse_split_groups(&plan(&split));
            assert!(matches!(refused, Err(LimitError::Split { .. })), "{split:?}");
        }
        for one in [[CgroupV2, CgroupV2], [CgroupV1, Sampler], [Sampler, SystemdScope]] {
            assert!(refuse_split_groups(&plan(&one)).is_ok(), "{one:?}");
        }
    }
}
