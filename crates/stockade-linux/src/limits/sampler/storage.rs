//! What private file systems and directories hold.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, RawMode};
use rustix::io::Errno;

use crate::limits::kernel_file;

/// Entries that are looked at in one call. A run that makes more files than this is bounded by what these hold.
const MAX_ENTRIES: usize = 100_000;

/// Directories that are open at once on the way down; deeper ones are not entered.
const MAX_DEPTH: usize = 64;

/// Bytes in use on the file system of `file`.
pub(super) fn in_use(file: &OwnedFd) -> io::Result<u64> {
    let state = rustix::fs::fstatvfs(file)?;
    Ok(state.f_blocks.saturating_sub(state.f_bfree).saturating_mul(state.f_frsize))
}

/// Bytes on disk below `directories`; counting ends where the sum exceeds `enough`.
pub(super) fn below(directories: &[OwnedFd], enough: u64) -> io::Result<u64> {
    let mut walk = Walk { bytes: 0, entries: 0, enough };
    for directory in directories {
        walk.enter(directory, 0)?;
    }
    Ok(walk.bytes)
}

/// Opens a directory that its owner may not read: who may not read it can have filled it before. Its permissions are as they were
/// afterwards; whoever looks meanwhile sees them wider, for the owner alone.
fn open_shut(directory: &OwnedFd, name: &CStr, mode: RawMode) -> rustix::io::Result<OwnedFd> {
    let path = kernel_file::open(directory, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW)?;
    // By what was opened, not by a name, at which another file may lie by now.
    let itself = format!("/proc/self/fd/{}", path.as_raw_fd());
    let mode = Mode::from_raw_mode(mode);
    rustix::fs::chmod(&itself, mode | Mode::RWXU)?;
    let opened = kernel_file::open(&path, c".", OFlags::RDONLY | OFlags::DIRECTORY);
    rustix::fs::chmod(&itself, mode)?;
    opened
}

struct Walk {
    bytes: u64,
    entries: usize,
    enough: u64,
}

impl Walk {
    fn enter(&mut self, directory: &OwnedFd, depth: usize) -> io::Result<()> {
        // By what is open already: a directory that is shut cannot be opened once more.
        let mut entries = Dir::new(directory.try_clone()?)?;
        entries.rewind();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            if self.bytes > self.enough || self.entries >= MAX_ENTRIES {
                return Ok(());
            }
            if name == c"." || name == c".." {
                continue;
            }
            self.entries += 1;
            match self.count(directory, name, depth) {
                // What vanishes or is closed meanwhile holds what it held; the next look sees.
                Ok(()) | Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::LOOP) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn count(&mut self, directory: &OwnedFd, name: &CStr, depth: usize) -> rustix::io::Result<()> {
        let state = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        // Blocks of 512 bytes, whatever the file system's own are (inode(7)).
        self.bytes = self.bytes.saturating_add(u64::try_from(state.st_blocks).unwrap_or(0).saturating_mul(512));
        if FileType::from_raw_mode(state.st_mode) == FileType::Directory && depth < MAX_DEPTH {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            let below = match kernel_file::open(directory, name, flags) {
                Err(Errno::ACCESS) => open_shut(directory, name, state.st_mode)?,
                opened => opened?,
            };
            self.enter(&below, depth + 1).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_in_shut_directories_counts_and_they_stay_shut() {
        let folder = tempfile::tempdir().unwrap();
        let shut = folder.path().join("shut");
        std::fs::create_dir(&shut).unwrap();
        std::fs::write(shut.join("f"), vec![1; 1 << 20]).unwrap();
        std::fs::set_permissions(&shut, std::fs::Permissions::from_mode(0o300)).unwrap();
        let open = OwnedFd::from(std::fs::File::open(folder.path()).unwrap());
        let state = rustix::fs::statat(&open, "shut", AtFlags::empty()).unwrap();
        open_shut(&open, c"shut", state.st_mode).unwrap();
        assert_eq!(shut.metadata().unwrap().permissions().mode() & 0o777, 0o300);
        let full = below(&[open], u64::MAX).unwrap();
        assert!((1 << 20..2 << 20).contains(&full), "{full}");
        assert_eq!(shut.metadata().unwrap().permissions().mode() & 0o777, 0o300);
    }

    #[test]
    fn files_in_subdirectories_count_and_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let open = || OwnedFd::from(std::fs::File::open(folder.path()).unwrap());
        let empty = below(&[open()], u64::MAX).unwrap();
        std::fs::create_dir(folder.path().join("d")).unwrap();
        std::fs::write(folder.path().join("d/f"), vec![1; 1 << 20]).unwrap();
        std::os::unix::fs::symlink("/usr", folder.path().join("d/l")).unwrap();
        let full = below(&[open()], u64::MAX).unwrap() - empty;
        assert!((1 << 20..2 << 20).contains(&full), "{full}");
        assert!(in_use(&open()).unwrap() > 0);
    }
}
