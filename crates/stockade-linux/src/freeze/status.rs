//! What `/proc` says of threads (`proc_pid_stat(5)`, `proc_pid_status(5)`), as far as freezing needs it.
//!
//! Names come from hostile code; they are read only to be shown.

use std::os::fd::BorrowedFd;

use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::error::Named;
use crate::limits::kernel_file;

/// Which process namespace: device and inode of its file.
pub(super) type Namespace = (u64, u64);

/// The process namespace of the process whose `/proc` directory this is.
pub(super) fn namespace(process: BorrowedFd<'_>) -> rustix::io::Result<Namespace> {
    let status = rustix::fs::statat(process, "ns/pid", AtFlags::empty())?;
    Ok((status.st_dev, status.st_ino))
}

/// The letter for what a thread does, by its directory; `None` where it has gone.
pub(super) fn letter(thread: BorrowedFd<'_>) -> rustix::io::Result<Option<u8>> {
    let mut buffer = [0; 1024];
    match kernel_file::read(thread, "stat", &mut buffer) {
        Ok(text) => Ok(letter_in(text)),
        Err(Errno::NOENT | Errno::SRCH) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The name is in parentheses and may hold anything, parentheses too; the last one ends it.
fn letter_in(text: &[u8]) -> Option<u8> {
    let end = text.iter().rposition(|&byte| byte == b')')?;
    text.get(end + 2).copied()
}

/// Whether a thread with that letter has ended.
pub(super) const fn has_ended(letter: Option<u8>) -> bool {
    matches!(letter, None | Some(b'Z' | b'X' | b'x'))
}

/// Who traces a thread, and its number in its own process namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) tracer: u32,
    pub(super) process_inside: u32,
}

/// How a thread stands, by its directory.
pub(super) fn standing(thread: BorrowedFd<'_>) -> rustix::io::Result<Standing> {
    let mut buffer = [0; kernel_file::SMALL];
    Ok(standing_in(kernel_file::read(thread, "status", &mut buffer)?))
}

/// The name comes first, but the kernel escapes line ends in it.
fn standing_in(text: &[u8]) -> Standing {
    let text = String::from_utf8_lossy(text);
    let last = |name: &str| {
        let field = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        field.split_ascii_whitespace().next_back()?.parse().ok()
    };
    Standing { tracer: last("TracerPid").unwrap_or(0), process_inside: last("NStgid").unwrap_or(0) }
}

/// Whether a thread waits for a process that it has started with `CLONE_VFORK` to execute a program: then it does nothing
/// before that one has. The kernel says in which of its functions a thread waits.
pub(super) fn waits_for_vfork(thread: BorrowedFd<'_>) -> bool {
    let mut buffer = [0; 64];
    let place = kernel_file::read(thread, "wchan", &mut buffer).unwrap_or_default().trim_ascii();
    // The second is a part of the first unless the compiler has kept it apart.
    matches!(place, b"kernel_clone" | b"wait_for_vfork_done")
}

/// What a process is called, by its directory.
pub(super) fn named(pid: u32, inside: u32, process: BorrowedFd<'_>) -> Named {
    let mut buffer = [0; 64];
    let name = kernel_file::read(process, "comm", &mut buffer).unwrap_or_default();
    let name = String::from_utf8_lossy(name.strip_suffix(b"\n").unwrap_or(name)).into_owned();
    Named { pid, inside, name: name.replace(char::is_control, "?") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_shift_nothing() {
        assert_eq!(letter_in(b"42 (a) S 1 (b) R 7 8 9"), Some(b'R'));
        assert_eq!(letter_in(b"42 (a"), None);
        assert_eq!(letter_in(b"42 (a)"), None);
        let text = b"Name:\tx\\nTracerPid:\t9\nTgid:\t500\nTracerPid:\t7\nNStgid:\t500\t30\nNSpid:\t501\t31\n";
        assert_eq!(standing_in(text), Standing { tracer: 7, process_inside: 30 });
        assert_eq!(standing_in(b"Name:\tx\n"), Standing::default());
    }

    #[test]
    fn this_thread_runs_and_is_not_traced() {
        let own = kernel_file::open(rustix::fs::CWD, "/proc/thread-self", rustix::fs::OFlags::PATH).unwrap();
        let own = std::os::fd::AsFd::as_fd(&own);
        assert_eq!(letter(own).unwrap(), Some(b'R'));
        assert_eq!(standing(own).unwrap().tracer, 0);
        assert!(!waits_for_vfork(own));
    }
}
