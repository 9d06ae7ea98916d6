#![allow(unsafe_code, reason = "attacks are system calls that no library offers")]
//! System calls as an attacker makes them: by number, past every library.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// One argument of a system call.
#[derive(Debug)]
pub enum Arg<'a> {
    /// A number, never an address.
    Number(i64),
    /// Text that the kernel reads.
    Text(&'a CStr),
    /// Bytes that the kernel reads.
    In(&'a [u8]),
    /// Bytes that the kernel reads and writes; at least as many as the call's form asks for.
    Out(&'a mut [u8]),
    /// The null pointer, or zero.
    Null,
}

/// The calls that [`call`] makes. None of them takes a number for an address of this process to write to, moves memory or
/// makes a second thread on the same stack.
const CALLS: &[libc::c_long] = &[
    libc::SYS_ioctl,
    libc::SYS_kill,
    libc::SYS_ptrace,
    libc::SYS_setsid,
    libc::SYS_getpgid,
    libc::SYS_setpriority,
    libc::SYS_sched_setscheduler,
    libc::SYS_mknodat,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_mount_setattr,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_init_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_syslog,
    libc::SYS_personality,
    libc::SYS_prctl,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_shmget,
    libc::SYS_shmctl,
    libc::SYS_semget,
    libc::SYS_semctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    libc::SYS_mq_timedsend,
    libc::SYS_mq_timedreceive,
    libc::SYS_memfd_create,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_setxattr,
    libc::SYS_socket,
    libc::SYS_inotify_init1,
    libc::SYS_timer_create,
    libc::SYS_capset,
    libc::SYS_fcntl,
    libc::SYS_dup3,
    libc::SYS_prlimit64,
    libc::SYS_ftruncate,
];

/// Makes a system call.
///
/// # Errors
/// With the kernel's error, and for calls that are not in the list of this file.
pub fn call(number: libc::c_long, arguments: &mut [Arg<'_>]) -> io::Result<i64> {
    if !CALLS.contains(&number) || arguments.len() > 6 {
        return Err(io::Error::other(format!("system call {number} is not one that this suite makes")));
    }
    let mut words = [0_i64; 6];
    for (word, argument) in words.iter_mut().zip(arguments) {
        *word = match argument {
            Arg::Number(number) => *number,
            Arg::Text(text) => text.as_ptr() as i64,
            Arg::In(bytes) => bytes.as_ptr() as i64,
            Arg::Out(bytes) => bytes.as_mut_ptr() as i64,
            Arg::Null => 0,
        };
    }
    let [a, b, c, d, e, f] = words;
    // SAFETY: none of the listed calls takes a number as an address in this process, and what the pointers point to lives
    // until the call returns and is writable where the kernel writes.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A new descriptor from a call that makes one.
///
/// # Errors
/// As [`call`].
pub fn descriptor(number: libc::c_long, arguments: &mut [Arg<'_>]) -> io::Result<OwnedFd> {
    let made = RawFd::try_from(call(number, arguments)?).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made the descriptor for this process, and nothing else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(made) })
}

/// A file from a descriptor number that this process was started with.
#[must_use]
pub fn inherited(number: RawFd) -> File {
    // SAFETY: a number that is not open makes later calls fail with EBADF; each number is taken over once.
    unsafe { File::from_raw_fd(number) }
}

/// The calling process's id by way of the 32-bit entry (`int 0x80`, where `getpid` is 20).
#[cfg(target_arch = "x86_64")]
#[must_use]
pub fn pid_by_i386() -> i64 {
    let result: i64;
    // SAFETY: the 32-bit `getpid` takes no arguments and touches no memory; the entry keeps every register but these.
    unsafe {
        std::arch::asm!("int 0x80", inlateout("rax") 20_i64 => result,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("rcx") _);
    }
    result
}

/// The calling process's id by way of the x32 entry.
///
/// # Errors
/// Where the kernel has none.
#[cfg(target_arch = "x86_64")]
pub fn pid_by_x32() -> io::Result<i64> {
    // SAFETY: `getpid` takes no arguments and touches no memory, whichever entry it comes through.
    let result = unsafe { libc::syscall(libc::SYS_getpid | 0x4000_0000) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The first bytes of a System V shared memory segment.
///
/// # Errors
/// When it cannot be attached.
pub fn read_segment(id: i32, length: usize) -> io::Result<Vec<u8>> {
    // SAFETY: the kernel picks a free address; the segment is at least a page long, which `length` does not exceed.
    unsafe {
        let address = libc::shmat(id, std::ptr::null(), libc::SHM_RDONLY);
        if address as isize == -1 {
            return Err(io::Error::last_os_error());
        }
        let bytes = std::slice::from_raw_parts(address.cast::<u8>(), length.min(4_096)).to_vec();
        libc::shmdt(address);
        Ok(bytes)
    }
}

/// Writes the first bytes of a System V shared memory segment.
///
/// # Errors
/// When it cannot be attached.
pub fn write_segment(id: i32, content: &[u8]) -> io::Result<()> {
    // SAFETY: the kernel picks a free address; the segment is at least a page long, and no more is written.
    unsafe {
        let address = libc::shmat(id, std::ptr::null(), 0);
        if address as isize == -1 {
            return Err(io::Error::last_os_error());
        }
        std::ptr::copy_nonoverlapping(content.as_ptr(), address.cast::<u8>(), content.len().min(4_096));
        libc::shmdt(address);
    }
    Ok(())
}

/// Reads another process's memory (`process_vm_readv(2)`).
///
/// # Errors
/// When the kernel refuses.
pub fn read_process(pid: i32, address: usize, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0_u8; length];
    let local = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: length };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: length };
    // SAFETY: the local vector covers `bytes`; the remote one is only meaningful to the other process.
    let read = unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) };
    if read == -1 { Err(io::Error::last_os_error()) } else { Ok(bytes) }
}

/// Writes another process's memory (`process_vm_writev(2)`).
///
/// # Errors
/// When the kernel refuses.
pub fn write_process(pid: i32, address: usize, content: &[u8]) -> io::Result<()> {
    let local = libc::iovec { iov_base: content.as_ptr().cast_mut().cast(), iov_len: content.len() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: content.len() };
    // SAFETY: the kernel only reads the local vector; the remote one is only meaningful to the other process.
    let written = unsafe { libc::process_vm_writev(pid, &raw const local, 1, &raw const remote, 1, 0) };
    if written == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Installs a filter that lets everything pass and has a listener of its own (`seccomp_unotify(2)`).
///
/// # Errors
/// When the kernel refuses.
pub fn own_listener() -> io::Result<OwnedFd> {
    call(libc::SYS_prctl, &mut [Arg::Number(libc::PR_SET_NO_NEW_PRIVS.into()), Arg::Number(1)])?;
    let mut pass = libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW };
    let program = libc::sock_fprog { len: 1, filter: &raw mut pass };
    // SAFETY: the program holds one instruction, which lives until the call returns.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const program,
        )
    };
    let made = RawFd::try_from(result).map_err(io::Error::other)?;
    if made == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made the descriptor for this process.
    Ok(unsafe { OwnedFd::from_raw_fd(made) })
}

/// The most memory, in KiB, that any ended child of this process had at once (`getrusage(2)`), or a child's child.
#[must_use]
pub fn peak_memory_of_children() -> i64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the kernel writes at most one `rusage`, and a structure of zeroes is a valid one where it writes none.
    unsafe {
        libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr());
        usage.assume_init().ru_maxrss
    }
}
