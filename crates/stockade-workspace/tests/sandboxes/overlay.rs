//! Random work in sandboxes that are mounted as they are for programs: every checkpoint shows what overlayfs showed when it was
//! taken, whatever is done later, and what is done in one sandbox is seen in no other.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use stockade_workspace::sandboxes::{At, Sandbox};

use crate::operation::{Operation, operations};
use crate::support::{Place, checkpoint, checkpoint_frozen};
use crate::tree::{self, Tree};

const INSIDE: &str = "SANDBOXES_TEST_INSIDE";

/// What is done with one of the sandboxes, chosen by a number.
#[derive(Clone, Debug)]
enum Step {
    /// Programs work, and while they are frozen in between, a checkpoint is taken.
    Work(usize, Vec<Vec<Operation>>),
    Checkpoint(usize),
    Restore(usize, usize),
    Fork(usize, Option<usize>),
    Discard(usize),
    Forget(usize, usize),
    Compact(usize),
    Remove(usize),
    Tidy,
}

fn step() -> impl Strategy<Value = Step> {
    use Step::*;
    let any = || 0..1000_usize;
    prop_oneof![
        8 => (any(), prop::collection::vec(operations(0..8), 1..4)).prop_map(|(at, work)| Work(at, work)),
        6 => any().prop_map(Checkpoint),
        3 => (any(), any()).prop_map(|(at, checkpoint)| Restore(at, checkpoint)),
        2 => (any(), prop::option::of(any())).prop_map(|(at, checkpoint)| Fork(at, checkpoint)),
        1 => any().prop_map(Discard),
        1 => (any(), any()).prop_map(|(at, checkpoint)| Forget(at, checkpoint)),
        2 => any().prop_map(Compact),
        1 => any().prop_map(Remove),
        1 => Just(Tidy),
    ]
}

/// What a sandbox should show.
#[derive(Clone, Debug)]
struct Model {
    name: String,
    now: Tree,
    checkpoints: BTreeMap<String, Tree>,
}

/// A tree, without the time of its root: that something was made and removed there makes no state a new one.
fn read(root: &Path) -> Tree {
    let mut tree = tree::read(root);
    tree.entry(Vec::new()).and_modify(|root| root.modified = (0, 0));
    tree
}

struct World {
    place: Place,
    host: Tree,
    models: Vec<Model>,
}

impl World {
    fn new(host: &[Operation]) -> Self {
        let place = Place::new();
        for operation in host {
            // What fails is part of the game, here and below.
            drop(operation.run(&place.workspace));
        }
        let name = place.new_sandbox().name().to_owned();
        let host = read(&place.workspace);
        let model = Model { name, now: host.clone(), checkpoints: BTreeMap::new() };
        Self { place, host, models: vec![model] }
    }

    fn open(&self, at: usize) -> Sandbox {
        self.place.sandboxes.open(&self.models[at].name).expect("opened")
    }

    /// Mounts a sandbox as it is for programs, and gives what is seen at the end.
    fn mounted(&self, sandbox: &Sandbox, action: impl FnOnce(&Path)) -> Tree {
        let lower: Vec<PathBuf> = sandbox.under().into_iter().chain([self.place.workspace.clone()]).collect();
        let upper = [("upperdir", sandbox.upper()), ("workdir", sandbox.work())];
        self.overlay(&lower, &upper, action)
    }

    /// What a checkpoint shows.
    fn shown(&self, sandbox: &Sandbox, checkpoint: &str) -> Tree {
        let layers = sandbox.layers_of(checkpoint).expect("layers");
        if layers.is_empty() {
            return read(&self.place.workspace);
        }
        let lower: Vec<PathBuf> = layers.into_iter().chain([self.place.workspace.clone()]).collect();
        self.overlay(&lower, &[], |_| {})
    }

    fn overlay(&self, lower: &[PathBuf], upper: &[(&str, PathBuf)], action: impl FnOnce(&Path)) -> Tree {
        let root = self.place.base.join("root");
        fs::create_dir_all(&root).expect("a place");
        let lower: Vec<_> = lower.iter().map(|path| path.as_os_str().as_bytes()).collect();
        let mut options = [b"userxattr,lowerdir=", &lower.join(&b':')[..]].concat();
        for (name, path) in upper {
            options.extend([b",", name.as_bytes(), b"=", path.as_os_str().as_bytes()].concat());
        }
        let options = CString::new(options).expect("options");
        mount("overlay", &root, "overlay", MountFlags::empty(), Some(&options[..])).expect("overlayfs");
        action(&root);
        let seen = read(&root);
        unmount(&root, UnmountFlags::empty()).expect("unmounted");
        seen
    }

