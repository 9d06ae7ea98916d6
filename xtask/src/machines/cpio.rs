//! Archives in the form that the kernel unpacks at its start (kernel `Documentation/driver-api/early-userspace/buffer-format.rst`).
//!
//! Written here because `cpio(1)` makes device nodes, without which the first program has no console, only for root.

use std::fmt::Write;

/// An archive in which everything belongs to root.
#[derive(Debug, Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Adds a directory; its parents have to be there.
    pub(super) fn directory(&mut self, path: &str) {
        self.entry(path, 0o040_755, (0, 0), &[]);
    }

    /// Adds an executable file.
    pub(super) fn program(&mut self, path: &str, content: &[u8]) {
        self.entry(path, 0o100_755, (0, 0), content);
    }

    /// Adds a file.
    pub(super) fn file(&mut self, path: &str, content: &[u8]) {
        self.entry(path, 0o100_644, (0, 0), content);
    }

    /// Adds a character device.
    pub(super) fn device(&mut self, path: &str, number: (u32, u32)) {
        self.entry(path, 0o020_600, number, &[]);
    }

    /// The finished archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        self.entries += 1;
        let (size, name_size) = (content.len(), path.len() + 1);
        let (number, major, minor) = (self.entries as usize, device.0 as usize, device.1 as usize);
        let mut header = "070701".to_owned();
        // inode, mode, uid, gid, links, time, size, device of the file system, device, size of the name, check sum
        for field in [number, mode as usize, 0, 0, 1, 0, size, 0, 0, major, minor, name_size, 0] {
            write!(header, "{field:08x}").expect("writing to a string cannot fail");
        }
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads an archive as the kernel does: sizes from the header, names and contents padded to four bytes.
    fn names_and_contents(mut rest: &[u8]) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        while !rest.is_empty() {
            let field = |number: usize| {
                let digits = std::str::from_utf8(&rest[6 + 8 * number..14 + 8 * number]).expect("digits");
                usize::from_str_radix(digits, 16).expect("a number")
            };
            let (size, name_size) = (field(6), field(11));
            let start = (110 + name_size).next_multiple_of(4);
            let name = std::str::from_utf8(&rest[110..109 + name_size]).expect("a name");
            found.push((name.to_owned(), rest[start..start + size].to_vec()));
            rest = &rest[(start + size).next_multiple_of(4)..];
        }
        found
    }

    #[test]
    fn names_and_contents_of_any_length_come_back() {
        let mut archive = Archive::default();
        archive.directory("dev");
        archive.device("dev/console", (5, 1));
        archive.program("init", b"#!/bin/sh\n");
        archive.file("odd", b"12345");
        let entries = names_and_contents(&archive.finish());
        let names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["dev", "dev/console", "init", "odd", "TRAILER!!!"]);
        assert_eq!(entries[3].1, b"12345");
    }
}
