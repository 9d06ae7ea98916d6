//! The names in a directory, so that many paths that do not exist need not be looked up one by one.

use std::collections::HashSet;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Names that are listed at most. A larger directory takes longer to list than a survey takes to look its paths up.
const MOST: usize = 256;

/// The names in one directory.
#[derive(Debug)]
pub(super) struct Listing {
    directory: PathBuf,
    /// In lower case: the directory may be one that ignores case.
    names: HashSet<Vec<u8>>,
}

impl Listing {
    /// Lists a directory. `None` where it cannot be listed as a whole, holds too much, or has a name that is not ASCII: a
    /// file system that ignores case may take one of those for a name that is.
    pub(super) fn read(directory: &Path) -> Option<Self> {
        let mut names = HashSet::new();
        for entry in std::fs::read_dir(directory).ok()? {
            let name = entry.ok()?.file_name().into_vec();
            if !name.is_ascii() || names.len() == MOST {
                return None;
            }
            names.insert(name.to_ascii_lowercase());
        }
        Some(Self { directory: directory.to_owned(), names })
    }

    /// Whether something may lie at a path: false only for one below the directory whose first name there is missing.
    pub(super) fn may_hold(&self, path: &Path) -> bool {
        let below = path.as_os_str().as_bytes().strip_prefix(self.directory.as_os_str().as_bytes());
        let Some([b'/', below @ ..]) = below else { return true };
        let first = below.split(|byte| *byte == b'/').next().unwrap_or(below);
        // What is written in another way than by plain names is looked up.
        matches!(first, b"" | b"." | b"..") || !first.is_ascii() || self.names.contains(&first.to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_surely_missing_is_passed_over() {
        let folder = tempfile::tempdir().expect("folder");
        let home = folder.path().join("home");
        std::fs::create_dir_all(home.join(".cache")).expect("directories");
        std::os::unix::fs::symlink("nowhere", home.join(".link")).expect("link");
        let listing = Listing::read(&home).expect("listed");
        for (path, expected) in [
            (".cache", true),
            (".cache/pip", true),
            (".link/x", true),
            (".CACHE", true),
            (".c\u{e4}che", true),
            (".cargo", false),
            (".cargo/registry", false),
            (".cach", false),
            ("../home/.cargo", true),
            ("./.cargo", true),
        ] {
            assert_eq!(listing.may_hold(&home.join(path)), expected, "{path}");
        }
        assert!(listing.may_hold(&home) && listing.may_hold(&folder.path().join("homely")));
        std::fs::write(home.join("\u{e4}"), "").expect("a file");
        assert!(Listing::read(&home).is_none(), "not ASCII");
        std::fs::remove_file(home.join("\u{e4}")).expect("removed");
        for name in 0..MOST {
            std::fs::write(home.join(name.to_string()), "").expect("a file");
        }
        assert!(Listing::read(&home).is_none(), "too much");
        assert!(Listing::read(&home.join("missing")).is_none());
    }
}
