//! Reading and writing the small text files of `/proc` and of control groups, without allocating.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::path::Arg;

/// The largest part of a file that [`read`] callers look at: the files used here are far smaller.
pub(crate) const SMALL: usize = 4096;

/// Reads the file `name` below `directory` into `buffer`, as far as it fits.
pub(crate) fn read(directory: impl AsFd, name: impl Arg, buffer: &mut [u8]) -> rustix::io::Result<&[u8]> {
    let file = open(directory, name, OFlags::RDONLY)?;
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut *rest))? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(buffer.get(..filled).unwrap_or_default())
}

/// Writes `text` to the file `name` below `directory` in one call, as the kernel demands for control files.
pub(crate) fn write(directory: impl AsFd, name: impl Arg, text: &[u8]) -> rustix::io::Result<()> {
    let file = open(directory, name, OFlags::WRONLY)?;
    let written = rustix::io::retry_on_intr(|| rustix::io::write(&file, text))?;
    if written == text.len() { Ok(()) } else { Err(rustix::io::Errno::IO) }
}

/// Opens the file `name` below `directory`.
pub(crate) fn open(directory: impl AsFd, name: impl Arg, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(directory, name, flags | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty())
}

/// The words of a file such as `cgroup.controllers`; bytes that are not UTF-8 end the text.
pub(crate) fn words(content: &[u8]) -> impl Iterator<Item = &str> {
    text(content).split_ascii_whitespace()
}

/// The number after `key` in a file of lines `key number`, such as `memory.events`.
pub(crate) fn keyed(content: &[u8], key: &str) -> Option<u64> {
    text(content).lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        (name == key).then(|| value.trim().parse().ok()).flatten()
    })
}

fn text(content: &[u8]) -> &str {
    match std::str::from_utf8(content) {
        Ok(text) => text,
        // The bytes before the fault are UTF-8, so the second conversion cannot fail.
        Err(error) => {
            content.get(..error.valid_up_to()).and_then(|valid| std::str::from_utf8(valid).ok()).unwrap_or("")
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::CWD;

    use super::*;

    #[test]
    fn reads_as_much_as_fits_and_writes_whole_texts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "").unwrap();
        write(CWD, &path, b"12345").unwrap();
        assert_eq!(read(CWD, &path, &mut [0; 8]).unwrap(), b"12345");
        assert_eq!(read(CWD, &path, &mut [0; 3]).unwrap(), b"123");
        assert_eq!(read(CWD, folder.path().join("none"), &mut [0; 3]).unwrap_err(), rustix::io::Errno::NOENT);
    }

    #[test]
    fn keys_are_whole_words() {
        let events = b"oom 1\noom_kill 2\noom_group_kill 3\n";
        assert_eq!((keyed(events, "oom"), keyed(events, "oom_kill"), keyed(events, "max")), (Some(1), Some(2), None));
        assert_eq!(keyed(b"oom x\n\xff", "oom"), None);
        assert_eq!(words(b"cpu memory\n\xffpids").collect::<Vec<_>>(), ["cpu", "memory"]);
    }
}
