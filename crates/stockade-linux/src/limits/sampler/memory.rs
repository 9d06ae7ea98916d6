//! Memory of processes, from `/proc`.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, OFlags};
use rustix::io::Errno;
use rustix::process::Pid;

use super::descriptors::{self, Open};
use super::processes;
use crate::limits::kernel_file;

/// Room for `/proc/PID/status`, where the list of a user's groups can be long.
pub(super) const BUFFER: usize = 32 << 10;

/// Threads among which one that goes on is looked for.
const MAX_THREADS: usize = 16;

/// What one process uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ProcessUse {
    pub(super) threads: u64,
    /// Bytes: anonymous pages, swapped ones and page tables.
    own: u64,
    /// Bytes: mapped shared memory and files of file systems in memory.
    shared: u64,
}

/// What several processes use.
#[derive(Debug, Default)]
pub(super) struct Account {
    processes: Vec<(Pid, ProcessUse)>,
    rough: u64,
}

/// What a process uses, and the number by which its files are found; `None` when it has ended.
///
/// Where its first thread has ended and others go on, that one's files say nothing of what they share, and those of another do.
pub(super) fn of_process(proc: &OwnedFd, pid: Pid, buffer: &mut [u8]) -> Option<(Pid, ProcessUse)> {
    let used = of_thread(proc, pid, buffer)?;
    if used.own > 0 || used.threads < 2 {
        return Some((pid, used));
    }
    let tasks = kernel_file::open(proc, path(pid, "task"), OFlags::RDONLY | OFlags::DIRECTORY).ok()?;
    let threads = processes::numbered(&tasks).ok()?;
    let living = threads.into_iter().take(MAX_THREADS).find_map(|thread| {
        let of_thread = of_thread(proc, thread, buffer).filter(|used| used.own > 0)?;
        Some((thread, ProcessUse { threads: used.threads, ..of_thread }))
    });
    living.or(Some((pid, used)))
}

/// What `PID/status` says.
fn of_thread(proc: &OwnedFd, pid: Pid, buffer: &mut [u8]) -> Option<ProcessUse> {
    kernel_file::read(proc, path(pid, "status"), buffer).ok().map(parse_status)
}

/// Lines `Key:<tab>number kB` (`proc_pid_status(5)`). A process cannot forge one: the kernel escapes its name.
fn parse_status(content: &[u8]) -> ProcessUse {
    let mut found = ProcessUse::default();
    for line in content.split(|&byte| byte == b'\n') {
        match key_and_number(line) {
            Some((b"Threads", number)) => found.threads = number,
            Some((b"RssAnon" | b"VmSwap" | b"VmPTE", number)) => found.own = found.own.saturating_add(number << 10),
            Some((b"RssShmem", number)) => found.shared = number << 10,
            _ => {}
        }
    }
    found
}

/// Proportional sizes of `PID/smaps_rollup`: own and shared.
fn parse_rollup(content: &[u8]) -> (u64, u64) {
    let mut sizes = (0, 0);
    for line in content.split(|&byte| byte == b'\n') {
        match key_and_number(line) {
            Some((b"Pss_Anon" | b"SwapPss", number)) => sizes.0 += number << 10,
            Some((b"Pss_Shmem", number)) => sizes.1 = number << 10,
            _ => {}
        }
    }
    sizes
}

fn key_and_number(line: &[u8]) -> Option<(&[u8], u64)> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (key, rest) = line.split_at(colon);
    let digits = rest.iter().skip(1).skip_while(|byte| byte.is_ascii_whitespace()).take_while(|b| b.is_ascii_digit());
    // Bounded so that a shift by 10 keeps every bit.
    let number = digits.fold(0_u64, |number, digit| {
        number.saturating_mul(10).saturating_add(u64::from(digit - b'0')).min(u64::MAX >> 10)
    });
    Some((key, number))
}

impl Account {
    pub(super) fn add(&mut self, pid: Pid, used: ProcessUse) {
        self.rough = self.rough.saturating_add(used.own).saturating_add(used.shared);
        self.processes.push((pid, used));
    }

    /// Those that hold anything, which one that has ended and was not waited for does not.
    pub(super) fn pids(&self) -> Vec<Pid> {
        self.processes.iter().filter(|(_, used)| used.own > 0).map(|&(pid, _)| pid).collect()
    }

    /// The sum in which a page that several processes share counts for each.
    pub(super) const fn rough(&self) -> u64 {
        self.rough
    }

