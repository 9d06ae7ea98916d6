//! Another program that changes the host's files at the very moment at which they are applied.
//!
//! It only ever renames, so that every file of the host that was there before an apply has to be somewhere afterwards: in the
//! workspace, where the program put it, or in the old layer.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{CWD, FileType, Mode, RenameFlags};
use stockade_workspace::apply::{self, Selection};

use crate::place::Place;

const SECRET: &str = "secret that nothing may touch";

/// Names that are swapped over all tests of this module: 100,000.
const SWAPS: u64 = 25_000;

/// Applies that there have to be meanwhile.
const APPLIES: u32 = 100;

struct Race {
    place: Place,
    /// What the other program swaps with.
    decoys: PathBuf,
    outside: PathBuf,
}

impl Race {
    fn new() -> Self {
        let place = Place::in_memory();
        let base = place.base.path().canonicalize().expect("its path");
        let (decoys, outside) = (base.join("decoys"), base.join("outside"));
        fs::create_dir(&decoys).expect("a directory");
        fs::create_dir_all(outside.join("d")).expect("a directory");
        for path in ["secret", "d/file", "d/gone"] {
            fs::write(outside.join(path), SECRET).expect("a file");
        }
        Self { place, decoys, outside }
    }

    fn host(&self, path: &str) -> PathBuf {
        self.place.workspace.join(path)
    }

    /// Makes the workspace and the decoys anew by `reset`, applies while `swap` runs, and looks at everything by `check`; again
    /// and again.
    fn run(&self, reset: impl Fn(), swap: impl Fn(u64) + Sync, check: impl Fn()) {
        let (world, count, end) = (RwLock::new(()), AtomicU64::new(0), AtomicU64::new(u64::MAX));
        let mut outcomes = [0; 4];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while count.load(Ordering::Relaxed) < end.load(Ordering::Relaxed) {
                    let running = world.read().expect("the world");
                    swap(count.fetch_add(1, Ordering::Relaxed));
                    drop(running);
                }
            });
            let mut applies = 0;
            while applies < APPLIES || count.load(Ordering::Relaxed) < SWAPS {
                let stopped = world.write().expect("the world");
                for root in [&self.place.workspace, &self.decoys] {
                    fs::remove_dir_all(root).expect("removed");
                    fs::create_dir(root).expect("made");
                }
                reset();
                self.place.note();
                let before = self.files();
                drop(stopped);
                let result = self.place.try_apply(&Selection::Everything);
                let stopped = world.write().expect("the world");
                if let Ok(applied) = result {
                    let kept = applied.conflicts.iter().filter(|conflict| conflict.kept.is_some()).count();
                    let counts = [applied.done.len(), applied.conflicts.len(), applied.failed.len(), kept];
                    outcomes.iter_mut().zip(counts).for_each(|(all, count)| *all += count);
                }
                let lost: Vec<_> = before.difference(&self.files()).copied().collect();
                assert!(lost.is_empty(), "{lost:?} of {before:?}");
                self.check_outside();
                self.place.check_tidy();
                check();
                apply::close(&self.place.folder).expect("closed");
                drop(stopped);
                applies += 1;
            }
            end.store(0, Ordering::Relaxed);
        });
        assert!(outcomes[0] > 0 && outcomes[1] > 0, "nothing met: {outcomes:?}");
    }

    /// The inodes of everything of the host's.
    fn files(&self) -> BTreeSet<u64> {
        let mut found = BTreeSet::new();
        let old = self.place.folder.join("old");
        let mut waiting = vec![self.place.workspace.clone(), self.decoys.clone(), old];
        while let Some(path) = waiting.pop() {
            for entry in fs::read_dir(path).into_iter().flatten() {
                let path = entry.expect("an entry").path();
                let metadata = path.symlink_metadata().expect("it");
                found.insert(metadata.ino());
                if metadata.is_dir() {
                    waiting.push(path);
                }
            }
        }
        found
    }

    fn check_outside(&self) {
        let names = |path: &Path| fs::read_dir(path).expect("it").count();
        assert_eq!((names(&self.outside), names(&self.outside.join("d"))), (2, 2));
        for path in ["secret", "d/file", "d/gone"] {
            let path = self.outside.join(path);
            assert_eq!(fs::read_to_string(&path).expect("it"), SECRET);
            let metadata = path.metadata().expect("it");
            assert_eq!((metadata.nlink(), metadata.mode() & 0o7777), (1, 0o644));
        }
    }
}

fn exchange(one: &Path, other: &Path) {
    drop(rustix::fs::renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).map_err(std::io::Error::from));
}

fn rename(from: &Path, to: &Path) {
    drop(rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).map_err(std::io::Error::from));
}

/// What may lie at a name of these tests: a whole file of one side, or a decoy.
fn check_whole(path: &Path) {
    let Ok(metadata) = path.symlink_metadata() else { return };
    let kind = metadata.file_type();
    if kind.is_file() {
        let text = fs::read_to_string(path).expect("text");
        assert!(["host's", "sandbox's", "decoy"].contains(&text.as_str()), "{}: {text}", path.display());
    } else {
        assert!(kind.is_symlink() || kind.is_dir() || kind.is_fifo(), "{}", path.display());
    }
}

