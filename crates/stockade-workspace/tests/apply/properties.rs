//! Random work in a real overlay, applied.

use std::collections::HashMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use stockade_spec::glob::{Case, Rules};
use stockade_workspace::apply::{self, Applied, Options, Request, Seen, Selection};
use stockade_workspace::layers::{Change, Entry, Kind, Stack, Status, changes};
use tempfile::TempDir;

use crate::inside::Job;
use crate::operation::{Operation, operations};
use crate::place::{entries, quiet};
use crate::tree::{self, Node, Tree, timeless};

/// 100, or as many as the environment says.
fn cases() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(100);
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

struct Written {
    base: TempDir,
    job: Job,
    /// What overlayfs shows.
    seen: Tree,
    /// The host before.
    host: Tree,
    bases: HashMap<PathBuf, Entry>,
}

fn write(host: &[Operation], layers: &[Vec<Operation>]) -> Written {
    let base = tempfile::tempdir().expect("a directory");
    let workspace = base.path().canonicalize().expect("its path").join("host");
    fs::create_dir(&workspace).expect("a workspace");
    for operation in host {
        drop(operation.run(&workspace));
    }
    let bases = entries(&workspace);
    let paths: Vec<PathBuf> = (0..layers.len()).map(|at| base.path().join(at.to_string())).collect();
    paths.iter().for_each(|path| fs::create_dir(path).expect("a layer"));
    let writes = paths.iter().cloned().zip(layers.iter().cloned()).collect();
    let mut job = Job { base: base.path().to_owned(), workspace, layers: Vec::new(), writes };
    let seen = job.run();
    job.writes.clear();
    job.layers = paths.into_iter().rev().collect();
    let host = tree::read(&job.workspace);
    Written { base, job, seen, host, bases }
}

impl Written {
    fn apply(&self, folder: &Path) -> Option<(Vec<Change>, Applied)> {
        let stack = Stack::open(&self.job.layers, &self.job.workspace).expect("a stack");
        let found = changes(&stack).expect("changes");
        if found.is_empty() {
            return None;
        }
        let bits = found.iter().filter(|change| change.new.is_some_and(|new| new.mode & 0o6000 != 0));
        let options = Options { protected: bits.map(|change| change.path.clone()).collect(), ..Options::default() };
        let plan = apply::plan(
            &stack,
            &Request {
                workspace: &self.job.workspace,
                changes: &found,
                selection: &Selection::Everything,
                rules: &Rules::new([""; 0], Case::Folded).expect("no rules"),
                home: Path::new("/nonexistent"),
                bases: &|path| Seen::Known { entry: self.bases.get(path).copied(), copy: None },
                options: &options,
            },
        );
        let plan = plan.expect("a plan");
        let applied = apply::perform(&plan, folder, &mut quiet()).expect("applied");
        Some((found, applied))
    }

    /// The tree of the workspace is that of the sandbox: to the nanosecond where anything was applied.
    fn check(&self, found: &[Change], applied: &Applied) {
        assert_eq!((&applied.conflicts[..], &applied.failed[..], &applied.held_back[..]), (&[][..], &[][..], &[][..]));
        assert_eq!(applied.done.len(), found.len());
        let now = tree::read(&self.job.workspace);
        let without_root =
            |tree: &Tree| -> Tree { timeless(tree.clone()).into_iter().filter(|(path, _)| !path.is_empty()).collect() };
        assert_eq!(without_root(&now), without_root(&self.seen));
        let time = |tree: &Tree, path: &[u8]| tree.get(path).map(|node: &Node| node.modified);
        for done in &applied.done {
            let path = done.path.as_os_str().as_bytes();
            assert_eq!(time(&now, path), time(&self.seen, path), "{done:?}");
            let parent = done.path.parent().expect("a parent").as_os_str().as_bytes();
            // A directory in which a directory got other attributes is not changed by that.
            let is_inside =
                done.status == Status::Attributes && done.entry.is_some_and(|it| it.kind == Kind::Directory);
            if !parent.is_empty() && !is_inside {
                assert_eq!(time(&now, parent), time(&self.seen, parent), "the directory of {done:?}");
            }
            let entry = entries(&self.job.workspace).get(&done.path).copied();
            assert_eq!(entry, done.entry, "{done:?}");
        }
        self.check_links(found);
    }

    /// Names of one file in the sandbox are names of one file on the host.
    fn check_links(&self, found: &[Change]) {
        let mut files: HashMap<_, Vec<&Path>> = HashMap::new();
        for change in found {
            if let Some(new) = change.new.filter(|new| new.links > 1 && new.kind == Kind::File) {
                files.entry((change.layer, new.inode)).or_default().push(&change.path);
            }
        }
        for names in files.values() {
            let inode = |path: &&Path| fs::symlink_metadata(self.job.workspace.join(path)).expect("it").ino();
            assert!(names.windows(2).all(|pair| inode(&pair[0]) == inode(&pair[1])), "{names:?}");
        }
    }

    /// The old layer over the new host shows the old host; with all layers over it, the sandbox sees what it saw.
    fn check_old(&mut self, applied: &Applied) {
        let Some(old) = &applied.old else { return };
        let layers = std::mem::replace(&mut self.job.layers, vec![old.clone()]);
        let mut host = self.host.clone();
        host.remove(&b""[..]);
        // A socket or pipe may be opened by nobody, so that only what can be read is compared.
        assert_eq!(self.job.run(), host, "what the host had");
        self.job.layers = layers.into_iter().chain([old.clone()]).collect();
        assert_eq!(self.job.run(), self.seen, "what the sandbox sees");
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn applying_gives_the_tree_of_the_sandbox(
        host in operations(5..50),
        layers in prop::collection::vec(operations(0..25), 1..4),
    ) {
        let mut written = write(&host, &layers);
        let folder = written.base.path().join("apply");
        if let Some((found, applied)) = written.apply(&folder) {
            written.check(&found, &applied);
            written.check_old(&applied);
            let stack = Stack::open(&written.job.layers, &written.job.workspace).expect("a stack");
            prop_assert_eq!(changes(&stack).expect("changes"), [], "nothing is left to apply");
            prop_assert_eq!(apply::resume(&folder).expect("the report"), Some(applied));
            apply::close(&folder).expect("closed");
            prop_assert!(fs::read_dir(&folder).expect("the folder").next().is_none());
            prop_assert_eq!(apply::resume(&folder).expect("nothing"), None);
        }
    }

    /// The same where the sandbox's folder is on another file system.
    #[test]
    fn applying_from_another_file_system_does_the_same(
        host in operations(5..50),
        layers in prop::collection::vec(operations(0..25), 1..3),
    ) {
        let mut written = write(&host, &layers);
        let memory = tempfile::tempdir_in("/dev/shm").expect("a directory in memory");
        let folder = memory.path().join("apply");
        if let Some((found, applied)) = written.apply(&folder) {
            written.check(&found, &applied);
            written.check_old(&applied);
        }
    }
}
