//! What `/proc` says of a process (`proc_pid_stat(5)`, `proc_pid_status(5)`).

use std::fs::File;
use std::io::{self, Read};

/// Bytes of a `/proc` file that are read; the fields that are used come far before.
const MAX_PROC_FILE: u64 = 8192;

/// Steps from a process up to its ancestors. A program may nest its processes deeper than this, but then its signals
/// are refused.
const MAX_DEPTH: usize = 4096;

/// How a process stands among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) parent: u32,
    pub(super) group: u32,
    pub(super) session: u32,
    /// Device number of the controlling terminal; 0 when there is none.
    pub(super) terminal: u32,
}

/// Fields of `/proc/PID/status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    /// Process id of the thread's process.
    pub(super) process: u32,
    /// The same, and the thread's id, as seen in the innermost process namespace.
    pub(super) process_inside: u32,
    pub(super) thread_inside: u32,
    /// In how many process namespaces it is, as far as they are seen from here.
    pub(super) depth: usize,
    /// Effective user of the process, as seen from outside.
    pub(super) user: u32,
    /// Permission bits that new files do not get.
    pub(super) umask: u32,
}

/// Reads a `/proc` file, at most [`MAX_PROC_FILE`] bytes of it.
pub(super) fn read_bounded(path: &str) -> io::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(1024);
    File::open(path)?.take(MAX_PROC_FILE).read_to_end(&mut text)?;
    Ok(text)
}

/// How a process stands.
pub(super) fn standing(pid: u32) -> io::Result<Standing> {
    let text = read_bounded(&format!("/proc/{pid}/stat"))?;
    parse_standing(&text).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// The name is in parentheses and may hold anything, parentheses too; the last one ends it.
fn parse_standing(text: &[u8]) -> Option<Standing> {
    let after_name = text.iter().rposition(|&byte| byte == b')')? + 1;
    let fields = std::str::from_utf8(text.get(after_name..)?).ok()?;
    let mut fields = fields.split_ascii_whitespace().skip(1).map(|field| field.parse::<i64>().unwrap_or(0));
    let mut next = || fields.next().and_then(|field| u32::try_from(field).ok());
    Some(Standing { parent: next()?, group: next()?, session: next()?, terminal: next()? })
}

/// Status of a thread.
pub(super) fn status(thread: u32) -> io::Result<Status> {
    let text = read_bounded(&format!("/proc/{thread}/status"))?;
    parse_status(&text).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// The name comes first, but the kernel escapes line ends in it.
fn parse_status(text: &[u8]) -> Option<Status> {
    let text = String::from_utf8_lossy(text);
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim));
    let last = |name: &str| field(name)?.split_ascii_whitespace().next_back()?.parse::<u32>().ok();
    Some(Status {
        process: last("Tgid")?,
        process_inside: last("NStgid")?,
        thread_inside: last("NSpid")?,
        depth: field("NStgid")?.split_ascii_whitespace().count(),
        user: field("Uid")?.split_ascii_whitespace().nth(1)?.parse().ok()?,
        umask: u32::from_str_radix(field("Umask")?, 8).ok()?,
    })
}

/// Whether `pid` is `root` or descends from it.
///
/// The root reaps orphans of its tree, so that the chain of parents of each of its descendants leads to it.
pub(super) fn descends_from(pid: u32, root: u32) -> bool {
    let mut at = pid;
    for _ in 0..MAX_DEPTH {
        if at == root {
            return true;
        }
        match standing(at) {
            Ok(standing) if standing.parent > 1 || standing.parent == root => at = standing.parent,
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn hostile_names_do_not_shift_fields() {
        let text = b"42 (a) S 1 (b) R 7 8 9 34816 -1 4194560";
        let standing = Standing { parent: 7, group: 8, session: 9, terminal: 34816 };
        assert_eq!(parse_standing(text), Some(standing));
        assert_eq!(parse_standing(b"42 (a"), None);
        assert_eq!(parse_standing(b"42 (a) S 1"), None);
    }

    #[test]
    fn status_takes_the_innermost_ids() {
        let text = b"Name:\tx\\nTgid:\t9\nUmask:\t0027\nTgid:\t500\nUid:\t1000\t1001\t1000\t1000\nNStgid:\t500\t7\nNSpid:\t501\t8\n";
        let status = Status { process: 500, process_inside: 7, thread_inside: 8, depth: 2, user: 1001, umask: 0o27 };
        assert_eq!(parse_status(text), Some(status));
        assert_eq!(parse_status(b"Name:\tx\n"), None);
    }

    #[test]
    fn children_descend_from_this_process() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        assert!(descends_from(child.id(), std::process::id()));
        assert!(!descends_from(std::process::id(), child.id()));
        assert!(!descends_from(1, std::process::id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!descends_from(child.id(), std::process::id()));
        assert_eq!(status(std::process::id()).unwrap().process, std::process::id());
    }
}