#[test]
fn files_that_are_swapped_for_links_directories_and_pipes() {
    const FILES: u64 = 12;
    let race = Race::new();
    for number in 0..FILES {
        match number % 3 {
            0 => race.place.whiteout(format!("f{number}")),
            _ => race.place.layer(format!("f{number}"), "sandbox's"),
        };
    }
    let reset = || {
        for number in 0..FILES {
            race.place.host(format!("f{number}"), "host's");
            let decoy = race.decoys.join(format!("f{number}"));
            match number % 4 {
                0 => symlink(race.outside.join("secret"), decoy).expect("a link"),
                1 => fs::create_dir_all(decoy.join("sub/sub")).expect("a directory"),
                2 => rustix::fs::mknodat(CWD, decoy, FileType::Fifo, Mode::RUSR, 0).expect("a pipe"),
                _ => fs::write(decoy, "decoy").expect("a file"),
            }
        }
    };
    let swap = |count: u64| {
        let name = format!("f{}", count % FILES);
        exchange(&race.host(&name), &race.decoys.join(&name));
    };
    race.run(reset, swap, || (0..FILES).for_each(|number| check_whole(&race.host(&format!("f{number}")))));
}

#[test]
fn directories_that_are_swapped_for_links_and_moved_away() {
    let race = Race::new();
    race.place
        .layer("d/file", "sandbox's")
        .layer("d/new", "sandbox's")
        .whiteout("d/gone")
        .layer("d/tree/x", "sandbox's");
    let reset = || {
        race.place.host("d/file", "host's").host("d/gone", "host's");
        symlink(race.outside.join("d"), race.decoys.join("link")).expect("a link");
        fs::write(race.decoys.join("file"), "decoy").expect("a file");
    };
    let swap = |count: u64| match count % 6 {
        0 | 1 => exchange(&race.host("d"), &race.decoys.join("link")),
        2 | 3 => exchange(&race.host("d"), &race.decoys.join("file")),
        4 => rename(&race.host("d"), &race.decoys.join("moved")),
        _ => rename(&race.decoys.join("moved"), &race.host("d")),
    };
    race.run(reset, swap, || {
        let is_link = |path: &PathBuf| path.is_symlink();
        for dir in [race.host("d"), race.decoys.join("moved")].iter().filter(|path| !is_link(path)) {
            ["file", "gone", "new", "tree/x"].iter().for_each(|name| check_whole(&dir.join(name)));
        }
    });
}

#[test]
fn directories_that_go_while_something_comes_to_be_in_them() {
    let race = Race::new();
    race.place.whiteout("d").layer("e", "sandbox's");
    let reset = || {
        for dir in ["d", "e"] {
            race.place.host(format!("{dir}/file"), "host's").host(format!("{dir}/sub/file"), "host's");
            fs::create_dir_all(race.decoys.join(dir).join("other")).expect("a directory");
        }
        fs::write(race.decoys.join("precious"), "decoy").expect("a file");
    };
    let swap = |count: u64| {
        let dir = ["d", "e"][usize::try_from(count / 6).expect("few") % 2];
        match count % 6 {
            0 => rename(&race.decoys.join("precious"), &race.host(dir).join("sub/precious")),
            1 => rename(&race.host(dir).join("sub/precious"), &race.decoys.join("precious")),
            2 | 3 => exchange(&race.host(dir), &race.decoys.join(dir)),
            4 => rename(&race.host(dir).join("file"), &race.host(dir).join("sub/renamed")),
            _ => rename(&race.host(dir).join("sub/renamed"), &race.host(dir).join("file")),
        }
    };
    race.run(reset, swap, || {
        for path in ["d/file", "d/sub/file", "d/sub/precious", "e", "e/file", "e/sub/precious"] {
            check_whole(&race.host(path));
        }
    });
}

#[test]
fn names_that_appear_where_something_is_added() {
    const FILES: u64 = 8;
    let race = Race::new();
    for number in 0..FILES {
        race.place.layer(format!("n{number}"), "sandbox's");
    }
    race.place.layer("t/x", "sandbox's");
    let reset = || {
        race.place.host("kept", "host's");
        (0..FILES).for_each(|number| fs::write(race.decoys.join(format!("n{number}")), "decoy").expect("a file"));
        symlink(&race.outside, race.decoys.join("t")).expect("a link");
    };
    let swap = |count: u64| {
        let name = if count % 8 == 7 { "t".to_owned() } else { format!("n{}", count / 2 % FILES) };
        let (host, decoy) = (race.host(&name), race.decoys.join(&name));
        if count.is_multiple_of(2) { rename(&decoy, &host) } else { rename(&host, &decoy) }
    };
    race.run(reset, swap, || (0..FILES).for_each(|number| check_whole(&race.host(&format!("n{number}")))));
}
