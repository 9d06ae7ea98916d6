//! Another program renames at a place, so that every race is met, not only those that chance brings about.
//!
//! It only renames, so that whatever the host had has to be somewhere afterwards.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{CWD, RenameFlags};
use stockade_workspace::apply::{self, Selection};
use stockade_workspace::fault;

use crate::place::Place;
use crate::scene::Scene;
use crate::tree;

/// Names that are swapped: of each sort of step, and directories above them.
const NAMES: &[&str] = &[
    "a",
    "gone",
    "new",
    "d",
    "d/link",
    "tree",
    "gonetree",
    "gonetree/x",
    "swap",
    "unswap",
    "closed",
    "closed/x",
    "e",
    "e/sub",
];

/// What is done at a place to a name, and how often at the places after it.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Exchanges it with a file, a link that leads out of the workspace, or a directory; puts a file there if nothing is.
    Exchange(&'static str),
    /// Moves it out of the workspace, and back.
    Move,
}

struct Raced {
    place: Place,
    decoys: PathBuf,
    outside: PathBuf,
}

impl Raced {
    fn new(elsewhere: Option<&Path>) -> Self {
        let place = Scene::make(elsewhere);
        let base = place.workspace.parent().expect("a parent").to_owned();
        let (decoys, outside) = (base.join("decoys"), base.join("outside"));
        fs::create_dir_all(decoys.join("directory/x")).expect("a directory");
        fs::write(decoys.join("directory/x/y"), "y of a decoy").expect("a file");
        fs::write(decoys.join("file"), "a decoy").expect("a file");
        for path in ["x", "sub"] {
            fs::create_dir_all(outside.join(path)).expect("a directory");
        }
        for path in ["x/y", "link", "in", "kept", "it", "sub/x"] {
            fs::write(outside.join(path), "precious").expect("a file");
        }
        symlink(&outside, decoys.join("link")).expect("a link");
        Self { place, decoys, outside }
    }

    /// The texts of all files that are not the sandbox's.
    fn texts(&self) -> BTreeSet<String> {
        let old = self.place.folder.join("old");
        let mut waiting = vec![self.place.workspace.clone(), self.decoys.clone(), old];
        let mut found = BTreeSet::new();
        while let Some(path) = waiting.pop() {
            for entry in fs::read_dir(path).into_iter().flatten() {
                let entry = entry.expect("an entry");
                let kind = entry.file_type().expect("a kind");
                if kind.is_dir() {
                    waiting.push(entry.path());
                } else if kind.is_file() {
                    let text = fs::read_to_string(entry.path()).expect("text");
                    // A file of the sandbox's is whole or not there.
                    assert!(
                        ["before", "after", "kept", "file", "directory", "x", "decoy"].contains(&last(&text)),
                        "{text}"
                    );
                    found.insert(text);
                }
            }
        }
        found.retain(|text| !text.ends_with("after"));
        found
    }

    /// Applies with something done at `places` places from one on. Gives how many there were.
    fn apply(&self, name: &str, act: Act, from: u32, places: u32) -> u32 {
        let (host, decoys) = (self.place.workspace.join(name), self.decoys.clone());
        let at_move = Rc::new(RefCell::new(None));
        let seen = Rc::clone(&at_move);
        fault::watch(move |number| {
            if (from..from + places).contains(&number) {
                let moved = decoys.join("moved");
                match act {
                    Act::Exchange(decoy) => {
                        let decoy = decoys.join(decoy);
                        if rename(&decoy, &host, RenameFlags::EXCHANGE).is_err() {
                            rename(&decoy, &host, RenameFlags::NOREPLACE).ok();
                        }
                    }
                    Act::Move => {
                        let gone = rename(&host, &moved, RenameFlags::NOREPLACE).is_ok();
                        if !gone {
                            rename(&moved, &host, RenameFlags::NOREPLACE).ok();
                        }
                        seen.replace(gone.then(|| snapshot(&moved)));
                    }
                }
            }
        });
        let applied = self.place.try_apply(&Selection::Everything).expect("applied");
        let passed = fault::unwatch();
        // What was moved out of the workspace is left as it was then; or as it was before, where that was in the midst of a step.
        if let Some(then) = at_move.take() {
            let before = snapshot(&Scene::make(None).workspace.join(name));
            for file in snapshot(&self.decoys.join("moved")) {
                let is_known = then.contains(&file) || before.contains(&file);
                assert!(is_known, "{name} {act:?} at {from}: {file:?} outside of the workspace");
            }
        }
        self.check_old();
        KEPT.set(KEPT.get() + u32::from(applied.conflicts.iter().any(|conflict| conflict.kept.is_some())));
        REFUSED.set(REFUSED.get() + u32::from(!applied.conflicts.is_empty()));
        passed
    }

