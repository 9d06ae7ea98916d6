//! Resource limits, each by the strongest mechanism that the host offers.

use super::error::CompileError;
use super::{Input, namespaces::Steps};
use crate::plan::{Degradation, LimitMechanism, Operation, Resource};
use crate::policy::Limits;
use crate::report::Protection;
use crate::tier::Tier;
use crate::units::{ByteSize, Span};

/// The least with which a dynamically linked program starts.
const LEAST_MEMORY: ByteSize = ByteSize(4 << 20);
const LEAST_MILLI_CPUS: u32 = 10;
/// The command and one child.
const LEAST_PROCESSES: u32 = 2;
/// Standard streams, the loader's and a few of the program's own.
const LEAST_FILES: u32 = 16;
const LEAST_DISK: ByteSize = ByteSize(1 << 20);
const LEAST_TIME: Span = Span { milliseconds: 10 };
const LEAST_OUTPUT: ByteSize = ByteSize(1);

/// Refuses limits with which nothing can run.
pub(super) fn check(limits: &Limits) -> Result<(), CompileError> {
    at_least("memory", limits.memory, LEAST_MEMORY)?;
    if let Some(milli) = limits.milli_cpus.filter(|milli| *milli < LEAST_MILLI_CPUS) {
        let text = |milli: u32| format!("{}.{:03}", milli / 1_000, milli % 1_000);
        let (given, least) = (text(milli), text(LEAST_MILLI_CPUS));
        return Err(CompileError::LimitTooSmall { limit: "cpus", given, least });
    }
    at_least("processes", limits.processes, LEAST_PROCESSES)?;
    at_least("files", limits.files, LEAST_FILES)?;
    at_least("disk", limits.disk, LEAST_DISK)?;
    at_least("time", limits.time, LEAST_TIME)?;
    at_least("output", limits.output, LEAST_OUTPUT)
}

fn at_least<T: PartialOrd + ToString>(limit: &'static str, given: Option<T>, least: T) -> Result<(), CompileError> {
    match given {
        Some(given) if given < least => {
            Err(CompileError::LimitTooSmall { limit, given: given.to_string(), least: least.to_string() })
        }
        _ => Ok(()),
    }
}

/// The steps that bound resources, in the order of [`Resource`].
pub(super) fn put(steps: &mut Steps, input: Input<'_>, tier: Tier) -> Vec<Degradation> {
    let limits = &input.policy.limits;
    let mut degraded = Vec::new();
    if let Some(memory) = limits.memory {
        let mechanism = group(input, "memory").unwrap_or(LimitMechanism::Sampler);
        limit(steps, Resource::Memory, memory.0, mechanism, Protection::MemoryLimit);
    }
    if let Some(milli) = limits.milli_cpus {
        let mechanism = group(input, "cpu").unwrap_or(LimitMechanism::Affinity);
        limit(steps, Resource::Cpu, milli.into(), mechanism, Protection::CpuLimit);
        if mechanism == LimitMechanism::Affinity && !milli.is_multiple_of(1_000) {
            degraded.push(Degradation {
                protection: Protection::CpuLimit,
                reason: format!(
                    "without control groups only whole processors can be given: {} of them",
                    milli.div_ceil(1_000)
                ),
            });
        }
    }
    if let Some(processes) = limits.processes {
        let mechanism = group(input, "pids").unwrap_or_else(|| process_fallback(input, tier));
        limit(steps, Resource::Processes, processes.into(), mechanism, Protection::ProcessLimit);
    }
    if let Some(files) = limits.files {
        limit(steps, Resource::Files, files.into(), LimitMechanism::Rlimit, Protection::FilesLimit);
    }
    if let Some(disk) = limits.disk {
        let mechanism = match tier {
            Tier::Namespaces => LimitMechanism::PrivateStoreSize,
            Tier::Landlock => LimitMechanism::Sampler,
        };
        limit(steps, Resource::Disk, disk.0, mechanism, Protection::DiskLimit);
        limit(steps, Resource::Disk, disk.0, LimitMechanism::Rlimit, Protection::DiskLimit);
    }
    if let Some(time) = limits.time {
        limit(steps, Resource::Time, time.milliseconds, LimitMechanism::Timer, Protection::TimeLimit);
    }
    if let Some(output) = limits.output {
        limit(steps, Resource::Output, output.0, LimitMechanism::Relay, Protection::OutputLimit);
    }
    degraded
}

/// Whether the processors that the command is given are the limit, so that programs may not take others. Where it is given all,
/// there are none to take.
pub(super) fn keeps_processors(input: Input<'_>) -> bool {
    let milli = input.policy.limits.milli_cpus;
    group(input, "cpu").is_none() && milli.is_some_and(|milli| milli.div_ceil(1_000) < input.facts.cpus)
}

fn limit(steps: &mut Steps, resource: Resource, value: u64, mechanism: LimitMechanism, protection: Protection) {
    steps.add(Operation::Limit { resource, value, mechanism }, protection);
}

/// The kind of control group that can bound a controller's resource.
fn group(input: Input<'_>, controller: &str) -> Option<LimitMechanism> {
    let groups = &input.facts.cgroups;
    let v2 = groups.v2.as_ref().is_some_and(|v2| v2.controllers.iter().any(|name| name == controller));
    if v2 {
        Some(LimitMechanism::CgroupV2)
    } else if groups.systemd_user.is_some() {
        Some(LimitMechanism::SystemdScope)
    } else if groups.v1.contains_key(controller) {
        Some(LimitMechanism::CgroupV1)
    } else {
        None
    }
}

/// `RLIMIT_NPROC` counts the processes of a user in his user namespace, and before Linux 5.14 those of the whole machine;
/// the kernel exempts uid 0 (`setrlimit(2)`). Where it would count others, or not at all, the supervisor counts.
fn process_fallback(input: Input<'_>, tier: Tier) -> LimitMechanism {
    let own = tier == Tier::Namespaces && input.facts.kernel_at_least(5, 14);
    if own && input.facts.uid != 0 { LimitMechanism::Rlimit } else { LimitMechanism::Sampler }
}
