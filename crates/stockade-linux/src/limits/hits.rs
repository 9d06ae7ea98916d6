//! Which limits of a control group were hit, and what that makes of the outcome.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::process::Signal;
use stockade_spec::plan::Resource;
use stockade_spec::report::Outcome;

use super::kernel_file;
use super::sampler::Exceeded;
use super::settings::Version;

/// What the limits make of a run's end: `None` when it ended by itself, whatever its status.
///
/// `exceeded` is what the sampler said. `signal` ended the command; `SIGXFSZ` is the kernel's answer to a file that
/// grows beyond the disk limit. A process that the kernel refused to start ends nothing: how the command took it is its
/// own end, and [`Hits::processes`] tells that it happened.
#[must_use]
pub fn verdict(hits: Hits, exceeded: Option<Exceeded>, signal: Option<i32>) -> Option<Outcome> {
    if let Some(exceeded) = exceeded {
        return Some(match exceeded.resource {
            Resource::Processes => Outcome::ProcessLimit,
            Resource::Disk => Outcome::DiskLimit,
            _ => Outcome::MemoryLimit,
        });
    }
    if hits.memory > 0 {
        return Some(Outcome::MemoryLimit);
    }
    (signal == Some(Signal::XFSZ.as_raw())).then_some(Outcome::DiskLimit)
}

/// How often the bounds of a group were hit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    /// Processes that the kernel ended because this group was at its own memory limit. Processes that were ended
    /// because the machine, or a group further up, had no memory left do not count. Version 2 may count a process
    /// twice.
    pub memory: u64,
    /// New processes and threads that the kernel refused because of this group's limit.
    pub processes: u64,
}

impl Hits {
    /// The larger of each count.
    pub(crate) fn max(self, other: Self) -> Self {
        Self { memory: self.memory.max(other.memory), processes: self.processes.max(other.processes) }
    }

    /// Adds what the files of one directory say; files of controllers that are not there count nothing.
    pub(crate) fn read(&mut self, version: Version, directory: BorrowedFd<'_>) -> Result<(), (&'static str, Errno)> {
        self.processes += number(directory, "pids.events", "max")?.unwrap_or(0);
        self.memory += match version {
            Version::V2 => memory_v2(directory)?,
            Version::V1 => memory_v1(directory)?,
        };
        Ok(())
    }
}

/// `oom` counts how often this group or one below was at its own limit with nothing left to reclaim; `oom_kill` counts
/// the processes in it that were ended for any lack of memory (`cgroup-v2.rst`, "Memory Interface Files").
fn memory_v2(directory: BorrowedFd<'_>) -> Result<u64, (&'static str, Errno)> {
    let at_limit = number(directory, "memory.events", "oom")?.unwrap_or(0);
    let killed = number(directory, "memory.events", "oom_kill")?.unwrap_or(0);
    // The count of kills follows the other one only when a process has been chosen.
    Ok(if at_limit > 0 { killed.max(1) } else { 0 })
}

/// How close to the limit usage counts as at it, in bytes: a processor charges pages in batches of 64.
const BATCH: u64 = 64 * 4096;

/// As in version 2. That the group was at its own limit shows in its highest usage, of memory or of memory and swap
/// together; `memory.failcnt` stays 0 on newer kernels (seen on 6.18).
fn memory_v1(directory: BorrowedFd<'_>) -> Result<u64, (&'static str, Errno)> {
    let at_limit = full(directory, "memory.max_usage_in_bytes", "memory.limit_in_bytes")?
        || full(directory, "memory.memsw.max_usage_in_bytes", "memory.memsw.limit_in_bytes")?;
    let killed = number(directory, "memory.oom_control", "oom_kill")?.unwrap_or(0);
    Ok(if at_limit { killed } else { 0 })
}

fn full(directory: BorrowedFd<'_>, usage: &'static str, limit: &'static str) -> Result<bool, (&'static str, Errno)> {
    let (usage, limit) = (single(directory, usage)?, single(directory, limit)?);
    Ok(usage.zip(limit).is_some_and(|(usage, limit)| usage.saturating_add(BATCH) >= limit))
}

fn single(directory: BorrowedFd<'_>, file: &'static str) -> Result<Option<u64>, (&'static str, Errno)> {
    let mut buffer = [0; kernel_file::SMALL];
    match kernel_file::read(directory, file, &mut buffer) {
        Ok(content) => Ok(kernel_file::words(content).next().and_then(|word| word.parse().ok())),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err((file, error)),
    }
}

fn number(directory: BorrowedFd<'_>, file: &'static str, key: &str) -> Result<Option<u64>, (&'static str, Errno)> {
    let mut buffer = [0; kernel_file::SMALL];
    match kernel_file::read(directory, file, &mut buffer) {
        Ok(content) => Ok(kernel_file::keyed(content, key)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err((file, error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    fn hits(version: Version, files: &[(&str, &str)]) -> Hits {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let directory = std::fs::File::open(folder.path()).unwrap();
        let mut hits = Hits::default();
        hits.read(version, directory.as_fd()).unwrap();
        hits
    }

    #[test]
    fn version_2_counts_only_its_own_limit() {
        let events = "low 0\nhigh 0\nmax 91\noom 2\noom_kill 3\noom_group_kill 1\n";
        let files = [("memory.events", events), ("pids.events", "max 5\n")];
        assert_eq!(hits(Version::V2, &files), Hits { memory: 3, processes: 5 });
        let of_the_machine = [("memory.events", "max 0\noom 0\noom_kill 3\n")];
        assert_eq!(hits(Version::V2, &of_the_machine), Hits::default());
        assert_eq!(hits(Version::V2, &[]), Hits::default());
    }

    #[test]
    fn every_limit_has_its_outcome() {
        let of = |resource| Some(Exceeded { resource, used: 2, limit: 1 });
        let refused = Hits { memory: 0, processes: 9 };
        for (hits, exceeded, signal, expected) in [
            (Hits::default(), None, None, None),
            (Hits::default(), None, Some(9), None),
            (refused, None, Some(9), None),
            (refused, of(Resource::Processes), None, Some(Outcome::ProcessLimit)),
            (refused, of(Resource::Disk), None, Some(Outcome::DiskLimit)),
            (refused, of(Resource::Memory), None, Some(Outcome::MemoryLimit)),
            (Hits { memory: 1, processes: 0 }, None, None, Some(Outcome::MemoryLimit)),
            (refused, None, Some(25), Some(Outcome::DiskLimit)),
        ] {
            assert_eq!(verdict(hits, exceeded, signal), expected, "{hits:?} {exceeded:?} {signal:?}");
        }
    }

    #[test]
    fn version_1_counts_only_its_own_limit() {
        let control = ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
        let limit = ("memory.limit_in_bytes", "67108864\n");
        let usage = |bytes: &'static str| ("memory.max_usage_in_bytes", bytes);
        assert_eq!(hits(Version::V1, &[control, limit, usage("67100000\n")]), Hits { memory: 1, processes: 0 });
        assert_eq!(hits(Version::V1, &[control, limit, usage("50000000\n")]), Hits::default());
        let swap = [("memory.memsw.limit_in_bytes", "4096\n"), ("memory.memsw.max_usage_in_bytes", "4096\n")];
        assert_eq!(hits(Version::V1, &[&[control][..], &swap].concat()), Hits { memory: 1, processes: 0 });
        assert_eq!(hits(Version::V1, &[("pids.events", "max 2\n")]), Hits { memory: 0, processes: 2 });
    }
}
