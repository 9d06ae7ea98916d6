//! The shared mappings of a process (`proc_pid_maps(5)`).

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::BufRead;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::Dev;

/// A file as memory maps number it: its file system, and itself. Files of an overlay have the overlay's numbers, or those
/// of the layer that they lie in (Linux before 6.7).
pub(super) type Number = (Dev, u64);

/// The files of shared mappings, each with a name where one is wanted.
pub(super) type Files = BTreeMap<Number, PathBuf>;

/// Adds the files of shared mappings, with the names of those on `device`, so that what is held grows with few of them.
/// `false` where nothing at all is mapped: the thread has ended.
pub(super) fn add(maps: impl BufRead, device: Dev, files: &mut Files) -> std::io::Result<bool> {
    let mut is_alive = false;
    for line in maps.split(b'\n') {
        is_alive = true;
        if let Some((number, path)) = of_line(&line?) {
            files.entry(number).or_insert_with(|| if number.0 == device { path.into() } else { PathBuf::new() });
        }
    }
    Ok(is_alive)
}

/// The file of a mapping that is shared, by its line. What a program may do with it now does not matter: `mprotect(2)` gives
/// back what it has taken. The path is as the kernel writes it: a line end in it is escaped, and that of a file without this
/// name any more has an addition, as others may have that are called so.
fn of_line(line: &[u8]) -> Option<(Number, &OsStr)> {
    let mut fields = line.split(|byte| *byte == b' ');
    let permissions = fields.nth(1)?;
    let device = std::str::from_utf8(fields.nth(1)?).ok()?;
    let inode = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let (major, minor) = device.split_once(':')?;
    let [major, minor] = [major, minor].map(|number| u32::from_str_radix(number, 16).ok());
    let path = line.get(line.iter().position(|byte| *byte == b'/')?..)?;
    permissions.ends_with(b"s").then_some(((rustix::fs::makedev(major?, minor?), inode), OsStr::from_bytes(path)))
}

#[cfg(test)]
mod tests {
    use rustix::fs::makedev;

    use super::*;

    #[test]
    fn shared_mappings_are_told_whatever_their_names_and_rights() {
        let number = (makedev(0xfe, 1), 12);
        for rights in ["rw-s", "-w-s", "r--s", "---s", "r-xs"] {
            for path in [&b"/w/a b"[..], b"/w/\xff", b"/w/x\\012y", b"/w/x (deleted)", b"/w/x/"] {
                let line = [format!("7f00-7f01 {rights} 00000000 fe:01 12   ").as_bytes(), path].concat();
                assert_eq!(of_line(&line), Some((number, OsStr::from_bytes(path))));
            }
        }
        for line in [&b"7f00-7f01 rw-p 00000000 fe:01 12   /w/a"[..], b"7f00-7f01 rw-s 0 00:00 0", b"7f00 rw-s", b""] {
            assert_eq!(of_line(line), None);
        }
    }

    #[test]
    fn names_are_kept_of_one_file_system() {
        let text = b"1-2 rw-p 0 00:00 0 \n3-4 r--s 0 00:05 7  /a\n4-5 r--s 0 00:05 7  /b\n5-6 rw-s 0 00:06 7  /c\n";
        let mut files = Files::new();
        assert!(add(&text[..], makedev(0, 5), &mut files).unwrap());
        let expected = [((makedev(0, 5), 7), "/a".into()), ((makedev(0, 6), 7), PathBuf::new())];
        assert_eq!(files.into_iter().collect::<Vec<_>>(), expected);
        assert!(!add(&b""[..], 0, &mut Files::new()).unwrap());
    }
}
