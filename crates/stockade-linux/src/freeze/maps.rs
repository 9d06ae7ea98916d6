//! What a process has mapped (`proc_pid_maps(5)`).

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The files of shared mappings that can be written to, each once.
pub(super) fn shared_and_writable(maps: File) -> io::Result<Vec<PathBuf>> {
    let mut found = BTreeSet::new();
    for line in BufReader::new(maps).split(b'\n') {
        found.extend(of_line(&line?));
    }
    Ok(found.into_iter().collect())
}

/// The file of a mapping that is shared and can be written to, by its line. A path is no text, and holds any byte but a line
/// end.
fn of_line(line: &[u8]) -> Option<PathBuf> {
    let (fields, path) = line.split_at(line.iter().position(|byte| *byte == b'/')?);
    let permissions = fields.split(|byte| *byte == b' ').nth(1)?;
    let is_one = permissions.ends_with(b"s") && permissions.contains(&b'w');
    is_one.then(|| PathBuf::from(OsStr::from_bytes(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_mappings_are_told_whatever_their_names() {
        let path = |line: &[u8]| of_line(line).map(|path| path.into_os_string().into_encoded_bytes());
        assert_eq!(path(b"7f00-7f01 rw-s 00000000 fe:01 12   /w/a b"), Some(b"/w/a b".to_vec()));
        assert_eq!(path(b"7f00-7f01 -w-s 00000000 fe:01 12   /w/\xff"), Some(b"/w/\xff".to_vec()));
        for line in
            [&b"7f00-7f01 rw-p 00000000 fe:01 12   /w/a"[..], b"7f00-7f01 r--s 0 fe:01 12   /w/a", b"7f00 rw-s", b""]
        {
            assert_eq!(path(line), None);
        }
    }
}
