#![allow(unsafe_code, reason = "ptrace(2), and waitid(2) for threads that are traced, have no safe wrapper")]
//! Stopping single threads of other processes (`ptrace(2)`), in the way that was made for it: seized threads see no signal,
//! and their parents no stop.
//!
//! Every function works on threads that the calling thread traces; for others the kernel answers `ESRCH` or `ECHILD`. When
//! the calling thread ends, the kernel lets go of all of them.

use std::io;
use std::mem::MaybeUninit;

/// The number of a thread, as this process sees it.
pub(crate) type ThreadId = i32;

/// What a thread that is traced does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It has not stopped yet.
    Running,
    /// It has stopped, before it gets this signal if it is not 0.
    Stopped {
        /// To be handed to [`detach`].
        signal: i32,
    },
    /// It has ended, and its parent waits to be told ([`bury`]).
    Ended,
    /// The calling thread does not trace it (any more).
    NotTraced,
}

/// Begins to trace a thread, which goes on running. Processes and threads that it starts from then on are traced as well,
/// and stop before their first instruction; so does it itself when it starts one.
pub(crate) fn seize(thread: ThreadId) -> io::Result<()> {
    const OPTIONS: i32 = libc::PTRACE_O_TRACEFORK | libc::PTRACE_O_TRACEVFORK | libc::PTRACE_O_TRACECLONE;
    let options = libc::c_long::from(OPTIONS);
    // SAFETY: PTRACE_SEIZE takes options as its last argument and touches no memory of this process; a number that is no
    // thread's is an error.
    check(unsafe { libc::ptrace(libc::PTRACE_SEIZE, thread, 0_usize, options) })
}

/// Has a seized thread stop before it executes another instruction of its program.
pub(crate) fn interrupt(thread: ThreadId) -> io::Result<()> {
    // SAFETY: PTRACE_INTERRUPT takes no further argument and touches no memory of this process.
    check(unsafe { libc::ptrace(libc::PTRACE_INTERRUPT, thread, 0_usize, 0_usize) })
}

/// Lets go of a thread that has stopped, and delivers the signal that it was about to get.
pub(crate) fn detach(thread: ThreadId, signal: i32) -> io::Result<()> {
    let signal = libc::c_long::from(signal);
    // SAFETY: PTRACE_DETACH takes a signal's number as its last argument and touches no memory of this process.
    check(unsafe { libc::ptrace(libc::PTRACE_DETACH, thread, 0_usize, signal) })
}

fn check(result: libc::c_long) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// What a thread does that the calling one traces, without waiting. A stop stays to be seen (`WNOWAIT`): one that is not, the
/// kernel forgets the signal of, should this process end before it detaches.
pub(crate) fn look(thread: ThreadId) -> io::Result<State> {
    peek(thread, libc::__WNOTHREAD)
}

/// Takes note of a thread's end, if it has ended, which nobody is told of before: a thread of its process that executes a program
/// waits for it. Its number is free then. The first thread of a process is kept until the others have ended. Unlike the other
/// functions, this one is for every thread of this process.
pub(crate) fn bury(thread: ThreadId) -> io::Result<()> {
    // Asked for ends alone, the kernel tells of stops as well, and would forget them.
    if peek(thread, 0)? != State::Ended {
        return Ok(());
    }
    let id = libc::id_t::try_from(thread).map_err(|_| io::ErrorKind::InvalidInput)?;
    let options = libc::WEXITED | libc::WNOHANG | libc::__WALL;
    // SAFETY: without a place for the result, waitid(2) writes nothing.
    let result = unsafe { libc::waitid(libc::P_PID, id, std::ptr::null_mut(), options) };
    match io::Error::last_os_error() {
        // Another thread was faster.
        error if result == -1 && error.raw_os_error() != Some(libc::ECHILD) => Err(error),
        _ => Ok(()),
    }
}

fn peek(thread: ThreadId, options: i32) -> io::Result<State> {
    let Ok(id) = libc::id_t::try_from(thread) else { return Ok(State::NotTraced) };
    let options = options | libc::WSTOPPED | libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: the place for the result lives through the call, and is all zeros where there is none.
    if unsafe { libc::waitid(libc::P_PID, id, info.as_mut_ptr(), options) } == -1 {
        let error = io::Error::last_os_error();
        return if error.raw_os_error() == Some(libc::ECHILD) { Ok(State::NotTraced) } else { Err(error) };
    }
    // SAFETY: all zeros is a value of this type, and so is what waitid(2) stores; for its results these fields are set.
    let (pid, code, status) = unsafe {
        let info = info.assume_init();
        (info.si_pid(), info.si_code, info.si_status())
    };
    Ok(match code {
        _ if pid == 0 => State::Running,
        libc::CLD_TRAPPED | libc::CLD_STOPPED => State::Stopped { signal: pending(status) },
        _ => State::Ended,
    })
}