    fn run(&mut self, step: &Step) {
        let at = |number: usize| number % self.models.len();
        match step {
            Step::Work(number, work) => self.work(at(*number), work),
            Step::Checkpoint(number) => {
                let at = at(*number);
                let taken = checkpoint(&mut self.open(at));
                let now = self.models[at].now.clone();
                self.models[at].checkpoints.insert(taken.name, now);
            }
            Step::Restore(number, checkpoint) => {
                let at = at(*number);
                let Some((name, tree)) = self.models[at].pick(*checkpoint) else { return };
                let restored = self.open(at).lock().expect("locked").restore(&name, None).expect("restored");
                self.models[at].went_to(tree, restored.kept.map(|kept| kept.name));
            }
            Step::Discard(number) => {
                let at = at(*number);
                let discarded = self.open(at).lock().expect("locked").discard(None).expect("discarded");
                let host = self.host.clone();
                self.models[at].went_to(host, discarded.kept.map(|kept| kept.name));
            }
            Step::Fork(number, checkpoint) => self.fork(at(*number), *checkpoint),
            Step::Forget(number, checkpoint) => {
                let at = at(*number);
                let Some((name, _)) = self.models[at].pick(*checkpoint) else { return };
                self.open(at).lock().expect("locked").forget(&name).expect("forgotten");
                self.models[at].checkpoints.remove(&name);
            }
            Step::Compact(number) => {
                self.open(at(*number)).lock().expect("locked").compact(None).expect("merged");
            }
            Step::Remove(number) => {
                let at = at(*number);
                if self.models.len() > 1 {
                    self.place.sandboxes.remove(&self.models.remove(at).name).expect("removed");
                }
            }
            Step::Tidy => {
                let tidied = self.place.sandboxes.tidy().expect("tidied");
                let nothing = tidied.recovered.is_empty() && tidied.folders == 0 && tidied.failures.is_empty();
                // A copy that was only kept to be used again may have been replaced.
                assert!(nothing, "{tidied:?}");
            }
        }
    }

    fn work(&mut self, at: usize, work: &[Vec<Operation>]) {
        let mut sandbox = self.open(at);
        sandbox.lock().expect("locked").begin_window().expect("begun");
        let mut taken = Vec::new();
        let shared = std::cell::RefCell::new(&mut sandbox);
        let opened = self.open(at);
        let now = self.mounted(&opened, |root| {
            for (place, operations) in work.iter().enumerate() {
                if place > 0 {
                    let name = checkpoint_frozen(&mut shared.borrow_mut(), &[]).name;
                    taken.push((name, read(root)));
                }
                for operation in operations {
                    drop(operation.run(root));
                }
            }
        });
        self.models[at].now = now;
        self.models[at].checkpoints.extend(taken);
    }

    fn fork(&mut self, at: usize, checkpoint: Option<usize>) {
        if self.models.len() >= 4 {
            return;
        }
        let model = &self.models[at];
        let picked = checkpoint.and_then(|checkpoint| model.pick(checkpoint));
        let from = picked.as_ref().map_or(At::Now, |(name, _)| At::Checkpoint(name));
        let fork = self.place.sandboxes.fork(&model.name, from, None).expect("a fork");
        let now = picked.as_ref().map_or(&model.now, |(_, tree)| tree).clone();
        if from == At::Now {
            let head = self.open(at).head().expect("a checkpoint").name;
            self.models[at].checkpoints.insert(head, now.clone());
        }
        let known = &self.models[at].checkpoints;
        let own = fork.log().into_iter().map(|branch| branch.checkpoint.name);
        let checkpoints = own.map(|name| (name.clone(), known[&name].clone())).collect();
        self.models.push(Model { name: fork.name().to_owned(), now, checkpoints });
    }

    /// Everything shows what it should.
    fn check(&self) {
        assert_eq!(read(&self.place.workspace), self.host, "the host has changed");
        for (at, model) in self.models.iter().enumerate() {
            let sandbox = self.open(at);
            assert_eq!(self.mounted(&sandbox, |_| {}), model.now, "{} now", model.name);
            let names: Vec<_> = sandbox.log().into_iter().map(|branch| branch.checkpoint.name).collect();
            assert_eq!(names.len(), model.checkpoints.len(), "{names:?}");
            for (name, tree) in &model.checkpoints {
                assert_eq!(&self.shown(&sandbox, name), tree, "{} at {name}", model.name);
            }
            for (id, _) in sandbox.digests() {
                let verified = sandbox.verify_layer(id).expect("compared");
                assert!(verified.is_good(), "{}: {verified:?}", model.name);
            }
        }
    }
}

impl Model {
    fn pick(&self, number: usize) -> Option<(String, Tree)> {
        let at = number.checked_rem(self.checkpoints.len())?;
        self.checkpoints.iter().nth(at).map(|(name, tree)| (name.clone(), tree.clone()))
    }

    fn went_to(&mut self, tree: Tree, kept: Option<String>) {
        let before = std::mem::replace(&mut self.now, tree);
        self.checkpoints.extend(kept.map(|name| (name, before)));
    }
}

#[test]
fn checkpoints_stay_as_they_were_and_sandboxes_apart() {
    // In namespaces, where an ordinary user may mount an overlay: this program again.
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "--"])
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", "overlay::inside", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare(1) of util-linux");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// Does nothing but when the test above starts it.
#[test]
fn inside() {
    if std::env::var_os(INSIDE).is_none() {
        return;
    }
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(40);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) };
    let steps = (operations(0..20), prop::collection::vec(step(), 1..30));
    let result = TestRunner::new(config).run(&steps, |(host, steps)| {
        let mut world = World::new(&host);
        for step in &steps {
            world.run(step);
        }
        world.check();
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
