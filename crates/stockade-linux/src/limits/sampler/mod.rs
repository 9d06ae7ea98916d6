//! Watching use at intervals, where no control group can be had.
//!
//! Memory is what the processes hold for themselves (anonymous, shared and swapped pages and page tables), and the
//! private file systems in memory. Pages of the page cache do not count: the kernel takes them back when it needs them.
//!
//! Limits of the method, which is why control groups come first: between two looks a run can use more than it may (the
//! interval shrinks as use nears the limit, and `RLIMIT_DATA` bounds each process); shared memory that is also a file
//! of a private file system is counted once only, as the larger of the two sums; shared memory that no process maps or
//! has open (a detached System V segment, a descriptor under way in a socket) is not seen. Where a process cannot be looked at,
//! all shared memory that the machine has gained since the start counts, whoever holds it.

pub(crate) mod descriptors;
mod memory;
mod pace;
pub(crate) mod processes;
mod storage;

use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::process::Pid;
use stockade_spec::plan::Resource;

use self::memory::{Account, Memfds};
use self::pace::Pace;
use super::settings::Bound;

/// Processes that one call of [`Sampler::sample`] looks at, so that it returns within some tens of milliseconds.
const CHUNK: usize = 2_048;

/// Where the processes are found.
#[derive(Debug)]
pub enum Processes {
    /// All that a `/proc` of the sandbox's own process namespace shows, given by a descriptor of its root.
    Namespace(OwnedFd),
    /// A process of this one's namespace, with all its descendants. It has to be their reaper
    /// (`PR_SET_CHILD_SUBREAPER`).
    Descendants(Pid),
}

/// What is looked at.
#[derive(Debug)]
pub struct Watched {
    /// The processes.
    pub processes: Processes,
    /// Those of them that are Stockade's own: they hold nothing, and let nobody look.
    pub own: Vec<Pid>,
    /// Any file or directory of the private file system in memory: what it holds counts as memory.
    pub store: Option<OwnedFd>,
    /// Private directories on the host's file systems: what is below them counts as disk.
    pub directories: Vec<OwnedFd>,
}

/// A limit that was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// The resource.
    pub resource: Resource,
    /// How much was in use, in the resource's unit.
    pub used: u64,
    /// The limit.
    pub limit: u64,
}

/// Looks at a run's use of memory, processes and disk.
#[derive(Debug)]
pub struct Sampler {
    bounds: Vec<Bound>,
    watched: Watched,
    proc: OwnedFd,
    pace: Pace,
    memfds: Memfds,
    /// Bytes on disk of files that have no name left, as the last full look found them.
    nameless: u64,
    round: Option<Round>,
    buffer: Vec<u8>,
}

/// One look at all processes; it takes several calls when there are many.
#[derive(Debug)]
struct Round {
    pids: Vec<Pid>,
    seen: usize,
    threads: u64,
    account: Account,
}

impl Sampler {
    /// Prepares to look; the first look is due after 20 ms, so a short run is never looked at.
    ///
    /// # Errors
    /// When `/proc` cannot be opened, or, for [`Processes::Descendants`], has no `children` files
    /// (`CONFIG_PROC_CHILDREN`).
    pub fn new(bounds: &[Bound], watched: Watched) -> io::Result<Self> {
        let proc = match &watched.processes {
            Processes::Namespace(proc) => proc.try_clone()?,
            Processes::Descendants(_) => processes::open_proc()?,
        };
        let supported = [Resource::Memory, Resource::Processes, Resource::Disk];
        let bounds: Vec<Bound> = bounds.iter().copied().filter(|bound| supported.contains(&bound.resource)).collect();
        let memfds = Memfds::new()?;
        Ok(Self {
            bounds,
            watched,
            proc,
            pace: Pace::start(),
            memfds,
            nameless: 0,
            round: None,
            buffer: vec![0; memory::BUFFER],
        })
    }

    /// When [`Sampler::sample`] is to be called next.
    #[must_use]
    pub const fn next_due(&self) -> Instant {
        self.pace.next_due()
    }

