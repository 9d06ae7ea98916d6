//! Copies the content of a file: shares its blocks where the file system can, and leaves its holes holes.

use std::os::fd::BorrowedFd;

use rustix::fs::SeekFrom;
use rustix::io::{Errno, Result};

use super::progress::Meter;

/// Bytes copied by one call, after which progress is told.
const CHUNK: usize = 16 << 20;

/// Bytes of the buffer where the kernel cannot copy by itself.
const BUFFER: usize = 256 << 10;

/// Copies `size` bytes to an empty file.
pub(super) fn content(from: BorrowedFd<'_>, to: BorrowedFd<'_>, size: u64, meter: &mut Meter<'_>) -> Result<()> {
    if size == 0 {
        return Ok(());
    }
    if rustix::fs::ioctl_ficlone(to, from).is_ok() {
        meter.bytes(size);
        return Ok(());
    }
    rustix::fs::ftruncate(to, size)?;
    let mut at = 0;
    while let Some((start, end)) = data(from, at, size)? {
        meter.bytes(start - at);
        copy_range(from, to, start, end, meter)?;
        at = end;
    }
    meter.bytes(size - at);
    Ok(())
}

/// Where the next bytes lie that are not in a hole.
fn data(file: BorrowedFd<'_>, at: u64, size: u64) -> Result<Option<(u64, u64)>> {
    if at >= size {
        return Ok(None);
    }
    match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(start) if start >= size => Ok(None),
        Ok(start) => Ok(Some((start, rustix::fs::seek(file, SeekFrom::Hole(start))?.min(size)))),
        Err(Errno::NXIO) => Ok(None),
        // The file system does not know of holes.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(Some((at, size))),
        Err(error) => Err(error),
    }
}

fn copy_range(from: BorrowedFd<'_>, to: BorrowedFd<'_>, start: u64, end: u64, meter: &mut Meter<'_>) -> Result<()> {
    let (mut read, mut written) = (start, start);
    while read < end {
        let length = usize::try_from(end - read).unwrap_or(CHUNK).min(CHUNK);
        match rustix::fs::copy_file_range(from, Some(&mut read), to, Some(&mut written), length) {
            // The file has become shorter; what it lost is a hole.
            Ok(0) => return Ok(()),
            Ok(copied) => meter.bytes(copied as u64),
            Err(Errno::INTR) => {}
            // Between these file systems, or on this one, the kernel does not copy by itself.
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM | Errno::BADF) => {
                return copy_by_hand(from, to, read, end, meter);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn copy_by_hand(from: BorrowedFd<'_>, to: BorrowedFd<'_>, start: u64, end: u64, meter: &mut Meter<'_>) -> Result<()> {
    let mut buffer = vec![0; BUFFER];
    let mut at = start;
    while at < end {
        let length = usize::try_from(end - at).unwrap_or(BUFFER).min(BUFFER);
        let read = retry(|| rustix::io::pread(from, &mut buffer[..length], at))?;
        if read == 0 {
            return Ok(());
        }
        let mut done = 0;
        while done < read {
            done += retry(|| rustix::io::pwrite(to, &buffer[done..read], at + done as u64))?;
        }
        at += read as u64;
        meter.bytes(read as u64);
    }
    Ok(())
}

fn retry(mut call: impl FnMut() -> Result<usize>) -> Result<usize> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}
