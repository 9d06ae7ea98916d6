//! Stopping every thread of a sandbox by `ptrace(2)`, where no control group can.
//!
//! A thread that is interrupted executes no further instruction of its program. Those that are found are seized and
//! interrupted, over and over, until a look finds no new one while all others stand still: then nobody is left who could
//! start one. What a seized thread starts is seized from its beginning, so that this takes two or three looks.
//!
//! Three kinds of threads cannot be made to stop there and then, and need not be. One that has started a process by
//! `vfork(2)` waits in the kernel until that one has executed a program, and it stops with the others. One whose system call the
//! caller itself has in hand waits for the answer. And one that another process inside traces and has stopped needs that
//! process, which has stopped as well, to go on. The first two are let go of when the tracing thread ends, whatever they
//! do then.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::sync::Mutex;

use super::error::{FreezeError, Named};
use super::held::{Threads, id};
use super::inside::{Inside, Process, Reach};
use super::patience::Patience;
use super::status::{self, Namespace};
use crate::sys::ptrace;

/// The most threads that are held.
const MAX_THREADS: usize = 32 << 10;

/// How often the threads of a process are tried to be seized where it is not clear why one was not.
const TRIES: u32 = 3;

/// Holds threads. All of its methods are called by one thread, which the kernel knows as the tracer.
#[derive(Debug)]
pub(super) struct Tracer<'t> {
    inside: &'t Inside,
    own: u32,
    threads: Threads<'t>,
    /// Processes of which a thread is held, with their inner numbers. Nobody else can get these numbers meanwhile.
    processes: BTreeMap<u32, u32>,
    patience: Patience,
}

/// What one look at all processes has found.
#[derive(Debug, Default)]
struct Look {
    /// The processes' inner numbers.
    found: BTreeSet<u32>,
    /// Whether a thread was seized that was not held before, or one is held no more.
    has_changed: bool,
    /// Threads that others trace.
    traced: Vec<Traced>,
    /// What stands in the way otherwise.
    obstacle: Option<FreezeError>,
}

/// A thread that another process traces.
#[derive(Debug)]
struct Traced {
    process: Named,
    tracer: u32,
    is_stopped: bool,
}

impl<'t> Tracer<'t> {
    pub(super) fn new(inside: &'t Inside, in_hand: &'t [u32], told: &'t Mutex<Vec<u32>>) -> Self {
        let own = rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs();
        let threads = Threads::new(in_hand, told);
        Self { inside, own, threads, processes: BTreeMap::new(), patience: Patience::new() }
    }

    /// Stops everything. After an error, what was stopped is still held.
    pub(super) fn stop_all(&mut self) -> Result<(), FreezeError> {
        let (mut reach, mut before) = (Reach::Descendants, BTreeSet::new());
        loop {
            let listed = self.inside.listed(&before)?;
            let mut look = self.look(reach, &listed)?;
            look.has_changed |= self.settle()?;
            let obstacle = self.obstacle(&mut look);
            // Whoever was started after the list was made was started by one that is on it, and those stand still.
            let is_complete = listed.is_subset(&look.found);
            if !look.has_changed && obstacle.is_none() && is_complete {
                return Ok(());
            }
            let is_hidden = !is_complete && obstacle.is_none();
            if self.patience.is_over_with(obstacle.is_some()) {
                let waited_ms = self.patience.waited_ms();
                return Err(obstacle.unwrap_or(FreezeError::Unstable { waited_ms }));
            }
            if look.has_changed {
                self.patience.refresh();
            } else {
                reach = if is_hidden { Reach::Everything } else { reach };
                self.patience.pause();
            }
            before = look.found;
        }
    }

    /// How many processes are held, and how many threads.
    pub(super) fn count(&self) -> (usize, usize) {
        (self.threads.processes().len(), self.threads.len())
    }

    /// Lets go of everything that has stopped; of the others, the kernel does when the calling thread ends.
    pub(super) fn let_go(&mut self) {
        self.threads.let_go();
    }

    /// Waits until all stand still. Says whether a thread turned out to be held no more.
    fn settle(&mut self) -> Result<bool, FreezeError> {
        let has_changed = self.threads.settle(&mut self.patience)?;
        if has_changed {
            let left = self.threads.processes();
            self.processes.retain(|process, _| left.contains(process));
        }
        Ok(has_changed)
    }

    /// Looks for processes and threads, and seizes those that are new.
    fn look(&mut self, reach: Reach, listed: &BTreeSet<u32>) -> Result<Look, FreezeError> {
        let mut look = Look::default();
        let namespace = self.inside.namespace(listed);
        look.obstacle = namespace.obstacle;
        let Some(namespace) = namespace.found else { return Ok(look) };
        self.look_in(reach, namespace, &mut look)?;
        Ok(look)
    }

