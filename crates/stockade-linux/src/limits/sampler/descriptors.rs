//! What processes hold open, from `/proc/PID/fd`.

use std::collections::HashSet;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, OFlags, Stat};
use rustix::io::Errno;
use rustix::process::Pid;

use super::processes;
use crate::limits::kernel_file;

/// Descriptors that are looked at in one search.
const MAX_DESCRIPTORS: usize = 65_536;

/// File systems in memory (`statfs(2)`: tmpfs, with the files of `memfd_create(2)`, and hugetlbfs). Other limits bound these.
const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x9584_58f6];

/// Bytes of files that have no name left, and are there because one of the processes of a `/proc` has them open. Each counts once.
/// What is mapped and no longer open is not seen, nor what was sent through a socket and not yet taken, nor what a process has open
/// that made itself unreadable.
///
/// # Errors
/// When the processes cannot be listed.
pub fn nameless(proc: &OwnedFd) -> io::Result<u64> {
    nameless_of(proc, &processes::all(proc)?)
}

/// As [`nameless`], of these processes.
pub(super) fn nameless_of(proc: &OwnedFd, pids: &[Pid]) -> io::Result<u64> {
    let wanted = |directory: BorrowedFd<'_>, name: &CStr, state: &Stat| {
        state.st_nlink == 0
            && FileType::from_raw_mode(state.st_mode) == FileType::RegularFile
            && is_on_disk(directory, name)
    };
    Ok(bytes_open(proc, pids, wanted)?.bytes)
}

/// What was found to be open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) bytes: u64,
    /// Whether some process let nobody look: it has made itself unreadable (`PR_SET_DUMPABLE`), or its program is.
    pub(super) is_hidden: bool,
}

/// Bytes of the files that the processes have open and that are wanted, each counted once.
pub(super) fn bytes_open(
    proc: &OwnedFd,
    pids: &[Pid],
    wanted: impl Fn(BorrowedFd<'_>, &CStr, &Stat) -> bool,
) -> io::Result<Open> {
    let mut search = Search { wanted, seen: HashSet::new(), bytes: 0, left: MAX_DESCRIPTORS };
    let mut is_hidden = false;
    for &pid in pids {
        let path = format!("{}/fd", pid.as_raw_nonzero());
        match kernel_file::open(proc, path, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(directory) => search.look(directory.as_fd())?,
            // It has ended.
            Err(Errno::NOENT | Errno::SRCH) => {}
            Err(Errno::ACCESS | Errno::PERM) => is_hidden = true,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Open { bytes: search.bytes, is_hidden: is_hidden || search.left == 0 })
}

struct Search<W> {
    wanted: W,
    /// Device and number of those that were counted.
    seen: HashSet<(u64, u64)>,
    bytes: u64,
    left: usize,
}

impl<W: Fn(BorrowedFd<'_>, &CStr, &Stat) -> bool> Search<W> {
    fn look(&mut self, directory: BorrowedFd<'_>) -> rustix::io::Result<()> {
        let entries = match Dir::read_from(directory) {
            Err(Errno::NOENT | Errno::SRCH | Errno::ACCESS | Errno::PERM) => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let Ok(entry) = entry else { return Ok(()) };
            if self.left == 0 {
                return Ok(());
            }
            self.left -= 1;
            if let Ok(state) = rustix::fs::statat(directory, entry.file_name(), AtFlags::empty())
                && (self.wanted)(directory, entry.file_name(), &state)
                && self.seen.insert((state.st_dev, state.st_ino))
            {
                // Blocks of 512 bytes, whatever the file system's own are (inode(7)).
                let bytes = u64::try_from(state.st_blocks).unwrap_or(0).saturating_mul(512);
                self.bytes = self.bytes.saturating_add(bytes);
            }
        }
        Ok(())
    }
}

/// Whether what a descriptor leads to takes room on a disk. What cannot be told does.
fn is_on_disk(directory: BorrowedFd<'_>, name: &CStr) -> bool {
    let opened = kernel_file::open(directory, name, OFlags::PATH);
    let Ok(system) = opened.and_then(rustix::fs::fstatfs) else { return true };
    !IN_MEMORY.contains(&system.f_type)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn files_without_a_name_count_once_while_they_are_open() {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = folder.path().join("gone");
        let mut file = std::fs::File::create(&path).unwrap();
        file.write_all(&vec![1; 1 << 20]).unwrap();
        file.sync_all().unwrap();
        let second = file.try_clone().unwrap();
        let proc = processes::open_proc().unwrap();
        let own = [rustix::process::getpid()];
        let named = nameless_of(&proc, &own).unwrap();
        std::fs::remove_file(&path).unwrap();
        let gone = nameless_of(&proc, &own).unwrap();
        assert!((1 << 20..2 << 20).contains(&(gone - named)), "{named} {gone}");
        drop((file, second));
        assert!(nameless_of(&proc, &own).unwrap() < gone);
    }

    #[test]
    fn files_in_memory_are_not_on_disk() {
        let file = rustix::fs::memfd_create(c"test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::io::write(&file, &vec![1; 1 << 20]).unwrap();
        let directory =
            kernel_file::open(rustix::fs::CWD, "/proc/self/fd", OFlags::RDONLY | OFlags::DIRECTORY).unwrap();
        let name = std::ffi::CString::new(std::os::fd::AsRawFd::as_raw_fd(&file).to_string()).unwrap();
        assert!(!is_on_disk(directory.as_fd(), &name));
    }
}