    /// The sum in which shared pages count once. `files` is what is held in files in memory; those that are mapped are
    /// a part of the processes' shared memory too, so the larger of both counts. Small processes are not asked again.
    pub(super) fn exact(&self, proc: &OwnedFd, limit: u64, files: u64, buffer: &mut [u8]) -> u64 {
        let (mut own, mut shared) = (0_u64, 0_u64);
        for &(pid, used) in &self.processes {
            let large = used.own.saturating_add(used.shared) > limit / 512;
            let rollup = large.then(|| kernel_file::read(proc, path(pid, "smaps_rollup"), buffer).map(parse_rollup));
            let (one_own, one_shared) = match rollup {
                Some(Ok(sizes)) => sizes,
                Some(Err(Errno::NOENT | Errno::SRCH)) => (0, 0),
                // A process that made itself unreadable counts with all that it maps.
                Some(Err(_)) | None => (used.own, used.shared),
            };
            own = own.saturating_add(one_own);
            shared = shared.saturating_add(one_shared);
        }
        own.saturating_add(shared.max(files))
    }
}

/// Shared memory without a name (`memfd_create(2)`), which is in use while it is open, mapped or not.
#[derive(Debug)]
pub(super) struct Memfds {
    device: u64,
    baseline: u64,
}

impl Memfds {
    pub(super) fn new() -> io::Result<Self> {
        let own = rustix::fs::memfd_create(c"stockade", MemfdFlags::CLOEXEC)?;
        // All such files, and no others, are on one internal file system of the kernel.
        Ok(Self { device: rustix::fs::fstat(&own)?.st_dev, baseline: shared_memory() })
    }

    /// By how much the shared memory of the whole machine has grown: a reason to look closer, and the most that what cannot be
    /// looked at can hold.
    pub(super) fn grown_since_start(&self) -> u64 {
        shared_memory().saturating_sub(self.baseline)
    }

    /// Such files that the processes have open, each counted once.
    pub(super) fn open_in(&self, proc: &OwnedFd, pids: &[Pid]) -> io::Result<Open> {
        descriptors::bytes_open(proc, pids, |_, _, state| state.st_dev == self.device)
    }
}

/// Bytes of shared memory and files in memory on the whole machine (`sysinfo(2)`).
fn shared_memory() -> u64 {
    let info = rustix::system::sysinfo();
    info.sharedram.saturating_mul(u64::from(info.mem_unit.max(1)))
}

fn path(pid: Pid, file: &str) -> String {
    format!("{}/{file}", pid.as_raw_nonzero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_read() {
        let text = b"Name:\tRssAnon: 9 kB\nUmask:\t0022\nVmPTE:\t      4 kB\nVmSwap:\t  8 kB\nRssAnon:\t     16 kB\n\
            RssFile:\t   999 kB\nRssShmem:\t     32 kB\nThreads:\t7\n";
        assert_eq!(parse_status(text), ProcessUse { threads: 7, own: 28 << 10, shared: 32 << 10 });
        assert_eq!(parse_status(b"Name:\tzombie\nThreads:\t1\n"), ProcessUse { threads: 1, own: 0, shared: 0 });
        assert_eq!(parse_status(b"RssAnon: 99999999999999999999999 kB\n:\n\xff").own, u64::MAX << 10 >> 10 << 10);
    }

    #[test]
    fn proportional_sizes_are_read() {
        let text = b"55-7f ---p 00 00:00 0  [rollup]\nRss: 9 kB\nPss: 50 kB\nPss_Anon:   20 kB\nPss_Shmem: 3 kB\nSwapPss: 2 kB\n";
        assert_eq!(parse_rollup(text), (22 << 10, 3 << 10));
    }

    #[test]
    fn open_memfds_are_found_once() {
        let memfds = Memfds::new().unwrap();
        let file = rustix::fs::memfd_create(c"test", MemfdFlags::CLOEXEC).unwrap();
        let second = file.try_clone().unwrap();
        let proc = super::super::processes::open_proc().unwrap();
        let before = memfds.open_in(&proc, &[rustix::process::getpid()]).unwrap().bytes;
        rustix::io::write(&second, &vec![1; 1 << 20]).unwrap();
        let after = memfds.open_in(&proc, &[rustix::process::getpid()]).unwrap().bytes;
        assert!((1 << 20..2 << 20).contains(&(after - before)), "{before} {after}");
    }

    #[test]
    fn the_larger_of_mapped_and_held_shared_memory_counts() {
        let proc = super::super::processes::open_proc().unwrap();
        let mut account = Account::default();
        account.add(rustix::process::getpid(), ProcessUse { threads: 1, own: 100, shared: 30 });
        assert_eq!(account.rough(), 130);
        assert_eq!(account.exact(&proc, u64::MAX, 10, &mut []), 130);
        assert_eq!(account.exact(&proc, u64::MAX, 50, &mut []), 150);
    }
}
