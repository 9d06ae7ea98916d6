#![allow(unsafe_code, reason = "close_range(2) and descriptor numbers are outside what io-safety can express")]
//! Closing what was inherited, and placing the standard streams.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// Closes every descriptor of the process but standard input, output, error and the ones to `keep`.
///
/// The stage owns nothing else from here on: objects of the copied supervisor that still hold descriptor numbers are
/// never dropped, since the stage ends by `_exit(2)` or `execve(2)`.
pub(crate) fn close_all_but(keep: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut numbers: Vec<RawFd> = keep.iter().map(AsRawFd::as_raw_fd).filter(|&fd| fd > 2).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut first: libc::c_uint = 3;
    for number in numbers {
        let number = libc::c_uint::try_from(number).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
        if number > first {
            close_range(first, number - 1)?;
        }
        first = number + 1;
    }
    close_range(first, libc::c_uint::MAX)
}

fn close_range(first: libc::c_uint, last: libc::c_uint) -> io::Result<()> {
    // SAFETY: closing descriptors cannot corrupt memory; the caller keeps the ones that are still used.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Makes `source` the descriptor `number` as well, inherited by programs.
pub(crate) fn place(source: BorrowedFd<'_>, number: RawFd) -> io::Result<()> {
    if source.as_raw_fd() == number {
        // dup2 onto itself would leave close-on-exec set.
        return Ok(rustix::io::fcntl_setfd(source, rustix::io::FdFlags::empty())?);
    }
    // SAFETY: `source` is open; whatever `number` was is closed, which the caller wants for 0, 1 and 2.
    if unsafe { libc::dup2(source.as_raw_fd(), number) } == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
