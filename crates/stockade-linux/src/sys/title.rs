#![allow(unsafe_code, reason = "the argument area is reached by the addresses that the kernel tells")]
//! Erases the copied command line: `/proc/1/cmdline` is readable by everyone inside, and the supervisor's arguments may
//! name host paths and values.

use std::fs;
use std::io;

/// Overwrites the process' argument area with zeros.
///
/// `std::env::args_os` is not to be used in this process afterwards; it would return empty strings.
pub(crate) fn erase_arguments() -> io::Result<()> {
    let (start, end) = argument_area(&fs::read_to_string("/proc/self/stat")?)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/self/stat lacks the argument area"))?;
    if start == 0 || end <= start {
        return Ok(());
    }
    // SAFETY: the kernel says that this range is where it placed the arguments (proc_pid_stat(5), fields 48 and 49): it
    // is mapped writable in this process, and no reference to it exists, since the stage never asks for its arguments.
    unsafe { std::ptr::write_bytes(start as *mut u8, 0, end - start) };
    Ok(())
}

/// Fields 48 and 49 of `/proc/PID/stat`. The second field is the name in parentheses, which may hold anything.
fn argument_area(stat: &str) -> Option<(usize, usize)> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(45);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_cannot_shift_the_fields() {
        let numbers: Vec<String> = (4..=52).map(|n| n.to_string()).collect();
        let stat = format!("1 (a ) 9 9) S {}", numbers.join(" "));
        assert_eq!(argument_area(&stat), Some((48, 49)));
        assert_eq!(argument_area("1 (x) S 1"), None);
    }
}
