//! The threads that are held, and what becomes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{CWD, OFlags};

use super::error::{FreezeError, Named};
use super::patience::Patience;
use super::status;
use crate::limits::kernel_file;
use crate::sys::ptrace::{self, State, ThreadId};

/// What became of a thread that was seized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// It was interrupted, and has not stopped yet.
    Pending,
    /// It has stopped, in front of this signal or none.
    Stopped(i32),
    /// It waits where it cannot go on.
    Waiting,
}

impl Held {
    /// What it is where the kernel does not say that it has stopped.
    const fn not_stopped(self) -> Self {
        match self {
            Self::Waiting => Self::Waiting,
            Self::Pending | Self::Stopped(_) => Self::Pending,
        }
    }
}

/// A thread that is held.
#[derive(Debug)]
struct Thread {
    process: u32,
    held: Held,
}

/// All that are held, by the thread that calls these methods.
#[derive(Debug)]
pub(super) struct Threads<'t> {
    /// Threads whose system calls the caller has in hand.
    in_hand: &'t [u32],
    /// Every number that was held at some time, for [`super::session`].
    told: &'t Mutex<Vec<u32>>,
    threads: BTreeMap<u32, Thread>,
}

impl<'t> Threads<'t> {
    pub(super) fn new(in_hand: &'t [u32], told: &'t Mutex<Vec<u32>>) -> Self {
        Self { in_hand, told, threads: BTreeMap::new() }
    }

    pub(super) fn contains(&self, thread: u32) -> bool {
        self.threads.contains_key(&thread)
    }

    pub(super) fn len(&self) -> usize {
        self.threads.len()
    }

    /// The processes of which a thread is held.
    pub(super) fn processes(&self) -> BTreeSet<u32> {
        self.threads.values().map(|thread| thread.process).collect()
    }

    /// Interrupts a thread that was seized.
    pub(super) fn hold(&mut self, process: u32, thread: u32) {
        self.threads.insert(thread, Thread { process, held: Held::Pending });
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        // One that has ended cannot be interrupted.
        ptrace::interrupt(id(thread)).ok();
    }

    /// Lets go of everything that has stopped; of the others, the kernel does when the calling thread ends.
    pub(super) fn let_go(&mut self) {
        for (&number, thread) in &self.threads {
            if let Held::Stopped(signal) = thread.held {
                // One that was killed meanwhile is not there any more.
                ptrace::detach(id(number), signal).ok();
            }
        }
        self.threads.clear();
    }

    /// Waits until every thread that was interrupted has stopped, has ended, or waits where it cannot go on. Says whether one
    /// turned out to be held no more. All are looked at, every time: what was known of one may be about another by now, since
    /// a thread that executes a program ends the others of its process, and goes by the number of the first.
    pub(super) fn settle(&mut self, patience: &mut Patience) -> Result<bool, FreezeError> {
        let mut has_changed = false;
        loop {
            has_changed |= self.update()?;
            self.find_waiting(patience.is_long());
            let Some(pending) = self.pending().next() else { return Ok(has_changed) };
            if patience.is_over() {
                return Err(busy(pending, patience.waited_ms()));
            }
            patience.pause();
        }
    }

    fn pending(&self) -> impl Iterator<Item = u32> {
        self.threads.iter().filter(|(_, thread)| thread.held == Held::Pending).map(|(&number, _)| number)
    }

    /// Asks the kernel what became of the threads. Says whether one is held no more.
    fn update(&mut self) -> Result<bool, FreezeError> {
        let failed = |source| FreezeError::call("wait for a process of the sandbox", source);
        let mut lost = Vec::new();
        for (&number, thread) in &mut self.threads {
            match ptrace::look(id(number)).map_err(failed)? {
                State::Running => thread.held = thread.held.not_stopped(),
                State::Stopped { signal } => {
                    let before = std::mem::replace(&mut thread.held, Held::Stopped(signal));
                    if signal == 0 && before != thread.held {
                        // It may have been killed meanwhile.
                        ptrace::restart_wait(id(number)).ok();
                    }
                }
                State::Ended => {
                    ptrace::bury(id(number)).map_err(failed)?;
                    lost.push(number);
                }
                State::NotTraced => lost.push(number),
            }
        }
        for number in &lost {
            self.threads.remove(number);
        }
        Ok(!lost.is_empty())
    }

    /// Finds out which of the threads that have not stopped wait where they cannot go on. One that has just been interrupted is
    /// given some time first.
    fn find_waiting(&mut self, is_long: bool) {
        for (number, thread) in &mut self.threads {
            let is_asked = thread.held == Held::Waiting || (is_long && thread.held == Held::Pending);
            if !is_asked {
                continue;
            }
            let Some(directory) = open(*number) else { continue };
            let waits = match status::letter(directory.as_fd()) {
                Ok(Some(b'D')) => self.in_hand.contains(number) || status::waits_for_vfork(directory.as_fd()),
                // The first thread of a process whose others go on: it is not told of before they have ended.
                Ok(Some(b'Z')) => true,
                _ => false,
            };
            thread.held = if waits { Held::Waiting } else { Held::Pending };
        }
    }
}

fn busy(thread: u32, waited_ms: u64) -> FreezeError {
    let process = match open(thread) {
        Some(directory) => {
            let inside = status::standing(directory.as_fd()).unwrap_or_default().process_inside;
            status::named(thread, inside, directory.as_fd())
        }
        None => Named { pid: thread, inside: 0, name: String::new() },
    };
    FreezeError::Busy { process, waited_ms }
}

/// The directory of a thread that is held, whose number is therefore its own.
fn open(thread: u32) -> Option<OwnedFd> {
    kernel_file::open(CWD, format!("/proc/{thread}"), OFlags::PATH | OFlags::DIRECTORY).ok()
}

/// The number as the system calls take it; those that `/proc` lists all fit.
pub(super) fn id(thread: u32) -> ThreadId {
    ThreadId::try_from(thread).unwrap_or(-1)
}
