//! The thread whose system call waits for an answer: its memory, its files, its identity.
//!
//! A thread can be killed while the supervisor looks at it, and its id can be given to another one. So everything that
//! is read is used only if the notification is still valid afterwards (`seccomp_unotify(2)`).

use std::cell::{OnceCell, RefCell};
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::rc::Rc;

use rustix::fs::{CWD, Mode, OFlags, fstat, openat, readlinkat, stat};
use rustix::io::Errno;
use rustix::process::{PidfdGetfdFlags, pidfd_getfd};
use stockade_spec::report::ProcessRef;

use super::callers::{Caller, Callers};
use super::process::{self, Standing, Status};
use crate::sys::notify::{Listener, Notification};
use crate::sys::{memory, user_namespace};

/// Longest path that the kernel takes, with its NUL, in bytes.
pub(super) const PATH_MAX: usize = 4096;

/// The thread that asks.
#[derive(Debug)]
pub(super) struct Asker<'a> {
    listener: &'a Listener,
    notification: &'a Notification,
    callers: &'a RefCell<Callers>,
    status: OnceCell<Status>,
    caller: OnceCell<Rc<Caller>>,
}

impl<'a> Asker<'a> {
    pub(super) fn new(listener: &'a Listener, notification: &'a Notification, callers: &'a RefCell<Callers>) -> Self {
        Self { listener, notification, callers, status: OnceCell::new(), caller: OnceCell::new() }
    }

    /// Id of the thread on the host.
    pub(super) fn thread(&self) -> u32 {
        self.notification.pid
    }

    /// One of the six arguments.
    pub(super) fn argument(&self, at: usize) -> u64 {
        self.notification.arguments.get(at).copied().unwrap_or(0)
    }

    /// An argument of which the kernel reads the low half as a signed number: descriptors, process ids.
    #[expect(clippy::cast_possible_truncation, reason = "the kernel ignores the high half")]
    pub(super) fn number(&self, at: usize) -> i32 {
        self.argument(at) as i32
    }

    /// The same as an unsigned number: flags, modes, families.
    #[expect(clippy::cast_possible_truncation, reason = "the kernel ignores the high half")]
    pub(super) fn bits(&self, at: usize) -> u32 {
        self.argument(at) as u32
    }

