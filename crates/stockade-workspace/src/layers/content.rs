//! Content of files: compared and copied by pieces, holes not read.

use std::os::fd::BorrowedFd;

use rustix::fs::SeekFrom;
use rustix::io::{Errno, Result};

/// Bytes of a file that are read at a time.
const CHUNK: usize = 128 << 10;

/// Whether two files of this size hold the same bytes.
pub(crate) fn same_content(one: BorrowedFd<'_>, other: BorrowedFd<'_>, size: u64) -> Result<bool> {
    let length = usize::try_from(size).unwrap_or(CHUNK).min(CHUNK);
    let (mut left, mut right) = (vec![0; length], vec![0; length]);
    let mut at = 0;
    while at < size {
        at = next_data(one, at, size)?.min(next_data(other, at, size)?);
        let (read, also) = (fill(one, &mut left, at)?, fill(other, &mut right, at)?);
        if left[..read] != right[..also] {
            return Ok(false);
        }
        // Nothing is left, or both have become shorter meanwhile.
        if read == 0 {
            break;
        }
        at += read as u64;
    }
    Ok(true)
}

/// Where the next byte lies that is not in a hole.
fn next_data(file: BorrowedFd<'_>, at: u64, size: u64) -> Result<u64> {
    match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(found) => Ok(found),
        Err(Errno::NXIO) => Ok(size),
        // The file system does not know of holes.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(at),
        Err(error) => Err(error),
    }
}

fn fill(file: BorrowedFd<'_>, buffer: &mut [u8], at: u64) -> Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::io::pread(file, &mut buffer[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Copies the first `size` bytes of a file to an empty one, with its holes.
pub(crate) fn copy_content(from: BorrowedFd<'_>, to: BorrowedFd<'_>, size: u64) -> Result<()> {
    rustix::fs::ftruncate(to, size)?;
    let mut buffer = vec![0; usize::try_from(size).unwrap_or(CHUNK).min(CHUNK)];
    let mut at = 0;
    loop {
        at = next_data(from, at, size)?;
        let room = usize::try_from(size.saturating_sub(at)).unwrap_or(CHUNK).min(buffer.len());
        let read = fill(from, &mut buffer[..room], at)?;
        if read == 0 {
            return Ok(());
        }
        write(to, &buffer[..read], at)?;
        at += read as u64;
    }
}

fn write(file: BorrowedFd<'_>, mut bytes: &[u8], mut at: u64) -> Result<()> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(file, bytes, at) {
            Ok(0) => return Err(Errno::IO),
            Ok(length) => (bytes, at) = (&bytes[length..], at + length as u64),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
