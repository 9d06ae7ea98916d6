//! Listing processes.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{CWD, Dir, OFlags};
use rustix::io::Errno;
use rustix::process::Pid;

use crate::limits::kernel_file;

/// Opens the `/proc` of this process's own namespace.
pub(super) fn open_proc() -> io::Result<OwnedFd> {
    let proc = kernel_file::open(CWD, "/proc", OFlags::RDONLY | OFlags::DIRECTORY)?;
    kernel_file::open(&proc, "thread-self/children", OFlags::RDONLY)?;
    Ok(proc)
}

/// All processes that a `/proc` shows.
pub(super) fn all(proc: impl AsFd) -> io::Result<Vec<Pid>> {
    Ok(numbered(proc)?)
}

/// A process and all its descendants. One that ends meanwhile is left out.
pub(crate) fn descendants(proc: impl AsFd, root: Pid) -> io::Result<Vec<Pid>> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        next += 1;
        match children(&proc, pid, &mut found) {
            Ok(()) | Err(Errno::NOENT | Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

/// Appends the children that each thread of a process has started.
fn children(proc: impl AsFd, pid: Pid, found: &mut Vec<Pid>) -> rustix::io::Result<()> {
    let tasks = kernel_file::open(proc, format!("{}/task", pid.as_raw_nonzero()), OFlags::RDONLY | OFlags::DIRECTORY)?;
    for thread in numbered(&tasks)? {
        match kernel_file::open(&tasks, format!("{}/children", thread.as_raw_nonzero()), OFlags::RDONLY) {
            Ok(file) => read_numbers(&file, found)?,
            Err(Errno::NOENT | Errno::SRCH) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The entries of a directory whose names are numbers.
pub(crate) fn numbered(directory: impl AsFd) -> rustix::io::Result<Vec<Pid>> {
    let mut numbers = Vec::new();
    for entry in Dir::read_from(directory)? {
        let name = entry?;
        numbers.extend(name.file_name().to_str().ok().and_then(|name| name.parse().ok()).and_then(Pid::from_raw));
    }
    Ok(numbers)
}

/// Appends the numbers that a file lists, separated by blanks.
fn read_numbers(file: &OwnedFd, found: &mut Vec<Pid>) -> rustix::io::Result<()> {
    let mut buffer = [0_u8; kernel_file::SMALL];
    let mut number = 0_i32;
    loop {
        let count = rustix::io::retry_on_intr(|| rustix::io::read(file, &mut buffer))?;
        for &byte in buffer.get(..count).unwrap_or_default() {
            if byte.is_ascii_digit() {
                number = number.saturating_mul(10).saturating_add(i32::from(byte - b'0'));
            } else {
                found.extend(Pid::from_raw(number));
                number = 0;
            }
        }
        if count == 0 {
            found.extend(Pid::from_raw(number));
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_among_all_and_heads_its_descendants() {
        let proc = open_proc().unwrap();
        let own = rustix::process::getpid();
        assert!(all(&proc).unwrap().contains(&own));
        let mut child = std::process::Command::new("sh").args(["-c", "sleep 30 & wait"]).spawn().unwrap();
        let shell = Pid::from_child(&child);
        let found = loop {
            let found = descendants(&proc, own).unwrap();
            // The shell needs a moment to start its own child.
            if descendants(&proc, shell).unwrap().len() == 2 {
                break descendants(&proc, own).unwrap();
            }
            assert_eq!(found.first(), Some(&own));
        };
        assert!(found.contains(&shell));
        for pid in descendants(&proc, shell).unwrap() {
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
        child.wait().unwrap();
        assert_eq!(descendants(&proc, shell).unwrap(), [shell]);
    }
}
