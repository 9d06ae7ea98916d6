//! Finding the processes of a sandbox, under the numbers by which the caller can reach them.
//!
//! Two views are put together. The sandbox's own `/proc` lists every process of its namespace, under inner numbers; a process
//! that is there while the list is read is in it, since the kernel goes by rising numbers. The caller's `/proc` knows the outer
//! numbers, and which process started which, which leads from init to all others, but may miss some while they
//! move. So the second finds, and the first says whether all were found.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Dev, OFlags};
use rustix::io::Errno;
use rustix::process::Pid;

use super::error::{FreezeError, Named};
use super::maps::{self, Files};
use super::status::{self, Namespace};
use super::unseen::{self, Ground, Unseen};
use crate::limits::kernel_file;
use crate::limits::sampler::processes::{descendants, numbered};

/// Where a sandbox's processes are looked for.
#[derive(Debug)]
pub(super) struct Inside {
    /// The first process of the sandbox, as the caller sees it.
    init: Pid,
    /// The caller's own processes inside besides that, by both numbers.
    own: BTreeMap<u32, u32>,
    /// The sandbox's `/proc`.
    inner: OwnedFd,
    /// The caller's.
    outer: OwnedFd,
}

/// A process that was found, its directory held: whoever gets its number later is not taken for it.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) inside: u32,
    pub(super) directory: OwnedFd,
}

/// Which processes are looked at to find those of the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Those that init and its descendants have started: quick.
    Descendants,
    /// All that the caller sees: also those that somebody has sent into the namespace, and where the kernel does not list
    /// children (`CONFIG_PROC_CHILDREN`), or the caller may not look at init (`hidepid` of `proc(5)`).
    Everything,
}

/// What was found, and what stands in the way of more: a process that cannot be looked at.
#[derive(Debug)]
pub(super) struct Found<T> {
    pub(super) found: T,
    pub(super) obstacle: Option<FreezeError>,
}

impl Inside {
    pub(super) fn new(init: Pid, inner: BorrowedFd<'_>) -> Result<Self, FreezeError> {
        let failed = |error| FreezeError::call("open `/proc`", error);
        let inner = inner.try_clone_to_owned().map_err(|error| FreezeError::call("open `/proc`", error))?;
        let outer = kernel_file::open(CWD, "/proc", OFlags::RDONLY | OFlags::DIRECTORY).map_err(failed)?;
        Ok(Self { init, own: BTreeMap::new(), inner, outer })
    }

    /// Takes what init has started by now for the caller's own.
    pub(super) fn spare_started(&mut self) -> Result<(), FreezeError> {
        let failed = |error: std::io::Error| FreezeError::call("list what the first process has started", error);
        for pid in numbers(&descendants(&self.outer, self.init).map_err(failed)?) {
            let directory = kernel_file::open(&self.outer, pid.to_string(), OFlags::RDONLY | OFlags::DIRECTORY);
            let standing = directory.and_then(|directory| status::standing(directory.as_fd()));
            let standing = standing.map_err(|error| failed(error.into()))?;
            self.own.insert(pid, standing.process_inside);
        }
        Ok(())
    }

    fn is_own(&self, inside: u32) -> bool {
        inside == 1 || self.own.values().any(|own| *own == inside)
    }

    /// The inner numbers of all processes but init and those that have ended. Those in `alive` are taken to be.
    pub(super) fn listed(&self, alive: &BTreeSet<u32>) -> Result<BTreeSet<u32>, FreezeError> {
        let all =
            numbered(&self.inner).map_err(|error| FreezeError::call("list the processes of the sandbox", error))?;
        let mut listed = BTreeSet::new();
        for inside in numbers(&all).into_iter().filter(|&inside| !self.is_own(inside)) {
            let is_alive = alive.contains(&inside)
                || match self.listed_process(inside)? {
                    Some(process) => !process.has_ended()?,
                    None => false,
                };
            if is_alive {
                listed.insert(inside);
            }
        }
        Ok(listed)
    }

    /// The namespace of these processes; `None` where all of them have ended.
    pub(super) fn namespace(&self, listed: &BTreeSet<u32>) -> Found<Option<Namespace>> {
        let mut obstacle = None;
        for process in listed.iter().filter_map(|&inside| self.listed_process(inside).transpose()) {
            let namespace = process.map(|process| (status::namespace(process.directory.as_fd()), process));
            match namespace {
                Ok((Ok(namespace), _)) => return Found { found: Some(namespace), obstacle: None },
                Ok((Err(Errno::NOENT | Errno::SRCH), _)) => {}
                Ok((Err(_), process)) => obstacle = Some(FreezeError::NotPermitted { process: process.named() }),
                Err(error) => obstacle = Some(error),
            }
        }
        Found { found: None, obstacle }
    }

    /// The files of a workspace that processes but the caller's own may change unseen.
    pub(super) fn unseen(&self, workspace: &Path) -> Result<Unseen, FreezeError> {
        let init = self.listed_process(1)?;
        let ground = init.and_then(|init| Ground::open(init.directory.as_fd(), workspace, self.outer.as_fd()).ok());
        let (device, mut files) = (ground.as_ref().map_or(0, Ground::device), Files::new());
        for inside in self.listed(&BTreeSet::new())? {
            let process = self.listed_process(inside)?;
            process.map_or(Ok(()), |process| process.add_shared(device, &mut files))?;
        }
        let under_way = unseen::is_under_way(self.outer.as_fd());
        Ok(Unseen { under_way, ..Unseen::of(files, ground.as_ref()) })
    }