    /// The old layer holds what the host had, and nothing that came later.
    fn check_old(&self) {
        let mut waiting = vec![PathBuf::new()];
        let old = self.place.folder.join("old");
        let before = Scene::make(None);
        while let Some(path) = waiting.pop() {
            for entry in fs::read_dir(old.join(&path)).into_iter().flatten() {
                let entry = entry.expect("an entry");
                let path = path.join(entry.file_name());
                let kind = entry.file_type().expect("a kind");
                if kind.is_dir() {
                    waiting.push(path);
                } else if kind.is_file() {
                    let text = |root: &Path| fs::read_to_string(root.join(&path)).expect("text");
                    assert_eq!(text(&old), text(&before.workspace), "{}", path.display());
                } else {
                    assert!(kind.is_char_device(), "{}", path.display());
                    assert!(!before.workspace.join(&path).exists(), "{}", path.display());
                }
            }
        }
    }

    fn check_outside(&self) {
        let count = |path: &Path| fs::read_dir(path).expect("it").count();
        assert_eq!(["", "x", "sub"].map(|path| count(&self.outside.join(path))), [6, 1, 1]);
        for path in ["x/y", "link", "in", "kept", "it", "sub/x"] {
            assert_eq!(fs::read_to_string(self.outside.join(path)).expect("it"), "precious");
        }
    }
}

thread_local! {
    static KEPT: Cell<u32> = const { Cell::new(0) };
    static REFUSED: Cell<u32> = const { Cell::new(0) };
}

/// What lies at a path, but for modes and times.
fn snapshot(path: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    if path.is_dir() {
        return tree::read(path).into_iter().map(|(path, node)| (path, node.content)).collect();
    }
    vec![(Vec::new(), fs::read(path).unwrap_or_default())]
}

fn last(text: &str) -> &str {
    text.rsplit(' ').next().unwrap_or(text)
}

fn rename(from: &Path, to: &Path, flags: RenameFlags) -> rustix::io::Result<()> {
    rustix::fs::renameat_with(CWD, from, CWD, to, flags)
}

/// Races an apply at every place, at each name in turn.
fn race_everywhere(elsewhere: Option<&Path>, act: Act, places: u32) {
    let running = Rc::new(Cell::new(true));
    for name in NAMES {
        let mut from = 0;
        running.set(true);
        while running.get() {
            let raced = Raced::new(elsewhere);
            let before = raced.texts();
            let passed = raced.apply(name, act, from, places);
            let case = format!("{name} {act:?} at {from}, {places} times");
            let lost: Vec<_> = before.difference(&raced.texts()).cloned().collect();
            assert!(lost.is_empty(), "{case}: {lost:?}");
            raced.check_outside();
            raced.place.check_tidy();
            apply::close(&raced.place.folder).expect("closed");
            running.set(from < passed);
            // On a disk, each takes as long as writing to it does.
            let is_main = matches!((act, places), (Act::Exchange("file"), 2)) && !name.contains('/');
            from += if elsewhere.is_some() && !is_main { 7 } else { 1 + places / 2 };
        }
    }
    assert!(REFUSED.get() > 50, "{}", REFUSED.get());
    if places > 1 && elsewhere.is_none() && matches!(act, Act::Exchange("file")) {
        assert!(KEPT.get() > 0, "no race was met in which a version is kept");
    }
}

#[test]
fn a_file_takes_the_place() {
    race_everywhere(None, Act::Exchange("file"), 1);
}

#[test]
fn a_file_takes_the_place_again_and_again() {
    race_everywhere(None, Act::Exchange("file"), 2);
    race_everywhere(None, Act::Exchange("file"), 5);
}

#[test]
fn a_link_takes_the_place() {
    race_everywhere(None, Act::Exchange("link"), 1);
}

#[test]
fn a_directory_takes_the_place() {
    race_everywhere(None, Act::Exchange("directory"), 1);
    race_everywhere(None, Act::Exchange("directory"), 2);
}

#[test]
fn it_is_moved_away() {
    race_everywhere(None, Act::Move, 1);
    race_everywhere(None, Act::Move, 2);
}

#[test]
fn an_apply_from_another_file_system_is_raced() {
    let elsewhere = tempfile::tempdir().expect("a directory on a disk");
    for (act, places) in [(Act::Exchange("file"), 2), (Act::Exchange("link"), 2), (Act::Exchange("directory"), 3)] {
        race_everywhere(Some(elsewhere.path()), act, places);
    }
}