    /// Fails with `ESRCH` when the thread no longer waits, so that what was read may be another's.
    fn still_waiting(&self) -> Result<(), Errno> {
        match self.listener.is_valid(self.notification.id) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Errno::SRCH),
            Err(error) => Err(errno(&error)),
        }
    }

    /// A text in the thread's memory, at most [`PATH_MAX`] bytes with its NUL.
    pub(super) fn text(&self, address: u64) -> Result<Vec<u8>, Errno> {
        let text = memory::read_text(self.thread(), address, PATH_MAX).map_err(|error| errno(&error))?;
        self.still_waiting()?;
        Ok(text)
    }

    /// Bytes of the thread's memory, all of them or `EFAULT`. The caller bounds `length`.
    pub(super) fn bytes(&self, address: u64, length: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; length];
        if length > 0 && memory::read(self.thread(), address, &mut bytes).map_err(|error| errno(&error))? != length {
            return Err(Errno::FAULT);
        }
        self.still_waiting()?;
        Ok(bytes)
    }

    /// Writes into the thread's memory, all of it or `EFAULT`.
    ///
    /// The memory is opened before the thread is known to be still there, so that it is never another's.
    pub(super) fn put(&self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        let path = format!("/proc/{}/mem", self.thread());
        let memory = openat(CWD, path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        self.still_waiting()?;
        match rustix::io::pwrite(&memory, bytes, address) {
            Ok(count) if count == bytes.len() => Ok(()),
            // The kernel says `EIO` of addresses where nothing is (`proc_pid_mem(5)`).
            Ok(_) | Err(Errno::IO | Errno::INVAL) => Err(Errno::FAULT),
            Err(error) => Err(error),
        }
    }

    /// The thread's root directory, opened as a place (`O_PATH`).
    pub(super) fn root(&self) -> Result<OwnedFd, Errno> {
        self.open_link("root")
    }

    /// Its working directory.
    pub(super) fn directory(&self) -> Result<OwnedFd, Errno> {
        self.open_link("cwd")
    }

    /// What one of its descriptors is open on, as a place.
    pub(super) fn opened(&self, descriptor: i32) -> Result<OwnedFd, Errno> {
        if descriptor < 0 {
            return Err(Errno::BADF);
        }
        self.open_link(&format!("fd/{descriptor}"))
            .map_err(|error| if error == Errno::NOENT { Errno::BADF } else { error })
    }

    /// The path of its working directory, as seen from its root.
    pub(super) fn directory_path(&self) -> Result<PathBuf, Errno> {
        let text = readlinkat(CWD, format!("/proc/{}/cwd", self.thread()), Vec::new())?;
        self.still_waiting()?;
        Ok(PathBuf::from(OsString::from_vec(text.into_bytes())))
    }

    /// Whether its user namespace is the supervisor's own, or one that was made in that: the sandbox's. One that a
    /// program has made lies deeper.
    pub(super) fn is_in_first_user_namespace(&self) -> Result<bool, Errno> {
        let path = format!("/proc/{}/ns/user", self.thread());
        let namespace = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        self.still_waiting()?;
        let own = stat("/proc/self/ns/user")?.st_ino;
        if fstat(&namespace)?.st_ino == own {
            return Ok(true);
        }
        let parent = user_namespace::parent(namespace.as_fd()).map_err(|error| errno(&error))?;
        Ok(fstat(&parent)?.st_ino == own)
    }

    fn open_link(&self, name: &str) -> Result<OwnedFd, Errno> {
        let opened =
            openat(CWD, format!("/proc/{}/{name}", self.thread()), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        self.still_waiting()?;
        Ok(opened)
    }

    /// A copy of one of its descriptors, sharing the open file.
    ///
    /// Before Linux 6.9, threads of one process that do not share their descriptors are not told apart: the copy is the first
    /// thread's.
    pub(super) fn duplicate(&self, descriptor: i32) -> Result<OwnedFd, Errno> {
        if let Some(seen) = self.seen() {
            match copy(&seen, descriptor) {
                Err(Errno::SRCH) => self.callers.borrow_mut().forget(self.thread()),
                outcome => {
                    // Every outcome but that one means that the thread of the handle lives.
                    self.caller.get_or_init(|| seen);
                    return outcome;
                }
            }
        }
        copy(self.caller()?, descriptor)
    }

    /// Who was seen under its number before, unless it is known already who it is.
    fn seen(&self) -> Option<Rc<Caller>> {
        if self.caller.get().is_some() { None } else { self.callers.borrow().seen(self.thread()) }
    }

    /// Its handle.
    fn caller(&self) -> Result<&Caller, Errno> {
        if let Some(caller) = self.caller.get() {
            return Ok(caller);
        }
        let living = self.callers.borrow_mut().living(self.thread());
        let caller = match living {
            Some(caller) => caller,
            None => {
                let opened = Rc::new(Caller::open(self.thread(), || Ok(self.status()?.process))?);
                self.still_waiting()?;
                self.callers.borrow_mut().keep(&opened);
                opened
            }
        };
        Ok(self.caller.get_or_init(|| caller))
    }

    /// What `/proc` says of it; read once.
    pub(super) fn status(&self) -> Result<&Status, Errno> {
        if let Some(status) = self.status.get() {
            return Ok(status);
        }
        let status = process::status(self.thread()).map_err(|error| errno(&error))?;
        self.still_waiting()?;
        Ok(self.status.get_or_init(|| status))
    }

    /// How its process stands among the others.
    pub(super) fn standing(&self) -> Result<Standing, Errno> {
        let standing = process::standing(self.thread()).map_err(|error| errno(&error))?;
        self.still_waiting()?;
        Ok(standing)
    }

    /// Its process, for a report; `None` when it is gone.
    pub(super) fn process(&self) -> Option<ProcessRef> {
        let caller = self.caller().ok()?;
        let name = caller.name(|| self.still_waiting()).ok()?;
        Some(ProcessRef { pid: caller.process, name })
    }
}

fn copy(caller: &Caller, descriptor: i32) -> Result<OwnedFd, Errno> {
    pidfd_getfd(&caller.handle, descriptor, PidfdGetfdFlags::empty())
}

/// The error number of an error, or `EIO` for one that the kernel did not name.
pub(super) fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
