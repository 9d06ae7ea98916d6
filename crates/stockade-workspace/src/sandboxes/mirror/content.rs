//! Content of a file, shared where the file system can, else copied inside the kernel, holes not filled.

use std::os::fd::BorrowedFd;

use rustix::fs::SeekFrom;
use rustix::io::{Errno, Result};

use crate::layers::content::copy_content;

/// Below this length, the copy is made at once, without asking where holes are: there is no room for one.
const SMALL: u64 = 4096;

/// What the file system was found to be able to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clones {
    /// Let files share content until one of them is changed (`FICLONE` of `ioctl_ficlone(2)`).
    share: bool,
    /// Copy without the content passing through this process.
    copy: bool,
}

impl Default for Clones {
    fn default() -> Self {
        Self { share: true, copy: true }
    }
}

impl Clones {
    /// Copies the content of a file of this length to an empty one.
    pub(super) fn copy(&mut self, from: BorrowedFd<'_>, to: BorrowedFd<'_>, size: u64) -> Result<()> {
        if size == 0 {
            return Ok(());
        }
        if self.share {
            match rustix::fs::ioctl_ficlone(to, from) {
                Ok(()) => return Ok(()),
                // It cannot, or not with this file.
                Err(Errno::OPNOTSUPP | Errno::NOTTY | Errno::XDEV | Errno::NOSYS) => self.share = false,
                Err(Errno::INVAL | Errno::PERM | Errno::ACCESS | Errno::TXTBSY) => {}
                Err(error) => return Err(error),
            }
        }
        if self.copy {
            match copy_inside(from, to, size) {
                Ok(()) => return Ok(()),
                Err(Errno::OPNOTSUPP | Errno::XDEV | Errno::NOSYS | Errno::INVAL | Errno::IO) => self.copy = false,
                Err(error) => return Err(error),
            }
        }
        copy_content(from, to, size)
    }
}

/// Copies piece by piece what is between holes.
fn copy_inside(from: BorrowedFd<'_>, to: BorrowedFd<'_>, size: u64) -> Result<()> {
    if size <= SMALL {
        return copy_range(from, to, 0, size);
    }
    rustix::fs::ftruncate(to, size)?;
    let mut at = 0;
    while at < size {
        let data = match rustix::fs::seek(from, SeekFrom::Data(at)) {
            Ok(data) => data,
            Err(Errno::NXIO) => return Ok(()),
            Err(error) => return Err(error),
        };
        let hole = rustix::fs::seek(from, SeekFrom::Hole(data))?.min(size);
        copy_range(from, to, data, hole)?;
        at = hole.max(data + 1);
    }
    Ok(())
}

fn copy_range(from: BorrowedFd<'_>, to: BorrowedFd<'_>, start: u64, end: u64) -> Result<()> {
    let (mut read, mut write) = (start, start);
    while read < end {
        let length = usize::try_from(end - read).unwrap_or(usize::MAX >> 1);
        match rustix::fs::copy_file_range(from, Some(&mut read), to, Some(&mut write), length) {
            // It has become shorter.
            Ok(0) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::{FileExt, MetadataExt};

    use super::*;

    fn copied(clones: &mut Clones, source: &File) -> File {
        let target = tempfile::tempfile().expect("a file");
        let size = source.metadata().expect("its size").len();
        clones.copy(source.as_fd(), target.as_fd(), size).expect("copied");
        assert_eq!(target.metadata().expect("its size").len(), size);
        target
    }

    #[test]
    fn content_and_holes_arrive_every_way() {
        for mut clones in [Clones::default(), Clones { share: false, copy: true }, Clones { share: false, copy: false }]
        {
            for size in [0, 1, 4096, 4097, 3 << 20] {
                let source = tempfile::tempfile().expect("a file");
                source.set_len(size).expect("its length");
                let marks = [0, size / 2, size.saturating_sub(1)];
                for mark in marks.into_iter().filter(|mark| *mark < size) {
                    source.write_all_at(b"x", mark).expect("written");
                }
                let target = copied(&mut clones, &source);
                let mut bytes = vec![0; usize::try_from(size).expect("small")];
                target.read_exact_at(&mut bytes, 0).expect("read");
                let mut expected = vec![0; bytes.len()];
                source.read_exact_at(&mut expected, 0).expect("read");
                assert!(bytes == expected, "{size} {clones:?}");
                let blocks = |file: &File| file.metadata().expect("blocks").blocks();
                // Read in pieces, some of what surrounds the data is written with it.
                assert!(blocks(&target) <= blocks(&source) + 1024, "{size} {clones:?}");
            }
        }
    }
}
