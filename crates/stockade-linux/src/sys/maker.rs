#![allow(unsafe_code, reason = "a process that shares memory has no safe wrapper")]
//! A process that makes namespaces while this one goes on (`clone(2)` with `CLONE_VM`), and is then copied in its place.
//!
//! The kernel takes longer to make the namespaces than anything else takes before the command. The process that makes them
//! uses the memory of this one, so that the copy of it holds what this one has come to meanwhile.
//!
//! # Safety
//! Until it is told to copy itself, the maker makes system calls by way of rustix, which writes to nothing but its stack (the C
//! library would write to `errno`, which is this process's), and uses [`Shared`] and statics, which are atomic. From then until it answers,
//! this process waits, so that one of the two runs at a time. The copy is made of a process with one thread: [`Maker::start`] makes sure.

use std::ffi::c_void;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal};
use rustix::thread::{CpuSet, UnshareFlags, futex, sched_getaffinity, sched_getcpu, sched_setaffinity};

use super::clone::{ALL_NAMESPACES, Cloned, clone, exit_now, is_single_threaded, wait_for};
use super::signals::Mask;
use super::stack::Stack;

/// How long this process waits before it looks whether the maker is still there.
const LOOK_AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// The control-group namespace is not among these: it is made with the copy, since in it the maker could not put the copy into
/// a group of this process's choice.
const UNSHARED: i32 = ALL_NAMESPACES & !libc::CLONE_NEWCGROUP;

// What the maker has come to.
const MAKING: u32 = 0;
const MADE: u32 = 1;
const COPIED: u32 = 2;

// What it is told.
const NOTHING: u32 = 0;
const END: u32 = 1;
const COPY: u32 = 2;

/// What both processes look at.
#[derive(Debug)]
struct Shared {
    progress: AtomicU32,
    order: AtomicU32,
    /// Error numbers, 0 for success.
    namespaces: AtomicI32,
    made: [AtomicI32; STEPS],
    /// What is called for a copy.
    call: AtomicPtr<Call>,
    supervisor: Pid,
    /// Where the maker should run; empty where there is no choice.
    processors: CpuSet,
    user: u32,
    group: u32,
    steps: [Step; STEPS],
}

impl Shared {
    fn new(steps: [Step; STEPS]) -> io::Result<Self> {
        let mut processors = sched_getaffinity(None)?;
        processors.unset(sched_getcpu());
        Ok(Self {
            progress: AtomicU32::new(MAKING),
            order: AtomicU32::new(NOTHING),
            namespaces: AtomicI32::new(0),
            made: [const { AtomicI32::new(0) }; STEPS],
            call: AtomicPtr::new(ptr::null_mut()),
            supervisor: rustix::process::getpid(),
            processors,
            user: rustix::process::geteuid().as_raw(),
            group: rustix::process::getegid().as_raw(),
            steps,
        })
    }
}

/// Steps that follow the namespaces, in this order.
const STEPS: usize = 4;
/// A step of the maker, which is told the user and the group of the process that started it: in the new namespaces they have no
/// number until they are mapped.
pub(crate) type Step = fn(u32, u32) -> rustix::io::Result<()>;

/// What became of the steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made([i32; STEPS]);

