#![allow(unsafe_code, reason = "seccomp(2) has no safe wrapper")]
//! Installing a system-call filter (`seccomp(2)`).

use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};

use libc::{c_ulong, sock_filter, sock_fprog};

use super::clone::Cloned;

/// Installs a filter on the calling thread, for good; it is inherited by everything that the thread starts.
///
/// The thread must have `no_new_privs` set. With `listener`, calls that end in `SECCOMP_RET_USER_NOTIF` are put to
/// whoever serves the returned descriptor (`seccomp_unotify(2)`), which is close-on-exec. Once such a call has been
/// received, only a fatal signal interrupts it (from Linux 5.19 on), so that an answer is not lost to a timer.
///
/// # Errors
/// `EACCES` without `no_new_privs`; `EBUSY` when a filter with a listener is already installed; `EINVAL` for a program
/// that is empty, too long (4096 instructions) or invalid.
pub(crate) fn install(program: &[sock_filter], listener: bool) -> io::Result<Option<OwnedFd>> {
    if !listener {
        return set_mode_filter(program, 0).map(|_| None);
    }
    let with_wait = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    let result = match set_mode_filter(program, with_wait) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            set_mode_filter(program, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER)
        }
        other => other,
    };
    // SAFETY: with NEW_LISTENER the call returns a descriptor that it has just opened, and nobody else owns.
    result.map(|number| Some(unsafe { OwnedFd::from_raw_fd(number) }))
}

fn set_mode_filter(program: &[sock_filter], flags: c_ulong) -> io::Result<RawFd> {
    let len = u16::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let description = sock_fprog { len, filter: program.as_ptr().cast_mut() };
    // SAFETY: `description` names `len` instructions that outlive the call; the kernel copies and only reads them.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const description) };
    // A descriptor or 0: both fit.
    RawFd::try_from(result).ok().filter(|number| *number >= 0).ok_or_else(io::Error::last_os_error)
}

/// Whether calls can be put to a listener of this process's own.
///
/// The kernel has had listeners since 5.0, but a process can have one only (`seccomp_unotify(2)`), and a sandbox around
/// this process may hold it. That cannot be asked for, so where filters are in force a listener is tried out in a process
/// made for it.
pub(crate) fn can_notify() -> bool {
    let action: u32 = libc::SECCOMP_RET_USER_NOTIF;
    // SAFETY: the call reads the four bytes of `action`, which outlives it.
    let known = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) == 0 };
    known && (!is_filtered() || a_listener_can_be_had())
}

/// Whether a filter is in force. One that refuses the question is in force.
pub(crate) fn is_filtered() -> bool {
    // SAFETY: this option takes no pointers.
    unsafe { libc::prctl(libc::PR_GET_SECCOMP) != 0 }
}