/// The signal that a thread was stopped in front of. Other stops have an event above the lowest byte: PTRACE_EVENT_STOP for those
/// by [`interrupt`] and those of a process that is stopped as a whole (`ptrace(2)`, "Group-stop"), others for those that have
/// started something.
const fn pending(status: i32) -> i32 {
    if status >> 8 == 0 { status } else { 0 }
}

/// Has a system call begin anew that the stop has ended with `EINTR` though its program gets no signal: that of some calls
/// which wait, with no time limit (`signal(7)`, "Interruption of system calls and library functions by stop signals"). Other
/// calls begin anew by themselves, and with a limit they would wait for too long.
#[cfg(target_arch = "x86_64")]
pub(crate) fn restart_wait(thread: ThreadId) -> io::Result<()> {
    /// Says to the kernel: begin anew, unless a handler is called (`include/linux/errno.h`).
    const ERESTARTNOHAND: i64 = 514;
    let mut registers = MaybeUninit::<libc::user_regs_struct>::uninit();
    // SAFETY: PTRACE_GETREGS ignores the third argument, and stores exactly such a structure at the last one when it succeeds.
    check(unsafe { libc::ptrace(libc::PTRACE_GETREGS, thread, 0_usize, registers.as_mut_ptr()) })?;
    // SAFETY: it succeeded.
    let registers = unsafe { registers.assume_init() };
    // Outside of a system call, `orig_rax` is -1.
    let is_interrupted = registers.rax.cast_signed() == -i64::from(libc::EINTR);
    if !is_interrupted || !waits_without_limit(&registers) {
        return Ok(());
    }
    let place = std::mem::offset_of!(libc::user_regs_struct, rax);
    // SAFETY: PTRACE_POKEUSER takes a place in the other process's registers and a value, and touches no memory of this one.
    check(unsafe { libc::ptrace(libc::PTRACE_POKEUSER, thread, place, -ERESTARTNOHAND) })
}

/// Whether the registers are those of a call that waits for as long as it takes. The arguments of a system call lie in `rdi`, `rsi`,
/// `rdx`, `r10`, `r8`, `r9` (`syscall(2)`).
#[cfg(target_arch = "x86_64")]
fn waits_without_limit(registers: &libc::user_regs_struct) -> bool {
    /// Bit 31: an `int` that is negative.
    const SIGN: u64 = 1 << 31;
    match registers.orig_rax.cast_signed() {
        libc::SYS_epoll_wait | libc::SYS_epoll_pwait => registers.r10 & SIGN != 0,
        libc::SYS_epoll_pwait2 | libc::SYS_semtimedop => registers.r10 == 0,
        libc::SYS_rt_sigtimedwait => registers.rdx == 0,
        libc::SYS_io_getevents => registers.r8 == 0,
        libc::SYS_semop => true,
        _ => false,
    }
}

/// Where the kernel does not show the first argument of a call that has ended, nothing can be done: the program sees `EINTR`, as
/// after SIGSTOP and SIGCONT.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn restart_wait(_: ThreadId) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_thread_stops_and_goes_on() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let thread = ThreadId::try_from(child.id()).unwrap();
        assert_eq!(interrupt(thread).unwrap_err().raw_os_error(), Some(libc::ESRCH));
        seize(thread).unwrap();
        assert_eq!(look(thread).unwrap(), State::Running);
        assert_eq!(seize(thread).unwrap_err().raw_os_error(), Some(libc::EPERM));
        interrupt(thread).unwrap();
        while look(thread).unwrap() == State::Running {}
        assert_eq!(look(thread).unwrap(), State::Stopped { signal: 0 });
        restart_wait(thread).unwrap();
        detach(thread, 0).unwrap();
        // It is a child of this process, and not traced any more.
        assert_eq!(look(thread).unwrap(), State::Running);
        assert_eq!(detach(thread, 0).unwrap_err().raw_os_error(), Some(libc::ESRCH));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(look(thread).unwrap(), State::NotTraced);
        assert_eq!(look(-1).unwrap(), State::NotTraced);
    }
}
