#![allow(unsafe_code, reason = "the ioctls of seccomp_unotify(2) have no safe wrapper")]
//! Questions of a system-call filter, and their answers (`seccomp_unotify(2)`).
//!
//! The structures are those of `include/uapi/linux/seccomp.h`. Their sizes are part of the ioctl numbers, so a kernel
//! with larger ones refuses these numbers rather than writing beyond the buffers.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use libc::{c_int, seccomp_notif, seccomp_notif_addfd, seccomp_notif_resp};

const _: () = assert!(size_of::<seccomp_notif>() == 80);
const _: () = assert!(size_of::<seccomp_notif_resp>() == 24);
const _: () = assert!(size_of::<seccomp_notif_addfd>() == 24);

/// `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`: hand the processor straight over between the two sides (Linux 6.6).
const SYNC_WAKE_UP: libc::c_ulong = 1;

/// The answering end of a filter that was installed with a listener.
#[derive(Debug)]
pub(crate) struct Listener {
    descriptor: OwnedFd,
}

/// One system call that waits for an answer.
///
/// The arguments cannot change any more; the memory that they point to can, at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Notification {
    /// Names the question in answers.
    pub(crate) id: u64,
    /// The calling thread, in the receiver's process namespace; 0 when it is not visible there.
    pub(crate) pid: u32,
    /// The call's number.
    pub(crate) number: i32,
    /// The entry through which it came (`AUDIT_ARCH_*`).
    pub(crate) arch: u32,
    /// The six arguments.
    pub(crate) arguments: [u64; 6],
    /// Where the caller was.
    pub(crate) instruction_pointer: u64,
}

/// How a descriptor is put into the calling process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AddDescriptor {
    /// The number that it gets, replacing what is there; otherwise the lowest free one.
    pub(crate) number: Option<u32>,
    /// Whether it is closed when the process executes a program.
    pub(crate) close_on_exec: bool,
    /// Whether its number is the call's result, which also answers the question (Linux 5.14).
    pub(crate) answer: bool,
}

impl Listener {
    /// Takes over the descriptor that installing a filter returned.
    pub(crate) fn new(descriptor: OwnedFd) -> io::Result<Self> {
        // SAFETY: the ioctl takes its flags by value and touches no memory.
        let result = unsafe { libc::ioctl(descriptor.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP) };
        match check(result) {
            // Older kernels do not know the request. It only makes answers faster.
            Err(error) if error.raw_os_error() != Some(libc::EINVAL) => Err(error),
            _ => Ok(Self { descriptor }),
        }
    }

    /// Takes the next question; to be called when the descriptor polls readable. None when the caller died meanwhile or
    /// a signal arrived: poll again. Without a question it blocks.
    pub(crate) fn receive(&self) -> io::Result<Option<Notification>> {
        let mut request = seccomp_notif {
            id: 0,
            pid: 0,
            flags: 0,
            data: libc::seccomp_data { nr: 0, arch: 0, instruction_pointer: 0, args: [0; 6] },
        };
        // SAFETY: the kernel writes one `seccomp_notif`, whose size the request number carries, into a zeroed one.
        let result = unsafe { libc::ioctl(self.number(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut request) };
        match check(result) {
            Ok(_) => Ok(Some(Notification {
                id: request.id,
                pid: request.pid,
                number: request.data.nr,
                arch: request.data.arch,
                arguments: request.data.args,
                instruction_pointer: request.data.instruction_pointer,
            })),
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINTR)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lets the call fail. False when the caller is gone (true of all answers).
    pub(crate) fn respond_errno(&self, id: u64, errno: i32) -> io::Result<bool> {
        self.respond(seccomp_notif_resp { id, val: 0, error: -errno, flags: 0 })
    }

    /// Lets the call return a value without being made.
    pub(crate) fn respond_value(&self, id: u64, value: i64) -> io::Result<bool> {
        self.respond(seccomp_notif_resp { id, val: value, error: 0, flags: 0 })
    }

    /// Lets the kernel make the call as if nobody had been asked.
    ///
    /// The kernel reads what the arguments point to once more, so this is no decision about paths or addresses: it is
    /// only for calls that are harmless whatever the memory holds by then, or that something else confines as well.
    pub(crate) fn respond_continue(&self, id: u64) -> io::Result<bool> {
        // The flag is 1; libc declares it wider than the structure's field.
        const CONTINUE: u32 = 1;
        const _: () = assert!(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE == 1);
        self.respond(seccomp_notif_resp { id, val: 0, error: 0, flags: CONTINUE })
    }

    /// Whether the question still waits. Asked after opening something by the caller's process id, a yes means that the
    /// id was not reused before.
    pub(crate) fn is_valid(&self, id: u64) -> io::Result<bool> {
        // SAFETY: the kernel only reads the eight bytes of `id`.
        let result = unsafe { libc::ioctl(self.number(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const id) };
        delivered(check(result))
    }

    /// Puts a copy of a descriptor into the calling process. Its number there, or none when the caller is gone.
    pub(crate) fn add_descriptor(
        &self,
        id: u64,
        source: BorrowedFd<'_>,
        how: AddDescriptor,
    ) -> io::Result<Option<c_int>> {
        let set = if how.number.is_some() { libc::SECCOMP_ADDFD_FLAG_SETFD } else { 0 };
        let send = if how.answer { libc::SECCOMP_ADDFD_FLAG_SEND } else { 0 };
        let request = seccomp_notif_addfd {
            id,
            flags: u32::try_from(set | send).expect("the flags are 1 and 2"),
            srcfd: source.as_raw_fd().cast_unsigned(),
            newfd: how.number.unwrap_or(0),
            newfd_flags: if how.close_on_exec { libc::O_CLOEXEC.cast_unsigned() } else { 0 },
        };
        // SAFETY: the kernel only reads one `seccomp_notif_addfd`; a closed source would be an error, not undefined.
        let result = unsafe { libc::ioctl(self.number(), libc::SECCOMP_IOCTL_NOTIF_ADDFD, &raw const request) };
        match check(result) {
            Ok(number) => Ok(Some(number)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn respond(&self, response: seccomp_notif_resp) -> io::Result<bool> {
        // SAFETY: the kernel only reads one `seccomp_notif_resp`.
        let result = unsafe { libc::ioctl(self.number(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw const response) };
        delivered(check(result))
    }

    fn number(&self) -> c_int {
        self.descriptor.as_raw_fd()
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

fn check(result: c_int) -> io::Result<c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// `ENOENT` means that the caller is gone, and with it the question.
fn delivered(result: io::Result<c_int>) -> io::Result<bool> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}
