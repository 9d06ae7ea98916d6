//! Limits that each process carries itself: `setrlimit(2)` and `sched_setaffinity(2)`. Applied by the stage, inherited
//! by everything that it starts, and impossible to raise again without privilege.
//!
//! # Memory
//! `RLIMIT_AS` is useless as a bound: node, Java and Go reserve many times the address space that they use.
//! `RLIMIT_DATA` counts private mappings that may be written (since 4.7), touched or not, and no reservations. Tried on
//! x86-64 with Linux 6.18: Python, node 22 and C programs start within 128 MiB, `rustc` with its linker within 256 MiB,
//! Java 17 within 512 MiB on a machine of 24 GiB, where its first heap (1/64 of the machine's memory) is 384 MiB. Hence
//! it serves as a second bound on one process, against growth that is faster than the sampler looks, where the limit is
//! well above that heap; [`data_bound`] says when. It cannot be the only bound: it holds for each process alone, and
//! shared memory does not count.

use std::io;

use rustix::process::{Resource as Kind, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use stockade_spec::plan::Resource;

/// Bounds a resource of the calling process and of what it starts, soft and hard.
///
/// `Processes` is `RLIMIT_NPROC`, counted for the user in its user namespace (since 5.14; before, and without a
/// namespace of its own, all processes of the user count; root is exempt). `Files` is `RLIMIT_NOFILE`, `Disk` is
/// `RLIMIT_FSIZE`, the size of any one file. `Memory` is `RLIMIT_DATA` (see the module). A hard limit that is lower
/// already stays.
///
/// # Errors
/// [`io::ErrorKind::Unsupported`] for other resources; those of `setrlimit(2)`.
pub fn apply(resource: Resource, value: u64) -> io::Result<()> {
    let kind = match resource {
        Resource::Processes => Kind::Nproc,
        Resource::Files => Kind::Nofile,
        Resource::Disk => Kind::Fsize,
        Resource::Memory => Kind::Data,
        Resource::Cpu | Resource::Time | Resource::Output => {
            return Err(io::ErrorKind::Unsupported.into());
        }
    };
    bound(kind, value)
}

/// The `RLIMIT_CORE` with which nothing is dumped. A core file needs at least a page; and where the host has a program read core
/// dumps, which the limit does not bound, the kernel takes exactly this one to say that it is not to run (`coredump_pipe` in
/// `fs/coredump.c`), while it runs with a limit of 0.
const NO_CORE: u64 = 1;

/// Forbids core dumps, which would be written to wherever the host's `core_pattern` says, or be read by a program of the host,
/// outside and as root.
///
/// # Errors
/// Those of `setrlimit(2)`.
pub fn no_core_dumps() -> io::Result<()> {
    bound(Kind::Core, NO_CORE)
}

/// The `RLIMIT_DATA` that goes with a memory limit which only the sampler enforces: `None` where it would keep Java,
/// whose first heap is 1/64 of the machine's memory, from starting.
#[must_use]
pub fn data_bound(memory_limit: u64, machine_memory: u64) -> Option<u64> {
    const JAVA_OVERHEAD: u64 = 128 << 20;
    (memory_limit >= machine_memory / 64 + JAVA_OVERHEAD).then_some(memory_limit)
}

/// Lets the calling process, and what it starts, run on as many processors as `milli_cpus` needs, rounded up. They are
/// consecutive, and start at a place that depends on the time, so that several sandboxes do not crowd on the first
/// ones.
///
/// # Errors
/// Those of `sched_setaffinity(2)`.
pub fn affinity(milli_cpus: u64) -> io::Result<()> {
    let allowed = sched_getaffinity(None)?;
    match choose(&allowed, milli_cpus, seed()) {
        Some(chosen) => Ok(sched_setaffinity(None, &chosen)?),
        None => Ok(()),
    }
}

/// The nanoseconds of the clock.
fn seed() -> u64 {
    u64::try_from(rustix::time::clock_gettime(rustix::time::ClockId::Monotonic).tv_nsec).unwrap_or(0)
}

/// The processors to use; `None` when all that are allowed are needed.
fn choose(allowed: &CpuSet, milli_cpus: u64, seed: u64) -> Option<CpuSet> {
    let processors: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).collect();
    let wanted = usize::try_from(milli_cpus.div_ceil(1_000).max(1)).unwrap_or(usize::MAX);
    if wanted >= processors.len() {
        return None;
    }
    let start = usize::try_from(seed % u64::try_from(processors.len()).ok()?).ok()?;
    let mut chosen = CpuSet::new();
    for &cpu in processors.iter().cycle().skip(start).take(wanted) {
        chosen.set(cpu);
    }
    Some(chosen)
}

fn bound(kind: Kind, value: u64) -> io::Result<()> {
    let value = getrlimit(kind).maximum.map_or(value, |maximum| maximum.min(value));
    Ok(setrlimit(kind, Rlimit { current: Some(value), maximum: Some(value) })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(processors: &[usize]) -> CpuSet {
        let mut set = CpuSet::new();
        processors.iter().for_each(|&cpu| set.set(cpu));
        set
    }

    #[test]
    fn chooses_as_many_processors_as_are_needed() {
        let allowed = set(&[1, 3, 4, 9]);
        assert_eq!(choose(&allowed, 1, 0), Some(set(&[1])));
        assert_eq!(choose(&allowed, 1_000, 2), Some(set(&[4])));
        assert_eq!(choose(&allowed, 1_001, 3), Some(set(&[9, 1])));
        assert_eq!(choose(&allowed, 4_000, 0), None);
        assert_eq!(choose(&allowed, u64::MAX, 0), None);
        assert_eq!(choose(&set(&[]), 1, 0), None);
    }

    #[test]
    fn the_data_bound_leaves_room_for_the_first_heap_of_java() {
        assert_eq!(data_bound(4 << 30, 24 << 30), Some(4 << 30));
        assert_eq!(data_bound(4 << 30, 512 << 30), None);
    }

    #[test]
    fn what_no_process_limit_bounds_is_refused() {
        for resource in [Resource::Cpu, Resource::Time, Resource::Output] {
            assert_eq!(apply(resource, 1).unwrap_err().kind(), io::ErrorKind::Unsupported, "{resource:?}");
        }
    }
}