    fn look_in(&mut self, reach: Reach, namespace: Namespace, look: &mut Look) -> Result<(), FreezeError> {
        let processes = self.inside.processes(reach, namespace, &self.processes)?;
        look.obstacle = processes.obstacle;
        for process in processes.found {
            look.found.insert(process.inside);
            look.obstacle = self.seize_all(&process, look)?.or(look.obstacle.take());
            if self.patience.is_over() {
                return Err(FreezeError::Unstable { waited_ms: self.patience.waited_ms() });
            }
        }
        Ok(())
    }

    /// Seizes the threads of a process that are not held yet. Returns what is in the way.
    fn seize_all(&mut self, process: &Process, look: &mut Look) -> Result<Option<FreezeError>, FreezeError> {
        let mut obstacle = None;
        for _ in 0..TRIES {
            obstacle = None;
            // The first thread comes last: seizing waits for a thread that executes a program, and finds the first one ended
            // then, but that one alive.
            for thread in process.threads()?.into_iter().rev() {
                if !self.threads.contains(thread) {
                    obstacle = obstacle.or(self.seize(process, thread, look)?);
                }
            }
            if obstacle.is_none() {
                break;
            }
        }
        Ok(obstacle)
    }

    fn seize(&mut self, process: &Process, thread: u32, look: &mut Look) -> Result<Option<FreezeError>, FreezeError> {
        if self.threads.len() == MAX_THREADS {
            return Err(FreezeError::TooMany(MAX_THREADS));
        }
        match ptrace::seize(id(thread)) {
            Ok(()) => self.seized(process, thread, look).map(|()| None),
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => self.refused(process, thread, look),
            Err(source) => Err(FreezeError::call("trace a process of the sandbox", source)),
        }
    }

    /// A thread was seized: from here on, nobody else gets its number. Before, somebody might have.
    fn seized(&mut self, process: &Process, thread: u32, look: &mut Look) -> Result<(), FreezeError> {
        if process.thread(thread)?.is_some() {
            self.hold(process, thread, look);
            return Ok(());
        }
        // A thread that executes a program takes the number of the first; seizing it has waited for that.
        let first = process.thread(process.pid)?.and_then(|first| status::standing(first.as_fd()).ok());
        if first.is_some_and(|first| first.tracer == self.own) {
            self.hold(process, process.pid, look);
            return Ok(());
        }
        // One that is none of ours. It is not stopped, and is let go of with the end of this thread.
        Err(FreezeError::Mistaken)
    }

    /// Interrupts a thread that this one traces.
    fn hold(&mut self, process: &Process, thread: u32, look: &mut Look) {
        self.threads.hold(process.pid, thread);
        self.processes.insert(process.pid, process.inside);
        look.has_changed = true;
    }

    /// A thread could not be seized: it has ended, it is traced, or it is forbidden, which is returned.
    fn refused(&mut self, process: &Process, thread: u32, look: &mut Look) -> Result<Option<FreezeError>, FreezeError> {
        let Some(directory) = process.thread(thread)? else { return Ok(None) };
        let failed = |error| FreezeError::call("look at a thread of the sandbox", error);
        let letter = status::letter(directory.as_fd()).map_err(failed)?;
        if status::has_ended(letter) {
            return Ok(None);
        }
        let Ok(standing) = status::standing(directory.as_fd()) else { return Ok(None) };
        match standing.tracer {
            // Unless another thread has taken the number meanwhile.
            0 => return Ok(Some(FreezeError::NotPermitted { process: process.named() })),
            // Started by a thread that is held; or held under another number, until it executed a program (`ptrace(2)`,
            // "execve(2) under ptrace").
            tracer if tracer == self.own => self.hold(process, thread, look),
            tracer => {
                let is_stopped = letter == Some(b't');
                look.traced.push(Traced { process: process.named(), tracer, is_stopped });
            }
        }
        Ok(None)
    }

    /// What keeps something from standing still. A thread that has stopped for a tracer stays that as long as the tracer does.
    fn obstacle(&self, look: &mut Look) -> Option<FreezeError> {
        let runs = |traced: &Traced| !traced.is_stopped || !self.threads.contains(traced.tracer);
        let traced = std::mem::take(&mut look.traced).into_iter().find(runs);
        let traced = traced.map(|traced| FreezeError::Traced { process: traced.process, tracer: traced.tracer });
        look.obstacle.take().or(traced)
    }
}
