#![allow(unsafe_code, reason = "signal masks, dispositions and signalfd(2) have no safe wrapper")]
//! Signals as descriptors (`signalfd(2)`), and the signal state that a program starts with.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// A set of blocked signals that are read from a descriptor instead; restores the mask when dropped.
#[derive(Debug)]
pub(crate) struct Signals {
    descriptor: OwnedFd,
    previous: Mask,
}

/// A signal mask.
#[derive(Clone, Copy)]
pub(crate) struct Mask(libc::sigset_t);

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mask")
    }
}

impl Mask {
    fn of(signals: &[i32]) -> Self {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigemptyset initialises the set; sigaddset refuses numbers that are no signals.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for &signal in signals {
                libc::sigaddset(set.as_mut_ptr(), signal);
            }
            Self(set.assume_init())
        }
    }

    /// Every signal, except those that the C library keeps for itself.
    pub(crate) fn all() -> Self {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigfillset initialises the set.
        unsafe {
            libc::sigfillset(set.as_mut_ptr());
            Self(set.assume_init())
        }
    }

    /// The mask of the calling thread.
    pub(crate) fn current() -> io::Result<Self> {
        Self::of(&[]).change(libc::SIG_BLOCK)
    }

    /// Makes this the mask of the calling thread and returns the previous one.
    pub(crate) fn install(self) -> io::Result<Self> {
        self.change(libc::SIG_SETMASK)
    }

    fn change(self, how: i32) -> io::Result<Self> {
        let mut previous = MaybeUninit::uninit();
        // SAFETY: both sets live through the call, which initialises `previous` when it succeeds.
        unsafe {
            match libc::pthread_sigmask(how, &raw const self.0, previous.as_mut_ptr()) {
                0 => Ok(Self(previous.assume_init())),
                error => Err(io::Error::from_raw_os_error(error)),
            }
        }
    }
}

impl Signals {
    /// Blocks `signals` and opens a non-blocking descriptor that yields them.
    pub(crate) fn block(signals: &[i32]) -> io::Result<Self> {
        let mask = Mask::of(signals);
        let previous = mask.change(libc::SIG_BLOCK)?;
        // SAFETY: the mask lives through the call.
        let descriptor = unsafe { libc::signalfd(-1, &raw const mask.0, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if descriptor == -1 {
            let error = io::Error::last_os_error();
            previous.install()?;
            return Err(error);
        }
        // SAFETY: a new descriptor that nothing else owns.
        Ok(Self { descriptor: unsafe { OwnedFd::from_raw_fd(descriptor) }, previous })
    }

    /// The mask from before.
    pub(crate) const fn previous(&self) -> Mask {
        self.previous
    }

    /// The descriptor, for polling.
    pub(crate) const fn descriptor(&self) -> &OwnedFd {
        &self.descriptor
    }

    /// The next pending signal's number, if there is one.
    pub(crate) fn next(&self) -> io::Result<Option<i32>> {
        let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
        let size = size_of::<libc::signalfd_siginfo>();
        // SAFETY: the buffer has the size given.
        let read = unsafe { libc::read(self.descriptor.as_raw_fd(), info.as_mut_ptr().cast(), size) };
        if read == -1 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error) };
        }
        // SAFETY: signalfd(2) returns whole structs only.
        Ok(i32::try_from(unsafe { info.assume_init() }.ssi_signo).ok())
    }
}

/// Whether the process ignores a signal, as `nohup` and shells that start something in the background arrange it.
pub(crate) fn is_ignored(signal: i32) -> io::Result<bool> {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action nothing is changed; `action` lives through the call, which initialises it when it
    // succeeds.
    unsafe {
        match libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) {
            0 => Ok(action.assume_init().sa_sigaction == libc::SIG_IGN),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // The mask was valid before, so it can be installed again; there is nobody to tell if not.
        drop(self.previous.install());
    }
}

/// Gives SIGPIPE its default disposition back, which the Rust runtime takes away. `execve(2)` resets handlers by itself,
/// and what the caller ignores (SIGHUP under `nohup`) stays ignored, as natively.
pub(crate) fn reset_dispositions() {
    // SAFETY: SIG_DFL is a valid disposition.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// Stops the calling process, as its terminal's Ctrl-Z would have, until it is continued. Where nobody could continue it, since
/// its process group is orphaned, the kernel does not stop it (POSIX, "General Terminal Interface"). The calling thread is to block
/// SIGTSTP, and does so afterwards.
pub(crate) fn stop_self() {
    // SAFETY: raise(3) has no preconditions.
    unsafe { libc::raise(libc::SIGTSTP) };
    // Both masks are valid, so that neither change can fail.
    drop(Mask::of(&[libc::SIGTSTP]).change(libc::SIG_UNBLOCK).and_then(Mask::install));
}
