#![allow(unsafe_code, reason = "the argument area is reached by the addresses that the kernel tells")]
//! Erases the copied command line: `/proc/1/cmdline` is readable by everyone inside, and the supervisor's arguments may
//! name host paths and values.

use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Where the area starts and ends, as soon as that is known; it stays there, also in copies of the process.
static AREA: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

/// Finds the area, by system calls alone: that takes longer than erasing it, and may be done ahead.
pub(crate) fn find_arguments() -> rustix::io::Result<()> {
    let file = rustix::fs::open("/proc/self/stat", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    // Fifty numbers of at most twenty digits, and a name.
    let mut buffer = [0; 2048];
    let length = rustix::io::read(file, &mut buffer)?;
    let text = std::str::from_utf8(after_name(&buffer[..length])).map_err(|_| Errno::ILSEQ)?;
    let (start, end) = argument_area(text).ok_or(Errno::NODATA)?;
    for (place, address) in AREA.iter().zip([start, end]) {
        place.store(address, Ordering::Relaxed);
    }
    Ok(())
}

/// Overwrites the process' argument area with zeros.
///
/// `std::env::args_os` is not to be used in this process afterwards; it would return empty strings.
pub(crate) fn erase_arguments() -> rustix::io::Result<()> {
    let known = || AREA.each_ref().map(|address| address.load(Ordering::Relaxed));
    if known() == [0, 0] {
        find_arguments()?;
    }
    let [start, end] = known();
    if start == 0 || end <= start {
        return Ok(());
    }
    // SAFETY: the kernel says that this range is where it placed the arguments (proc_pid_stat(5), fields 48 and 49): it
    // is mapped writable in this process, and no reference to it exists, since the stage never asks for its arguments.
    unsafe { std::ptr::write_bytes(start as *mut u8, 0, end - start) };
    Ok(())
}

/// What follows the second field of `/proc/PID/stat`, which is the name in parentheses and may hold anything.
fn after_name(stat: &[u8]) -> &[u8] {
    let end = stat.iter().rposition(|&byte| byte == b')').map_or(stat.len(), |last| last + 1);
    &stat[end..]
}

/// Fields 48 and 49 of `/proc/PID/stat`, after the name.
fn argument_area(after_name: &str) -> Option<(usize, usize)> {
    let mut fields = after_name.split_ascii_whitespace().skip(45);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_cannot_shift_the_fields() {
        let numbers: Vec<String> = (4..=52).map(|n| n.to_string()).collect();
        let stat = format!("1 (a ) 9 \u{e9}) S {}", numbers.join(" "));
        let area = |stat: &str| argument_area(std::str::from_utf8(after_name(stat.as_bytes())).unwrap());
        assert_eq!(area(&stat), Some((48, 49)));
        assert_eq!(area("1 (x) S 1"), None);
        assert_eq!(area("1 x S 1"), None);
    }

    #[test]
    fn the_area_of_this_process_is_found() {
        find_arguments().unwrap();
        let [start, end] = AREA.each_ref().map(|address| address.load(Ordering::Relaxed));
        let arguments: usize = std::env::args_os().map(|argument| argument.len() + 1).sum();
        assert_eq!(end - start, arguments);
    }
}