impl Made {
    /// What became of one step.
    pub(crate) fn step(self, index: usize) -> io::Result<()> {
        match self.0.get(index) {
            Some(0) => Ok(()),
            Some(&errno) => Err(io::Error::from_raw_os_error(errno)),
            None => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

/// A maker. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Maker {
    pid: Option<Pid>,
    process: OwnedFd,
    shared: Arc<Shared>,
    _stack: Stack,
}

impl Maker {
    /// Starts one, in a process with one thread.
    ///
    /// # Errors
    /// Those of `mmap(2)` and `clone(2)`; `EBUSY` where there are several threads.
    pub(crate) fn start(steps: [Step; STEPS]) -> io::Result<Self> {
        if !is_single_threaded()? {
            return Err(io::Error::from_raw_os_error(libc::EBUSY));
        }
        let (shared, stack) = (Arc::new(Shared::new(steps)?), Stack::new()?);
        // No signal that is meant for this process, or for its whole group, is the maker's.
        let previous = Mask::all().install()?;
        let mut pidfd: RawFd = -1;
        let flags = libc::CLONE_VM | libc::CLONE_FILES | libc::CLONE_PIDFD | libc::SIGCHLD;
        let argument = Arc::as_ptr(&shared).cast_mut().cast();
        // SAFETY: `live` never returns, and runs on a stack of its own. Stack and argument are given back only when the process has
        // ended: a `Maker` sees to that. What the process does with the memory of this one is in the safety section above. The
        // kernel stores a descriptor in `pidfd`, which outlives the call.
        let result = unsafe { libc::clone(live, stack.end(), flags, argument, &raw mut pidfd) };
        let error = io::Error::last_os_error();
        let restored = previous.install();
        if result == -1 {
            return Err(error);
        }
        let pid = Pid::from_raw(result);
        // SAFETY: the call succeeded, so this is a new descriptor that nothing else owns.
        let maker = Self { pid, process: unsafe { OwnedFd::from_raw_fd(pidfd) }, shared, _stack: stack };
        restored?;
        send_to(maker.pid, &maker.shared.processors);
        Ok(maker)
    }

    /// Waits until the namespaces are there.
    ///
    /// # Errors
    /// Why they could not be made: those of `unshare(2)`.
    pub(crate) fn made(&self) -> io::Result<Made> {
        self.wait_while(MAKING)?;
        let shared = &self.shared;
        match shared.namespaces.load(Ordering::Relaxed) {
            0 => Ok(Made(shared.made.each_ref().map(|step| step.load(Ordering::Relaxed)))),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    }

    /// Copies this process into the namespaces, as a child of this process, and into a version 2 control group if one is given.
    /// The copy runs `run`. Both processes have `value`, as after `fork(2)`; the maker ends.
    ///
    /// # Errors
    /// Those of [`clone`].
    pub(crate) fn copy<T>(
        &self,
        value: T,
        run: fn(T) -> !,
        cgroup: Option<BorrowedFd<'_>>,
    ) -> io::Result<(T, Pid, OwnedFd)> {
        self.made()?;
        let (mask, processors) = (Mask::current()?, sched_getaffinity(None)?);
        let mut copying = Copying { value: ManuallyDrop::new(value), run, cgroup, mask, processors, copied: None };
        let mut call = Call { enter: enter_copy::<T>, argument: (&raw mut copying).cast() };
        self.shared.call.store(&raw mut call, Ordering::Relaxed);
        // This process is about to wait, so that the maker may as well go on here.
        send_to(self.pid, &processors);
        self.tell(COPY);
        // Where this fails the maker has ended, so that nobody uses `copying` but this process, either way.
        let answered = self.wait_while(MADE);
        let value = ManuallyDrop::into_inner(copying.value);
        answered?;
        let (pid, pidfd) = copying.copied.unwrap_or_else(|| Err(io::Error::from_raw_os_error(libc::ESRCH)))?;
        Ok((value, pid, pidfd))
    }

    fn tell(&self, order: u32) {
        self.shared.order.store(order, Ordering::Release);
        // Nobody waits where it has not come that far; it looks before it waits.
        drop(futex::wake(&self.shared.order, futex::Flags::PRIVATE, 1).map_err(io::Error::from));
    }

    /// Waits until it is no longer at `progress`; an error only where it ended there.
    fn wait_while(&self, progress: u32) -> io::Result<()> {
        let word = &self.shared.progress;
        while word.load(Ordering::Acquire) == progress {
            let waited = futex::wait(word, futex::Flags::PRIVATE, progress, Some(&LOOK_AGAIN));
            if waited == Err(rustix::io::Errno::TIMEDOUT) && self.has_ended() {
                // It may have come further just before it ended.
                let is_further = word.load(Ordering::Acquire) != progress;
                return if is_further { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) };
            }
        }
        Ok(())
    }

    fn has_ended(&self) -> bool {
        let mut set = [PollFd::new(&self.process, PollFlags::IN)];
        poll(&mut set, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        // Not killed, which could leave a descriptor behind in the table that both use.
        self.tell(END);
        // It is a child that nobody else waits for.
        drop(wait_for(self.process.as_fd()));
    }
}

/// A copy to be made, on the stack of the process that waits for it.
struct Copying<'c, T> {
    value: ManuallyDrop<T>,
    run: fn(T) -> !,
    cgroup: Option<BorrowedFd<'c>>,
    /// The mask of the process that waits, and where it may run: the maker has others.
    mask: Mask,
    processors: CpuSet,
    copied: Option<io::Result<(Pid, OwnedFd)>>,
}

/// The same without its type.
#[derive(Debug)]
struct Call {
    enter: unsafe fn(*mut c_void),
    argument: *mut c_void,
}

/// In the maker: makes the copy. Returns in the maker only.
///
/// # Safety
/// `argument` is a [`Copying`] of the same type that nobody else uses meanwhile.
unsafe fn enter_copy<T>(argument: *mut c_void) {
    // SAFETY: what the caller promises.
    let copying = unsafe { &mut *argument.cast::<Copying<'_, T>>() };
    match clone(libc::CLONE_PARENT | libc::CLONE_NEWCGROUP, copying.cgroup) {
        Ok(Cloned::Child) => {
            if copying.mask.install().is_err() || sched_setaffinity(None, &copying.processors).is_err() {
                exit_now(1);
            }
            // SAFETY: this is the copy's memory, in which the value is read this once and never dropped in place.
            let value = unsafe { ManuallyDrop::take(&mut copying.value) };
            (copying.run)(value)
        }
        Ok(Cloned::Parent { pid, pidfd }) => copying.copied = Some(Ok((pid, pidfd))),
        Err(error) => copying.copied = Some(Err(error)),
    }
}

/// The life of the maker.
extern "C" fn live(shared: *mut c_void) -> libc::c_int {
    // SAFETY: the process that started this one keeps it until this one has ended, and both use it by shared references only.
    let shared = unsafe { &*shared.cast_const().cast::<Shared>() };
    // The parent may have ended before this was said.
    let follows = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    if follows.is_err() || rustix::process::getppid() != Some(shared.supervisor) {
        exit_now(1);
    }
    send_to(None, &shared.processors);
    make(shared);
    progress(shared, MADE);
    if await_order(shared) == COPY {
        let call = shared.call.load(Ordering::Relaxed);
        // SAFETY: the order came after the pointer was stored, and the process that gave it waits until it is answered.
        unsafe { ((*call).enter)((*call).argument) };
        progress(shared, COPIED);
    }
    exit_now(0)
}

fn await_order(shared: &Shared) -> u32 {
    loop {
        match shared.order.load(Ordering::Acquire) {
            NOTHING => drop(futex::wait(&shared.order, futex::Flags::PRIVATE, NOTHING, None).map_err(io::Error::from)),
            order => return order,
        }
    }
}

/// Has the maker run on some processors: at first on others than the one on which it was made. Schedulers that save processors
/// leave it there, where one of the two processes would wait for the other. Both see to it, since either may go on first.
fn send_to(maker: Option<Pid>, processors: &CpuSet) {
    if processors.count() > 0 {
        // Where it cannot be sent, it stays.
        drop(sched_setaffinity(maker, processors).map_err(io::Error::from));
    }
}

fn make(shared: &Shared) {
    let flags = UnshareFlags::from_bits_retain(UNSHARED.cast_unsigned());
    // SAFETY: the table of descriptors, which is the one thing shared with the other process, stays as it is.
    if let Err(error) = unsafe { rustix::thread::unshare_unsafe(flags) } {
        shared.namespaces.store(error.raw_os_error(), Ordering::Relaxed);
        return;
    }
    for (step, made) in shared.steps.iter().zip(&shared.made) {
        let errno = step(shared.user, shared.group).err().map_or(0, rustix::io::Errno::raw_os_error);
        made.store(errno, Ordering::Relaxed);
    }
}

fn progress(shared: &Shared, progress: u32) {
    shared.progress.store(progress, Ordering::Release);
    // Whoever does not wait yet sees the value first.
    drop(futex::wake(&shared.progress, futex::Flags::PRIVATE, 1).map_err(io::Error::from));
}

#[cfg(test)]
mod tests {
    //! These run in a copy of the test program, which has several threads, made for them with one.

    use std::sync::atomic::AtomicU8;

    use super::*;

    /// Runs `test` in a process with one thread; its exit status.
    fn alone(test: fn() -> i32) -> Option<i32> {
        // SAFETY: fork(3) leaves the allocator usable in the copy, and `test` takes no other lock.
        match unsafe { libc::fork() } {
            0 => exit_now(test()),
            copy => {
                let copy = Pid::from_raw(copy).expect("a process");
                let pidfd =
                    rustix::process::pidfd_open(copy, rustix::process::PidfdFlags::empty()).expect("its descriptor");
                wait_for(pidfd.as_fd()).expect("it can be waited for")
            }
        }
    }

    fn pass(_user: u32, _group: u32) -> rustix::io::Result<()> {
        Ok(())
    }

    fn fail(_user: u32, _group: u32) -> rustix::io::Result<()> {
        Err(rustix::io::Errno::XDEV)
    }

    fn status_of(pidfd: &OwnedFd) -> i32 {
        wait_for(pidfd.as_fd()).ok().flatten().unwrap_or(99)
    }

    static WRITTEN: AtomicU8 = AtomicU8::new(0);

    #[test]
    fn the_copy_has_the_memory_of_the_time_when_it_is_made() {
        let status = alone(|| {
            let Ok(maker) = Maker::start([pass; STEPS]) else { return 90 };
            WRITTEN.store(7, Ordering::Relaxed);
            let Ok((value, _, pidfd)) =
                maker.copy(35_i32, |value| exit_now(value + i32::from(WRITTEN.load(Ordering::Relaxed))), None)
            else {
                return 91;
            };
            if value == 35 { status_of(&pidfd) } else { 92 }
        });
        assert_eq!(status, Some(42));
    }

    #[test]
    fn the_copy_is_a_child_of_the_starter_and_the_first_process_of_its_namespace() {
        let status = alone(|| {
            let Ok(maker) = Maker::start([pass; STEPS]) else { return 90 };
            let own = Mask::current().ok();
            let first = |_: Option<Mask>| -> ! { exit_now(rustix::process::getpid().as_raw_nonzero().get()) };
            let Ok((_, _, pidfd)) = maker.copy(own, first, None) else { return 91 };
            status_of(&pidfd)
        });
        assert_eq!(status, Some(1));
    }

    #[test]
    fn what_became_of_each_step_is_told() {
        let status = alone(|| {
            let Ok(maker) = Maker::start([pass, fail, pass, pass]) else { return 90 };
            let Ok(made) = maker.made() else { return 91 };
            let failed = made.step(1).err().and_then(|error| error.raw_os_error());
            i32::from(made.step(0).is_err()) + i32::from(made.step(2).is_err()) + i32::from(failed != Some(libc::EXDEV))
        });
        assert_eq!(status, Some(0));
    }

    #[test]
    fn one_that_was_killed_is_an_error_and_not_waited_for() {
        let status = alone(|| {
            let Ok(maker) = Maker::start([pass; STEPS]) else { return 90 };
            let killed = rustix::process::pidfd_send_signal(&maker.process, Signal::KILL);
            let copied = maker.copy((), |()| exit_now(0), None);
            i32::from(killed.is_err() || copied.is_ok())
        });
        assert_eq!(status, Some(0));
    }

    #[test]
    fn a_process_with_several_threads_gets_none() {
        let error = Maker::start([pass; STEPS]).expect_err("the test program has several threads");
        assert_eq!(error.raw_os_error(), Some(libc::EBUSY));
    }
}