/// Installs a filter with a listener, which allows everything, in a process of its own; `false` where even that cannot be
/// made.
fn a_listener_can_be_had() -> bool {
    let allow_all = [sock_filter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW }];
    match super::clone::clone(0, None) {
        // Only system calls from here to the end: this may be a copy of a process with several threads.
        Ok(Cloned::Child) => {
            let installed = rustix::thread::set_no_new_privs(true).is_ok()
                && set_mode_filter(&allow_all, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER).is_ok();
            super::clone::exit_now(i32::from(!installed))
        }
        Ok(Cloned::Parent { pidfd, .. }) => super::clone::wait_for(pidfd.as_fd()).is_ok_and(|status| status == Some(0)),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    //! Filters in force. A filter binds one thread, so each test installs its own in a thread that ends with the test.

    use std::os::fd::AsRawFd;
    use std::sync::mpsc;
    use std::thread;

    use libc::c_long;
    use stockade_spec::plan::{FileObservation, NetworkFilter, SystemCallFilter};

    use super::*;
    use crate::seccomp::{Architecture, Kind, meaning, program, refusal};
    use crate::sys::notify::{AddDescriptor, Listener, Notification};

    fn filter(notify: bool) -> SystemCallFilter {
        SystemCallFilter {
            nested_namespaces: false,
            notify,
            network: NetworkFilter::Private,
            files: FileObservation { trace_writes: false, trace_reads: false, deny: vec![], protect: vec![] },
            decide_signals: false,
            keep_processors: false,
        }
    }

    fn native(filter: &SystemCallFilter) -> Vec<sock_filter> {
        program(Architecture::native().unwrap(), filter)
    }

    /// A call as the kernel answers it: its value, or an error number below zero. Only for calls whose pointers, if any,
    /// are null or belong to `'static` data.
    fn call(number: c_long, arguments: [c_long; 5]) -> c_long {
        let [a, b, c, d, e] = arguments;
        // SAFETY: the callers pass no pointer that the kernel could write through.
        let result = unsafe { libc::syscall(number, a, b, c, d, e) };
        if result == -1 { -c_long::from(io::Error::last_os_error().raw_os_error().unwrap()) } else { result }
    }

    fn no_new_privileges() {
        rustix::thread::set_no_new_privs(true).unwrap();
    }

    const ALLOWED_PAIR: [c_long; 5] = [libc::AF_UNIX as c_long, libc::SOCK_STREAM as c_long, 0, 0, 0];

    /// Calls with the answers of a filter that reports nothing.
    fn quiet_cases() -> Vec<(&'static str, c_long, [c_long; 5], i32)> {
        let high = 0x7fff_0000_0000_0000;
        vec![
            ("bpf", libc::SYS_bpf, [0; 5], libc::EPERM),
            ("mount", libc::SYS_mount, [0; 5], libc::EPERM),
            ("keyctl", libc::SYS_keyctl, [0; 5], libc::EPERM),
            ("io_uring_setup", libc::SYS_io_uring_setup, [0; 5], libc::EPERM),
            ("perf_event_open", libc::SYS_perf_event_open, [0; 5], libc::EPERM),
            ("setns", libc::SYS_setns, [-1, 0, 0, 0, 0], libc::EPERM),
            ("clone3", libc::SYS_clone3, [0; 5], libc::ENOSYS),
            ("clone with a namespace", libc::SYS_clone, [0x1000_0000 | 17, 0, 0, 0, 0], libc::EPERM),
            ("unshare with a namespace", libc::SYS_unshare, [0x1000_0000 | high, 0, 0, 0, 0], libc::EPERM),
            ("raw socket", libc::SYS_socket, [2, 3, 1, 0, 0], libc::EPERM),
            ("packet socket", libc::SYS_socket, [17 | high, 3, 0, 0, 0], libc::EAFNOSUPPORT),
            ("crypto socket", libc::SYS_socket, [38, 5, 0, 0, 0], libc::EAFNOSUPPORT),
            ("netlink audit", libc::SYS_socket, [16, 3, 9, 0, 0], libc::EAFNOSUPPORT),
            ("TIOCSTI", libc::SYS_ioctl, [0, 0x5412 | high, 0, 0, 0], libc::EPERM),
            ("personality", libc::SYS_personality, [0x40_0000, 0, 0, 0, 0], libc::EPERM),
            ("PR_SET_MM", libc::SYS_prctl, [35, 0, 0, 0, 0], libc::EPERM),
            ("unknown prctl", libc::SYS_prctl, [1000, 0, 0, 0, 0], libc::EINVAL),
            ("unknown call", 999, [0; 5], libc::ENOSYS),
        ]
    }

    #[test]
    fn a_quiet_filter_refuses_by_itself() {
        thread::spawn(|| {
            no_new_privileges();
            assert!(install(&native(&filter(false)), false).unwrap().is_none());
            for (name, number, arguments, errno) in quiet_cases() {
                assert_eq!(call(number, arguments), -c_long::from(errno), "{name}");
            }
            let socket = call(libc::SYS_socket, ALLOWED_PAIR);
            assert!(socket >= 0);
            assert_eq!(call(libc::SYS_close, [socket, 0, 0, 0, 0]), 0);
            assert_eq!(call(libc::SYS_personality, [0xffff_ffff, 0, 0, 0, 0]), 0);
            assert!(call(libc::SYS_getppid, [0; 5]) > 0);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_bad_program_is_not_installed() {
        thread::spawn(|| {
            no_new_privileges();
            assert_eq!(install(&[], false).unwrap_err().raw_os_error(), Some(libc::EINVAL));
            assert_eq!(install(&[], true).unwrap_err().raw_os_error(), Some(libc::EINVAL));
            assert_eq!(call(libc::SYS_unshare, [0; 5]), 0);
        })
        .join()
        .unwrap();
    }

    /// Runs `work` under a listening filter in a thread, and answers each of its `questions` with `answer`.
    fn ask<T: Send + 'static>(
        work: impl FnOnce() -> T + Send + 'static,
        questions: usize,
        mut answer: impl FnMut(&Listener, &Notification),
    ) -> T {
        let (sender, receiver) = mpsc::channel();
        let worker = thread::spawn(move || {
            no_new_privileges();
            sender.send(install(&native(&filter(true)), true).unwrap().unwrap()).unwrap();
            work()
        });
        let listener = Listener::new(receiver.recv().unwrap()).unwrap();
        let mut last = None;
        for _ in 0..questions {
            let notification = loop {
                if let Some(notification) = listener.receive().unwrap() {
                    break notification;
                }
            };
            assert!(listener.is_valid(notification.id).unwrap());
            answer(&listener, &notification);
            last = Some(notification.id);
        }
        let result = worker.join().unwrap();
        if let Some(id) = last {
            assert!(!listener.is_valid(id).unwrap());
            assert!(!listener.respond_errno(id, libc::EPERM).unwrap());
        }
        result
    }

    #[test]
    fn questions_are_answered_with_errors_values_and_go_on() {
        let mut seen = Vec::new();
        let work = || {
            [
                call(libc::SYS_bpf, [11, 12, 13, 14, 15]),
                call(libc::SYS_bpf, [0; 5]),
                call(libc::SYS_connect, [-1, 0, 0, 0, 0]),
                call(libc::SYS_socket, [2, 3, 1, 0, 0]),
            ]
        };
        let results = ask(work, 4, |listener, asked| {
            let number = seen.len();
            seen.push(*asked);
            let delivered = match number {
                0 => listener.respond_errno(asked.id, libc::EXDEV),
                1 => listener.respond_value(asked.id, 77),
                2 => listener.respond_continue(asked.id),
                _ => listener.respond_errno(asked.id, refusal(asked.arch, asked.number, &asked.arguments)),
            };
            assert!(delivered.unwrap());
        });
        // The kernel itself, let go on, finds the descriptor of the third call closed.
        assert_eq!(results, [-18, 77, -9, -1]);
        assert_eq!(seen[0].arguments[..5], [11, 12, 13, 14, 15]);
        assert_ne!(seen[0].pid, 0);
        assert_ne!(seen[0].instruction_pointer, 0);
        let meanings = seen.iter().map(|asked| meaning(asked.arch, asked.number));
        let kinds: Vec<_> = meanings.map(|meaning| (meaning.name, meaning.kind)).collect();
        let expected =
            [("bpf", Kind::Forbidden), ("bpf", Kind::Forbidden), ("connect", Kind::Connect), ("socket", Kind::Socket)];
        assert_eq!(kinds, expected);
    }

    #[test]
    fn a_descriptor_can_be_the_answer() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let how = AddDescriptor { number: None, close_on_exec: true, answer: true };
        let work = || call(libc::SYS_socket, [2, 3, 1, 0, 0]);
        let mut added = None;
        let result = ask(work, 1, |listener, asked| {
            added = listener.add_descriptor(asked.id, std::os::fd::AsFd::as_fd(&writer), how).unwrap();
        });
        assert_eq!(Some(result), added.map(c_long::from));
        assert_ne!(result, c_long::from(writer.as_raw_fd()));
        drop(writer);
        // SAFETY: the kernel opened this descriptor for the thread that has ended, in the shared table; nobody owns it.
        let copy = unsafe { OwnedFd::from_raw_fd(RawFd::try_from(result).unwrap()) };
        assert_eq!(rustix::io::fcntl_getfd(&copy).unwrap(), rustix::io::FdFlags::CLOEXEC);
        rustix::io::write(&copy, b"x").unwrap();
        let mut buffer = [0; 8];
        assert_eq!(rustix::io::read(&reader, &mut buffer).unwrap(), 1);
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_other_entries_of_the_processor_are_reported() {
        let work = || {
            let mut i386: i64 = 20;
            // SAFETY: number 20 of i386 is `getpid`, which takes and changes nothing; the filter refuses it anyway. The
            // entry clobbers r8 to r11 on old kernels.
            unsafe {
                std::arch::asm!("int 0x80", inout("rax") i386, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
            }
            (i386, call(0x4000_0000 | libc::SYS_getpid, [0; 5]))
        };
        let mut kinds = Vec::new();
        let results = ask(work, 2, |listener, asked| {
            kinds.push(meaning(asked.arch, asked.number));
            let errno = refusal(asked.arch, asked.number, &asked.arguments);
            assert!(listener.respond_errno(asked.id, errno).unwrap());
        });
        assert!(kinds.iter().all(|meaning| meaning.kind == Kind::ForeignArchitecture), "{kinds:?}");
        // The i386 entry returns 32 bits, whose extension is the kernel's business.
        let i386 = u32::try_from(results.0 & 0xffff_ffff).unwrap().cast_signed();
        assert_eq!((i386, results.1), (-libc::ENOSYS, -c_long::from(libc::ENOSYS)));
    }

    #[test]
    fn only_one_listener_can_be_installed() {
        let work = || install(&native(&filter(true)), true).unwrap_err().raw_os_error();
        assert_eq!(ask(work, 0, |_, _| ()), Some(libc::EBUSY));
    }

    #[test]
    fn a_listener_in_use_is_found_out() {
        assert!(can_notify());
        let under_another_filter = thread::spawn(|| {
            no_new_privileges();
            install(&native(&filter(false)), false).unwrap();
            (is_filtered(), can_notify())
        });
        assert_eq!(under_another_filter.join().unwrap(), (true, true));
        let under_a_listener = thread::spawn(|| {
            no_new_privileges();
            let listener = install(&native(&filter(true)), true).unwrap();
            let found = can_notify();
            drop(listener);
            found
        });
        assert!(!under_a_listener.join().unwrap());
    }
}
