//! Ending the members of a group and removing its directory. Nothing here allocates: the janitor runs it in a forked
//! copy.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use rustix::fs::{CWD, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use rustix::thread::Timespec;

use super::kernel_file;

/// How often the members are listed and killed where the kernel cannot do it in one step.
const PASSES: u32 = 64;

/// How long a group may stay busy after its members were killed, in milliseconds: a process that was killed while it
/// held gigabytes needs some time to give them back.
pub(crate) const PATIENCE_MS: u64 = 2_000;

/// Kills every process in the group `directory`. A group that has been removed has none.
///
/// With `cgroup.kill` (since 5.14, version 2 only) that is one atomic step. Otherwise new members are first forbidden
/// where the group has the `pids` controller, then the members are killed until none is left. A listed process cannot
/// be mistaken for another one that got its number: between the reading and the signal, all numbers would have to be
/// used up.
pub(crate) fn kill(directory: BorrowedFd<'_>) -> rustix::io::Result<()> {
    match kernel_file::write(directory, c"cgroup.kill", b"1") {
        Err(Errno::NOENT | Errno::NODEV) => {}
        other => return other,
    }
    match kernel_file::write(directory, c"pids.max", b"0") {
        Ok(()) | Err(Errno::NOENT | Errno::NODEV) => {}
        Err(error) => return Err(error),
    }
    for _ in 0..PASSES {
        if kill_listed(directory)? == 0 {
            return Ok(());
        }
        // In version 1, a process that is frozen ends when it is thawed.
        match kernel_file::write(directory, c"freezer.state", b"THAWED") {
            Ok(()) | Err(Errno::NOENT | Errno::NODEV | Errno::ACCESS) => {}
            Err(error) => return Err(error),
        }
        sleep_us(500);
    }
    Ok(())
}

/// Kills the processes that `cgroup.procs` lists, and says how many there were.
fn kill_listed(directory: BorrowedFd<'_>) -> rustix::io::Result<usize> {
    let file = match kernel_file::open(directory, c"cgroup.procs", OFlags::RDONLY) {
        // Every group has this file; this one has been removed.
        Err(Errno::NOENT | Errno::NODEV) => return Ok(0),
        file => file?,
    };
    let mut buffer = [0_u8; kernel_file::SMALL];
    let mut number = 0_i32;
    let mut killed = 0;
    loop {
        let count = rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut buffer))?;
        if count == 0 {
            return Ok(killed);
        }
        for &byte in buffer.get(..count).unwrap_or_default() {
            if byte.is_ascii_digit() {
                number = number.saturating_mul(10).saturating_add(i32::from(byte - b'0'));
                continue;
            }
            // 0 stands for a process of another process namespace, which this one cannot reach.
            if let Some(pid) = Pid::from_raw(number) {
                match rustix::process::kill_process(pid, Signal::KILL) {
                    Ok(()) | Err(Errno::SRCH) => killed += 1,
                    Err(error) => return Err(error),
                }
            }
            number = 0;
        }
    }
}

/// How long members may take to end by themselves, in milliseconds.
const GRACE_MS: u64 = 500;

/// Waits until the group at `path` has no members any more and removes it, or until they have had [`GRACE_MS`]. An error
/// other than that there are some ends the waiting too.
pub(crate) fn give_time(path: &CStr) {
    let mut waited_us = 0;
    while waited_us < GRACE_MS * 1_000 && rustix::fs::rmdir(path) == Err(Errno::BUSY) {
        sleep_us(1_000);
        waited_us += 1_000;
    }
}

/// Kills the members of the group at `path` and removes it. A group that is gone already is fine.
///
/// # Errors
/// `EBUSY` when a member does not end within [`PATIENCE_MS`].
pub(crate) fn end(path: &CStr) -> rustix::io::Result<()> {
    let mut waited_us = 0;
    let mut pause_us = 50;
    loop {
        // Most often the members have ended by themselves, and removing is all that is left.
        match rustix::fs::rmdir(path) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::BUSY) if waited_us < PATIENCE_MS * 1_000 => {}
            Err(error) => return Err(error),
        }
        match kernel_file::open(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(directory) => kill(std::os::fd::AsFd::as_fd(&directory))?,
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(error),
        }
        sleep_us(pause_us);
        waited_us += pause_us;
        pause_us = (pause_us * 2).min(20_000);
    }
}

fn sleep_us(microseconds: u64) {
    let nanoseconds = i64::try_from(microseconds.min(999_999) * 1_000).unwrap_or(999_999_000);
    // The rest of a pause that a signal cut short does not matter: the callers look again.
    drop(rustix::thread::nanosleep(&Timespec { tv_sec: 0, tv_nsec: nanoseconds }));
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::fd::AsFd;
    use std::os::unix::process::ExitStatusExt;
    use std::path::Path;
    use std::process::Command;

    use super::*;

    #[test]
    fn members_that_are_frozen_are_ended() {
        let path = Path::new("/sys/fs/cgroup/freezer").join(super::super::group::unique_name());
        if fs::create_dir(&path).is_err() {
            // Past the capture of what tests print.
            drop(writeln!(
                std::io::stdout(),
                "\nnot run: ending members that are frozen (needs the freezer of version 1)"
            ));
            return;
        }
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        fs::write(path.join("cgroup.procs"), child.id().to_string()).unwrap();
        fs::write(path.join("freezer.state"), "FROZEN").unwrap();
        let directory = kernel_file::open(CWD, &path, OFlags::RDONLY | OFlags::DIRECTORY).unwrap();
        // Until it is reaped, it counts as a member.
        std::thread::scope(|scope| {
            let killing = scope.spawn(|| kill(directory.as_fd()));
            assert_eq!(child.wait().unwrap().signal(), Some(9));
            killing.join().unwrap().unwrap();
        });
        fs::remove_dir(path).unwrap();
    }
}