    /// A process by its inner number; `None` where there is none. One that cannot be opened, as when the caller has too many
    /// files open, is not passed over.
    fn listed_process(&self, inside: u32) -> Result<Option<Process>, FreezeError> {
        match kernel_file::open(&self.inner, inside.to_string(), OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(directory) => Ok(Some(Process { pid: 0, inside, directory })),
            Err(Errno::NOENT | Errno::SRCH) => Ok(None),
            Err(error) => Err(FreezeError::call("look at a process of the sandbox", error)),
        }
    }

    /// The processes of the namespace, but init. Of those in `known`, the inner number is known already.
    pub(super) fn processes(
        &self,
        reach: Reach,
        namespace: Namespace,
        known: &BTreeMap<u32, u32>,
    ) -> Result<Found<Vec<Process>>, FreezeError> {
        let candidates = match reach {
            Reach::Descendants => descendants(&self.outer, self.init)
                .map_err(|error| FreezeError::call("list what the first process has started", error))?,
            Reach::Everything => {
                numbered(&self.outer).map_err(|error| FreezeError::call("list all processes", error))?
            }
        };
        let (mut found, mut obstacle) = (Vec::new(), None);
        let others = |pid: &u32| Some(*pid) != number(self.init) && !self.own.contains_key(pid);
        for pid in numbers(&candidates).into_iter().filter(others) {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let Ok(directory) = kernel_file::open(&self.outer, pid.to_string(), flags) else { continue };
            let mut process = Process { pid, inside: 0, directory };
            match known.get(&pid) {
                Some(&inside) => process.inside = inside,
                None => match process.identify(namespace) {
                    Ok(true) => {}
                    // What cannot be looked at and was started by init is one that cannot be stopped either. Of the
                    // others, most are none of ours.
                    Err(Errno::ACCESS | Errno::PERM) if reach == Reach::Descendants && !process.has_ended()? => {
                        obstacle = Some(FreezeError::NotPermitted { process: process.named() });
                        continue;
                    }
                    _ => continue,
                },
            }
            found.push(process);
        }
        Ok(Found { found, obstacle })
    }
}

impl Process {
    /// Whether it is of the namespace; notes its inner number.
    fn identify(&mut self, namespace: Namespace) -> rustix::io::Result<bool> {
        if status::namespace(self.directory.as_fd())? != namespace {
            return Ok(false);
        }
        self.inside = status::standing(self.directory.as_fd())?.process_inside;
        Ok(true)
    }

    /// Its threads.
    pub(super) fn threads(&self) -> Result<Vec<u32>, FreezeError> {
        let tasks = kernel_file::open(&self.directory, "task", OFlags::RDONLY | OFlags::DIRECTORY);
        match tasks.and_then(numbered) {
            Ok(threads) => Ok(numbers(&threads)),
            Err(Errno::NOENT | Errno::SRCH) => Ok(Vec::new()),
            Err(error) => Err(FreezeError::call("list the threads of a process of the sandbox", error)),
        }
    }

    /// Adds the files of its shared mappings. A thread that has ended has none, and may be the first of several.
    fn add_shared(&self, device: Dev, files: &mut Files) -> Result<(), FreezeError> {
        let failed = |error| FreezeError::call("read what a process of the sandbox has mapped", error);
        if self.add_shared_of("maps", device, files).map_err(failed)? {
            return Ok(());
        }
        for thread in self.threads()? {
            if self.add_shared_of(&format!("task/{thread}/maps"), device, files).map_err(failed)? {
                break;
            }
        }
        Ok(())
    }

    /// The same by one of its files; `false` where that tells of nothing.
    fn add_shared_of(&self, name: &str, device: Dev, files: &mut Files) -> io::Result<bool> {
        let opened = kernel_file::open(&self.directory, name, OFlags::RDONLY).map_err(io::Error::from);
        match opened.and_then(|file| maps::add(BufReader::new(File::from(file)), device, files)) {
            Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::NOENT | Errno::SRCH)) => Ok(false),
            other => other,
        }
    }

    /// The directory of one of its threads; `None` where it has none of that number.
    pub(super) fn thread(&self, thread: u32) -> Result<Option<OwnedFd>, FreezeError> {
        let path = format!("task/{thread}");
        match kernel_file::open(&self.directory, path, OFlags::PATH | OFlags::DIRECTORY) {
            Ok(directory) => Ok(Some(directory)),
            Err(Errno::NOENT | Errno::SRCH) => Ok(None),
            Err(error) => Err(FreezeError::call("look at a thread of the sandbox", error)),
        }
    }

    /// Whether it has ended with all of its threads. The first may end before the others.
    fn has_ended(&self) -> Result<bool, FreezeError> {
        let letter = status::letter(self.directory.as_fd())
            .map_err(|error| FreezeError::call("look at a process of the sandbox", error))?;
        if !status::has_ended(letter) {
            return Ok(false);
        }
        Ok(letter.is_none() || self.threads()?.len() <= 1)
    }

    pub(super) fn named(&self) -> Named {
        status::named(self.pid, self.inside, self.directory.as_fd())
    }
}

fn number(pid: Pid) -> Option<u32> {
    u32::try_from(pid.as_raw_nonzero().get()).ok()
}

fn numbers(pids: &[Pid]) -> Vec<u32> {
    pids.iter().copied().filter_map(number).collect()
}
