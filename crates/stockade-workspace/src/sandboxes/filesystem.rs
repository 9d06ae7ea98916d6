//! Whether a file system can hold the writes of an overlay.
//!
//! Overlayfs wants of the file system below its upper directory that it is local, holds extended attributes `user.*` (with
//! the option `userxattr`), makes whiteouts and tells the kinds of a directory's entries
//! (`Documentation/filesystems/overlayfs.rst`, "Upper and lower"). What is known is told by its number in `statfs(2)`, from
//! `include/uapi/linux/magic.h`, which costs one system call; others are tried by setting an attribute.

use std::os::fd::BorrowedFd;

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use super::error::SandboxError;
use super::folder::Folder;

/// ext2 to ext4, xfs, btrfs, f2fs, bcachefs.
const GOOD: &[u64] = &[0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0xca45_1a4e];

/// Those that cannot, by name.
const BAD: &[(u64, &str)] = &[
    (0x794c_7630, "overlayfs"),
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "SMB"),
    (0xfe53_4d42, "SMB"),
    (0x0102_1997, "9P"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x4d44, "FAT"),
    (0x2011_bab0, "exFAT"),
    (0x5346_544e, "NTFS"),
    (0x7366_746e, "NTFS"),
    (0xf15f, "eCryptfs"),
    (0x6175_6673, "aufs"),
    (0x8584_58f6, "ramfs"),
];

const PROBE: &str = "user.overlay.test";

fn kind(fd: BorrowedFd<'_>) -> Result<u64, Errno> {
    // The field has another width on each architecture; the numbers have 32 bits.
    Ok(rustix::fs::fstatfs(fd)?.f_type.cast_unsigned() & u64::from(u32::MAX))
}

/// Checks that a folder can hold what sandboxes write. Changes nothing that stays.
pub(super) fn check(folder: &Folder) -> Result<(), SandboxError> {
    let kind = kind(folder.fd()).map_err(|error| folder.failed("look at the file system of", "", error))?;
    if GOOD.contains(&kind) {
        return Ok(());
    }
    let refused = |kind| SandboxError::FileSystem { path: folder.path().to_owned(), kind };
    if let Some((_, name)) = BAD.iter().find(|(number, _)| *number == kind) {
        return Err(refused(name));
    }
    match rustix::fs::fsetxattr(folder.fd(), PROBE, b"y", XattrFlags::empty()) {
        Ok(()) => rustix::fs::fremovexattr(folder.fd(), PROBE)
            .map_err(|error| folder.failed("remove an attribute of", "", error)),
        Err(Errno::OPNOTSUPP | Errno::PERM | Errno::ACCESS) => {
            Err(refused("a file system without extended attributes of users"))
        }
        Err(error) => Err(folder.failed("set an attribute of", "", error)),
    }
}

/// Whether every write to a file of a mapping moves its times, once the page has been written back: on these, the kernel
/// has each first write to a page announced (`page_mkwrite` of `Documentation/filesystems/locking.rst`). In memory, it has
/// not: there, a program that reads a page of its mapping first then writes it unseen.
pub(super) fn tells_of_mapped_writes(fd: BorrowedFd<'_>) -> bool {
    kind(fd).is_ok_and(|kind| GOOD.contains(&kind))
}
