//! A copy of one entry of a layer, where a further name of it cannot be had.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Statx, Timespec, Timestamps};
use rustix::io::{Errno, Result};

use super::content::copy_content;
use super::{reach, xattrs};
use crate::directory::{self, with_permission};

/// Copies what is no directory, under the same name.
pub(crate) fn copy(from: BorrowedFd<'_>, name: &CStr, status: &Statx, into: BorrowedFd<'_>) -> Result<()> {
    let mode = Mode::from_raw_mode(status.stx_mode.into());
    match FileType::from_raw_mode(status.stx_mode.into()) {
        FileType::RegularFile => {
            let source = reach::open_file(from, name)?.ok_or(Errno::NOENT)?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let target = rustix::fs::openat(into, name, flags, Mode::RUSR | Mode::WUSR)?;
            copy_content(source.as_fd(), target.as_fd(), status.stx_size)?;
            attributes(source.as_fd(), target.as_fd())
        }
        FileType::Symlink => {
            let text = with_permission(from, || rustix::fs::readlinkat(from, name, Vec::new()))?;
            rustix::fs::symlinkat(&text, into, name)?;
            rustix::fs::utimensat(into, name, &times(status), AtFlags::SYMLINK_NOFOLLOW)
        }
        kind => {
            let device = rustix::fs::makedev(status.stx_rdev_major, status.stx_rdev_minor);
            rustix::fs::mknodat(into, name, kind, mode, device)?;
            // The process's umask took its part of the mode.
            rustix::fs::chmodat(into, name, mode, AtFlags::empty())?;
            rustix::fs::utimensat(into, name, &times(status), AtFlags::SYMLINK_NOFOLLOW)
        }
    }
}

/// Gives an open file or directory the mode, times, attributes and lists of another. Its owner is the caller, as everything
/// in a layer.
pub(crate) fn attributes(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let status = directory::own_status(from)?;
    xattrs::copy(from, to)?;
    rustix::fs::fchmod(to, Mode::from_raw_mode(status.stx_mode.into()))?;
    rustix::fs::futimens(to, &times(&status))
}

const fn times(status: &Statx) -> Timestamps {
    let (access, modified) = (&status.stx_atime, &status.stx_mtime);
    Timestamps {
        last_access: Timespec { tv_sec: access.tv_sec, tv_nsec: access.tv_nsec as _ },
        last_modification: Timespec { tv_sec: modified.tv_sec, tv_nsec: modified.tv_nsec as _ },
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, symlink};

    use rustix::fs::XattrFlags;

    use super::*;

    /// A directory with one thing in it, and an empty one, open.
    fn copied(make: impl FnOnce(&std::path::Path)) -> (tempfile::TempDir, fs::Metadata, fs::Metadata) {
        let base = tempfile::tempdir().expect("a directory");
        let [from, to] = ["from", "to"].map(|name| {
            fs::create_dir(base.path().join(name)).expect("a directory");
            File::open(base.path().join(name)).expect("opened")
        });
        make(&base.path().join("from/x"));
        let status = directory::status(from.as_fd(), c"x").expect("there");
        copy(from.as_fd(), c"x", &status, to.as_fd()).expect("copied");
        let [old, new] = ["from/x", "to/x"].map(|path| fs::symlink_metadata(base.path().join(path)).expect("there"));
        (base, old, new)
    }

    #[test]
    fn a_file_keeps_holes_times_mode_and_attributes() {
        const SIZE: u64 = 100 << 20;
        let (base, old, new) = copied(|path| {
            let file = File::create(path).expect("a file");
            file.set_len(SIZE).expect("a length");
            file.write_all_at(&[7; 300_000], SIZE / 3).expect("data");
            file.set_modified(std::time::UNIX_EPOCH).expect("a time");
            rustix::fs::fsetxattr(&file, c"user.comment", b"x", XattrFlags::empty()).expect("an attribute");
            rustix::fs::fsetxattr(&file, c"user.overlay.overlay.x", b"y", XattrFlags::empty()).expect("an attribute");
            rustix::fs::fsetxattr(&file, c"user.overlay.origin", b"z", XattrFlags::empty()).expect("an attribute");
            rustix::fs::fchmod(&file, Mode::from_raw_mode(0o4511)).expect("a mode");
        });
        assert_eq!((old.mode(), old.mtime(), old.len()), (new.mode(), new.mtime(), new.len()));
        assert!(new.blocks() * 512 < 1 << 20, "{new:?}");
        let [from, to] = ["from/x", "to/x"].map(|path| File::open(base.path().join(path)).expect("opened"));
        assert!(super::super::content::same_content(from.as_fd(), to.as_fd(), SIZE).expect("compared"));
        let has = |name: &CStr| rustix::fs::fgetxattr_query(&to, name).is_ok();
        assert_eq!([c"user.comment", c"user.overlay.overlay.x", c"user.overlay.origin"].map(has), [true, true, false]);
    }

    #[test]
    fn a_link_and_a_pipe_stay_what_they_are() {
        let (base, old, new) = copied(|path| symlink("to nowhere", path).expect("a link"));
        let text = fs::read_link(base.path().join("to/x")).expect("a link");
        assert_eq!((text.to_str(), old.mtime_nsec()), (Some("to nowhere"), new.mtime_nsec()));
        let (_base, old, new) = copied(|path| {
            rustix::fs::mknodat(rustix::fs::CWD, path, FileType::Fifo, Mode::from_raw_mode(0o640), 0).expect("a pipe");
        });
        assert!(new.file_type().is_fifo());
        assert_eq!(old.mode(), new.mode());
    }
}
