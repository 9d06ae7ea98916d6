//! A tree as a value.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// What a test compares of a file: kind and mode, content, attributes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Node {
    pub(crate) mode: u32,
    pub(crate) content: Vec<u8>,
    pub(crate) attributes: Vec<(String, Vec<u8>)>,
    /// Last change of the content, where a test wants to know.
    pub(crate) modified: (i64, i64),
}

/// Everything below a directory, by its path relative to it, and the directory itself by the empty path.
pub(crate) type Tree = BTreeMap<Vec<u8>, Node>;

pub(crate) fn read(root: &Path) -> Tree {
    let mut tree = Tree::new();
    read_below(root, Path::new(""), &mut tree);
    tree
}

/// Without the times.
pub(crate) fn timeless(mut tree: Tree) -> Tree {
    tree.values_mut().for_each(|node| node.modified = (0, 0));
    tree
}

fn read_below(root: &Path, path: &Path, tree: &mut Tree) {
    let whole = root.join(path);
    let status = fs::symlink_metadata(&whole).unwrap_or_else(|error| panic!("{}: {error}", whole.display()));
    let kind = status.file_type();
    let content = if kind.is_file() {
        fs::read(&whole).expect("content")
    } else if kind.is_symlink() {
        fs::read_link(&whole).expect("text").as_os_str().as_bytes().to_vec()
    } else {
        assert!(kind.is_dir() || kind.is_fifo(), "{}", whole.display());
        Vec::new()
    };
    let attributes = if kind.is_file() || kind.is_dir() { attributes(&whole) } else { Vec::new() };
    let modified = (status.mtime(), status.mtime_nsec());
    tree.insert(path.as_os_str().as_bytes().to_vec(), Node { mode: status.mode(), content, attributes, modified });
    if kind.is_dir() {
        for entry in fs::read_dir(&whole).expect("a directory") {
            read_below(root, &path.join(entry.expect("an entry").file_name()), tree);
        }
    }
}

/// The user's attributes but overlayfs's own.
pub(crate) fn attributes(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut list = vec![0; 65_536];
    let length = rustix::fs::llistxattr(path, &mut list[..]).expect("names");
    let names = list[..length].split(|byte| *byte == 0).map(|name| std::str::from_utf8(name).expect("text"));
    let users = names.filter(|name| name.starts_with("user.") && !name.starts_with("user.overlay."));
    let mut found: Vec<_> = users
        .map(|name| {
            let mut value = vec![0; 65_536];
            let length = rustix::fs::lgetxattr(path, name, &mut value[..]).expect("a value");
            (name.to_owned(), value[..length].to_vec())
        })
        .collect();
    found.sort();
    found
}
