//! Threads that have asked before: what does not change about them is found out once.
//!
//! The number of a thread alone names nobody, since the kernel gives it to another thread later. A handle of a thread
//! (`pidfd_open(2)`) names the same one for ever, and no other thread has that one's number for as long as it lives. So a
//! handle that was opened while its thread waited for an answer, and whose thread still lives after a question under that
//! number was received, is a handle of whoever asks.

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::asker::errno;
use super::share;

/// Threads that are remembered. Each takes two descriptors.
const MOST_KEPT: usize = 32;
/// For how many descriptors that the supervisor may open one is remembered.
const PARTS: usize = 32;

/// Longest name of a program, with its end of line (`proc_pid_comm(5)`).
const LONGEST_NAME: usize = 65;

/// A thread that asks.
#[derive(Debug)]
pub(super) struct Caller {
    thread: u32,
    /// Id of its process on the host.
    pub(super) process: u32,
    /// Of the thread itself where `is_exact`, otherwise of its process.
    pub(super) handle: OwnedFd,
    is_exact: bool,
    /// The name of the process, which may change; open from when it is first asked for.
    name: OnceCell<File>,
}

impl Caller {
    /// Opens handles. `process` finds the process of a thread that is not the first of its process.
    pub(super) fn open(thread: u32, process: impl FnOnce() -> Result<u32, Errno>) -> Result<Self, Errno> {
        let caller = |process, handle, is_exact| Self { thread, process, handle, is_exact, name: OnceCell::new() };
        // Most threads that ask are the first of their process, so this is tried before /proc is read.
        if let Ok(handle) = open(thread, PidfdFlags::empty()) {
            return Ok(caller(thread, handle, true));
        }
        let process = process()?;
        // Since Linux 6.9.
        match open(thread, PidfdFlags::from_bits_retain(libc::PIDFD_THREAD)) {
            Ok(handle) => Ok(caller(process, handle, true)),
            Err(_) => Ok(caller(process, open(process, PidfdFlags::empty())?, false)),
        }
    }

    /// Whether the thread, or its process where the handle is of that, lives.
    fn lives(&self) -> bool {
        let mut polled = [PollFd::new(&self.handle, PollFlags::IN)];
        poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ended| ended == 0)
    }

    /// What its process is called now. `confirm` says whether the thread still waits: the name's file is opened by a number.
    pub(super) fn name(&self, confirm: impl FnOnce() -> Result<(), Errno>) -> Result<String, Errno> {
        let file = match self.name.get() {
            Some(file) => file,
            None => {
                let file = File::open(format!("/proc/{}/comm", self.process)).map_err(|error| errno(&error))?;
                confirm()?;
                self.name.get_or_init(|| file)
            }
        };
        let mut name = [0; LONGEST_NAME];
        let length = file.read_at(&mut name, 0).map_err(|error| errno(&error))?;
        Ok(String::from_utf8_lossy(name[..length].trim_ascii_end()).into_owned())
    }
}

/// A handle; without flags an error for the number of any thread but the first of its process.
fn open(number: u32, flags: PidfdFlags) -> Result<OwnedFd, Errno> {
    let number = i32::try_from(number).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
    pidfd_open(number, flags)
}

/// Threads that have asked, the last ones; the oldest is forgotten first.
#[derive(Debug, Default)]
pub(super) struct Callers(VecDeque<Rc<Caller>>);

impl Callers {
    /// Who was last seen under a number. Whether that one lives is not known.
    pub(super) fn seen(&self, thread: u32) -> Option<Rc<Caller>> {
        self.0.iter().find(|caller| caller.thread == thread).cloned()
    }

    /// Who has a number: a thread that was seen under it and lives.
    pub(super) fn living(&mut self, thread: u32) -> Option<Rc<Caller>> {
        let seen = self.seen(thread)?;
        if seen.lives() {
            return Some(seen);
        }
        self.forget(thread);
        None
    }

    /// Whoever was seen under a number has ended.
    pub(super) fn forget(&mut self, thread: u32) {
        self.0.retain(|caller| caller.thread != thread);
    }

    /// Remembers a thread, of which is known that it was waiting when its handle was open.
    pub(super) fn keep(&mut self, caller: &Rc<Caller>) {
        if !caller.is_exact {
            return;
        }
        self.forget(caller.thread);
        if self.0.len() >= share::of_descriptors(PARTS, MOST_KEPT) {
            self.0.pop_front();
        }
        self.0.push_back(Rc::clone(caller));
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn caller(thread: u32) -> Rc<Caller> {
        Rc::new(Caller::open(thread, || panic!("it is the first thread")).unwrap())
    }

    #[test]
    fn a_thread_that_has_ended_is_not_taken_for_the_next_one_with_its_number() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let number = child.id();
        let mut callers = Callers::default();
        callers.keep(&caller(number));
        assert_eq!(callers.living(number).unwrap().process, number);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(callers.seen(number).is_some());
        assert!(callers.living(number).is_none() && callers.seen(number).is_none());
    }

    #[test]
    fn names_are_those_of_now() {
        let own = caller(std::process::id());
        let before = std::fs::read_to_string("/proc/self/comm").unwrap();
        assert_eq!(own.name(|| Ok(())).unwrap(), before.trim_end());
        std::fs::write("/proc/self/comm", "another").unwrap();
        let name = own.name(|| panic!("it is open already"));
        std::fs::write("/proc/self/comm", before).unwrap();
        assert_eq!(name.unwrap(), "another");
    }

    #[test]
    fn a_name_that_may_be_anothers_is_not_kept() {
        let own = caller(std::process::id());
        assert_eq!(own.name(|| Err(Errno::SRCH)), Err(Errno::SRCH));
        assert!(own.name.get().is_none());
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut callers = Callers::default();
        let process = std::process::id();
        for number in 0..=u32::try_from(MOST_KEPT).unwrap() {
            let handle = open(process, PidfdFlags::empty()).unwrap();
            let caller = Caller { thread: number, process, handle, is_exact: true, name: OnceCell::new() };
            callers.keep(&Rc::new(caller));
        }
        assert!(callers.seen(0).is_none() && callers.seen(1).is_some() && callers.0.len() == MOST_KEPT);
        let handle = open(process, PidfdFlags::empty()).unwrap();
        callers.keep(&Rc::new(Caller { thread: 77, process, handle, is_exact: false, name: OnceCell::new() }));
        assert!(callers.seen(77).is_none());
    }
}