    /// Looks, and says which limit is exceeded. A process that ends meanwhile counts as not there.
    ///
    /// # Errors
    /// When the processes cannot be listed or the private directories cannot be read: the run should be ended then,
    /// since nothing bounds it any more.
    pub fn sample(&mut self) -> io::Result<Option<Exceeded>> {
        let start = Instant::now();
        let exceeded = self.look()?;
        self.pace.looked(start, Instant::now(), self.round.is_some());
        Ok(exceeded)
    }

    fn look(&mut self) -> io::Result<Option<Exceeded>> {
        if let Some(exceeded) = self.disk()? {
            return Ok(Some(exceeded));
        }
        let mut round = match self.round.take() {
            Some(round) => round,
            None => self.begin()?,
        };
        self.go_on(&mut round);
        // More processes than are allowed are too many already before all were looked at.
        if let Some(exceeded) = self.exceeds(Resource::Processes, round.threads) {
            return Ok(Some(exceeded));
        }
        if round.seen < round.pids.len() {
            self.round = Some(round);
            return Ok(None);
        }
        if !self.watched.directories.is_empty() && self.limit(Resource::Disk).is_some() {
            self.nameless = descriptors::nameless_of(&self.proc, &self.foreign(&round))?;
        }
        self.memory(&round)
    }

    fn begin(&self) -> io::Result<Round> {
        let pids = match &self.watched.processes {
            Processes::Namespace(proc) => processes::all(proc)?,
            Processes::Descendants(root) => processes::descendants(&self.proc, *root)?,
        };
        Ok(Round { pids, seen: 0, threads: 0, account: Account::default() })
    }

    fn go_on(&mut self, round: &mut Round) {
        for &pid in round.pids.iter().skip(round.seen).take(CHUNK) {
            round.seen += 1;
            if let Some((pid, use_of_one)) = memory::of_process(&self.proc, pid, &mut self.buffer) {
                round.threads += use_of_one.threads;
                round.account.add(pid, use_of_one);
            }
        }
    }

    /// Compares memory with its limit: first as a sum that counts shared pages several times and costs little, and if
    /// that exceeds the limit, exactly.
    fn memory(&mut self, round: &Round) -> io::Result<Option<Exceeded>> {
        let Some(limit) = self.limit(Resource::Memory) else { return Ok(None) };
        let store = self.watched.store.as_ref().map_or(Ok(0), storage::in_use)?;
        let unseen = self.memfds.grown_since_start();
        let rough = round.account.rough().saturating_add(store).saturating_add(unseen);
        self.pace.headroom(limit.saturating_sub(rough));
        if rough <= limit {
            return Ok(None);
        }
        let open = self.memfds.open_in(&self.proc, &self.foreign(round))?;
        let seen = store.saturating_add(open.bytes);
        // Who hides what it holds answers for all that the machine has gained since the start.
        let files = if open.is_hidden { seen.max(unseen) } else { seen };
        let used = round.account.exact(&self.proc, limit, files, &mut self.buffer);
        self.pace.headroom(limit.saturating_sub(used));
        Ok(self.exceeds(Resource::Memory, used))
    }

    /// Those that may hold something and are not Stockade's own.
    fn foreign(&self, round: &Round) -> Vec<Pid> {
        let mut pids = round.account.pids();
        pids.retain(|pid| !self.watched.own.contains(pid));
        pids
    }

    fn disk(&self) -> io::Result<Option<Exceeded>> {
        let Some(limit) = self.limit(Resource::Disk) else { return Ok(None) };
        let used = storage::below(&self.watched.directories, limit)?.saturating_add(self.nameless);
        Ok(self.exceeds(Resource::Disk, used))
    }

    fn limit(&self, resource: Resource) -> Option<u64> {
        self.bounds.iter().find(|bound| bound.resource == resource).map(|bound| bound.value)
    }

    fn exceeds(&self, resource: Resource, used: u64) -> Option<Exceeded> {
        let limit = self.limit(resource)?;
        (used > limit).then_some(Exceeded { resource, used, limit })
    }
}
