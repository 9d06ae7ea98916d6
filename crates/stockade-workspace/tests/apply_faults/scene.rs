//! A workspace and a sandbox in which an apply has one step of each sort.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::place::Place;
use crate::tree::{self, Node};

/// Everything of the host, by path.
pub(crate) type Tree = BTreeMap<Vec<u8>, Node>;

pub(crate) struct Scene {
    pub(crate) place: Place,
    /// The host before, and what it is after.
    pub(crate) before: Tree,
    pub(crate) after: Tree,
}

/// Paths of which each is in one version or the other, with all that is below.
pub(crate) const UNITS: &[&str] = &[
    "a",
    "gone",
    "new",
    "d",
    "d/link",
    "d/new",
    "tree",
    "gonetree",
    "swap",
    "unswap",
    "closed/x",
    "e/sub/x",
    "e/sub/new",
];

/// The sandbox's files.
const SANDBOX: &[(&str, &str)] = &[
    ("a", "a after"),
    ("new", "new after"),
    ("d/new", "new in d after"),
    ("tree/one", "one after"),
    ("tree/sub/two", "two after"),
    ("swap/in/it", "in a directory after"),
    ("unswap", "a file after"),
    ("closed/x", "x after"),
    ("e/sub/x", "x after"),
    ("e/sub/new", "new after"),
];

fn fill(root: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("parents");
        fs::write(path, text).expect("a file");
    }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

impl Scene {
    /// Makes it; the folder of the apply on the workspace's file system or not.
    pub(crate) fn new(elsewhere: Option<&Path>) -> Self {
        let place = Self::make(elsewhere);
        let before = read(&place.workspace);
        let after = Self::plain(&place, &before);
        Self { place, before, after }
    }

    /// Makes the workspace and the sandbox alone.
    pub(crate) fn make(elsewhere: Option<&Path>) -> Place {
        let mut place = Place::in_memory();
        if let Some(elsewhere) = elsewhere {
            place.folder = elsewhere.join("apply");
        }
        let root = place.workspace.clone();
        let before: &[_] = &[
            ("a", "a before"),
            ("gone", "gone before"),
            ("d/kept", "kept"),
            ("d/link", "link before"),
            ("gonetree/x/y", "y before"),
            ("gonetree/z", "z before"),
            ("swap", "a file"),
            ("unswap/in/it", "in a directory"),
            ("closed/x", "x before"),
            ("e/sub/x", "x before"),
            ("untouched/x", "x"),
        ];
        fill(&root, before);
        chmod(&root.join("closed"), 0o555);
        place.note();
        let layer = place.layers[0].clone();
        fill(&layer, SANDBOX);
        symlink("kept", layer.join("d/link")).expect("a link");
        chmod(&layer.join("d"), 0o700);
        chmod(&layer.join("closed"), 0o555);
        chmod(&layer.join("tree"), 0o555);
        for path in ["gone", "gonetree"] {
            place.whiteout(path);
        }
        place
    }

    /// What the host is to be, made without the code under test.
    fn plain(place: &Place, before: &Tree) -> Tree {
        let copy = place.base.path().join("after");
        let status = std::process::Command::new("cp").arg("-a").arg(&place.workspace).arg(&copy).status().expect("cp");
        assert!(status.success());
        chmod(&copy.join("closed"), 0o755);
        for path in ["gone", "swap", "d/link"] {
            fs::remove_file(copy.join(path)).expect("removed");
        }
        for path in ["gonetree", "unswap"] {
            fs::remove_dir_all(copy.join(path)).expect("removed");
        }
        fill(&copy, SANDBOX);
        symlink("kept", copy.join("d/link")).expect("a link");
        [("closed", 0o555), ("d", 0o700), ("tree", 0o555)]
            .iter()
            .for_each(|(path, mode)| chmod(&copy.join(path), *mode));
        let after = read(&copy);
        assert!(before.contains_key(&b"untouched/x"[..]));
        after
    }

    pub(crate) fn now(&self) -> Tree {
        read(&self.place.workspace)
    }

    /// Every unit is as before or as after, but that an owner may have more permissions on a directory until the end. Gives
    /// which are after.
    pub(crate) fn check(&self, now: &Tree) -> Vec<&'static str> {
        let mut after = Vec::new();
        for unit in UNITS {
            let is = |tree: &Tree| part(now, unit) == part(tree, unit);
            assert!(is(&self.before) || is(&self.after), "{unit}: {:?}", part(now, unit));
            if is(&self.after) {
                after.push(*unit);
            }
        }
        let known = |path: &[u8]| {
            let is_staged = path.starts_with(b".stockade-apply-");
            is_staged || self.before.contains_key(path) || self.after.contains_key(path)
        };
        let strange: Vec<_> =
            now.keys().filter(|path| !known(path)).map(|path| String::from_utf8_lossy(path)).collect();
        assert!(strange.is_empty(), "{strange:?}");
        after
    }
}

/// The entries at and below a path; of `d`, which only gets another mode, itself.
fn part<'t>(tree: &'t Tree, unit: &str) -> BTreeMap<&'t [u8], Node> {
    let is_in = |path: &[u8]| {
        let path = Path::new(std::str::from_utf8(path).expect("text")).to_owned();
        path == Path::new(unit) || unit != "d" && path.starts_with(unit)
    };
    let permitted = |node: &Node| {
        let is_directory = node.mode & 0o170_000 == 0o040_000;
        Node { mode: node.mode | if is_directory { 0o700 } else { 0 }, ..node.clone() }
    };
    tree.iter().filter(|(path, _)| is_in(path)).map(|(path, node)| (&path[..], permitted(node))).collect()
}

/// Without times, and without the workspace itself.
fn read(root: &Path) -> Tree {
    let mut tree = tree::timeless(tree::read(root));
    tree.remove(&b""[..]);
    tree
}
