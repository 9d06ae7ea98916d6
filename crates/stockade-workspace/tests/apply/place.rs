//! A workspace, layers over it, and what was known of the host when they were written.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rustix::fs::{CWD, FileType, Mode, XattrFlags};
use stockade_spec::glob::{Case, Rules};
use stockade_workspace::apply::{self, Applied, ApplyError, ApplyPlan, Options, Progress, Request, Seen, Selection};
use stockade_workspace::layers::{Entry, Stack, changes};
use tempfile::TempDir;

pub(crate) struct Place {
    pub(crate) base: TempDir,
    pub(crate) workspace: PathBuf,
    /// Top first.
    pub(crate) layers: Vec<PathBuf>,
    pub(crate) folder: PathBuf,
    pub(crate) bases: Mutex<HashMap<PathBuf, Entry>>,
    pub(crate) options: Options,
}

pub(crate) fn rules() -> Rules {
    let texts = ["**/.git/hooks", "**/.git/config", "**/.envrc", "**/.husky", "**/.github/workflows"];
    Rules::new(texts, Case::Folded).expect("rules")
}

pub(crate) fn quiet() -> impl FnMut(Progress) {
    |_| ()
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::keep(tempfile::tempdir().expect("a directory"), 1)
    }

    pub(crate) fn with_layers(count: usize) -> Self {
        Self::keep(tempfile::tempdir().expect("a directory"), count)
    }

    /// In memory, where much is done quickly.
    pub(crate) fn in_memory() -> Self {
        Self::keep(tempfile::tempdir_in("/dev/shm").expect("a directory in memory"), 1)
    }

    fn keep(base: TempDir, count: usize) -> Self {
        let path = base.path().canonicalize().expect("its path");
        let workspace = path.join("host");
        fs::create_dir(&workspace).expect("a workspace");
        let layers: Vec<_> = (0..count).map(|at| path.join(format!("layer{at}"))).collect();
        layers.iter().for_each(|layer| fs::create_dir(layer).expect("a layer"));
        let folder = path.join("apply");
        Self { base, workspace, layers, folder, bases: Mutex::default(), options: Options::default() }
    }

    pub(crate) fn host(&self, path: impl AsRef<Path>, text: &str) -> &Self {
        write(&self.workspace.join(path), text);
        self
    }

    pub(crate) fn layer(&self, path: impl AsRef<Path>, text: &str) -> &Self {
        write(&self.layers[0].join(path), text);
        self
    }

    pub(crate) fn whiteout(&self, path: impl AsRef<Path>) -> &Self {
        let path = self.layers[0].join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("parents");
        rustix::fs::mknodat(CWD, &path, FileType::CharacterDevice, Mode::empty(), 0).expect("a whiteout");
        self
    }

    pub(crate) fn opaque(&self, path: impl AsRef<Path>) -> &Self {
        let path = self.layers[0].join(path);
        rustix::fs::setxattr(&path, "user.overlay.opaque", b"y", XattrFlags::empty()).expect("an attribute");
        self
    }

    /// Takes note of the host as it is now: what the sandbox begins with.
    pub(crate) fn note(&self) -> &Self {
        *self.bases.lock().expect("bases") = entries(&self.workspace);
        self
    }

    pub(crate) fn stack(&self) -> Stack {
        Stack::open(&self.layers, &self.workspace).expect("a stack")
    }

    pub(crate) fn seen(&self, path: &Path) -> Seen {
        Seen::Known { entry: self.bases.lock().expect("bases").get(path).copied(), copy: None }
    }

    /// Plans, and asks something of the plan.
    pub(crate) fn plan<T>(
        &self,
        selection: &Selection,
        ask: impl FnOnce(&ApplyPlan<'_>) -> T,
    ) -> Result<T, ApplyError> {
        self.plan_with(selection, &|path| self.seen(path), ask)
    }

    /// Plans with these bases, and asks something of the plan.
    pub(crate) fn plan_with<T>(
        &self,
        selection: &Selection,
        bases: &dyn Fn(&Path) -> Seen,
        ask: impl FnOnce(&ApplyPlan<'_>) -> T,
    ) -> Result<T, ApplyError> {
        plan_over(&self.stack(), &self.workspace, selection, bases, &self.options, ask)
    }

    pub(crate) fn try_apply(&self, selection: &Selection) -> Result<Applied, ApplyError> {
        self.plan(selection, |plan| apply::perform(plan, &self.folder, &mut quiet()))?
    }

    /// Applies everything, which ends well.
    pub(crate) fn apply(&self) -> Applied {
        let applied = self.try_apply(&Selection::Everything).expect("applied");
        self.check_tidy();
        applied
    }

    /// Nothing temporary is left in the workspace or the folder.
    pub(crate) fn check_tidy(&self) {
        let names = |path: &Path| -> Vec<_> {
            fs::read_dir(path).into_iter().flatten().map(|entry| entry.expect("an entry").file_name()).collect()
        };
        let left = names(&self.workspace);
        let temporary = left.iter().find(|name| name.to_string_lossy().starts_with(".stockade"));
        assert!(temporary.is_none(), "{left:?}");
        let left = names(&self.folder);
        assert!(left.iter().all(|name| name == "journal" || name == "old"), "{left:?}");
    }

    pub(crate) fn read(&self, path: impl AsRef<Path>) -> String {
        fs::read_to_string(self.workspace.join(path)).expect("a file")
    }

    pub(crate) fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.workspace.join(path).symlink_metadata().is_ok()
    }
}

/// Plans with the rules of these tests, and asks something of the plan.
fn plan_over<T>(
    stack: &Stack,
    workspace: &Path,
    selection: &Selection,
    bases: &dyn Fn(&Path) -> Seen,
    options: &Options,
    ask: impl FnOnce(&ApplyPlan<'_>) -> T,
) -> Result<T, ApplyError> {
    let (found, rules) = (changes(stack).expect("changes"), rules());
    let home = workspace.with_file_name("home");
    let request = Request { workspace, changes: &found, selection, rules: &rules, home: &home, bases, options };
    Ok(ask(&apply::plan(stack, &request)?))
}

/// Applies everything of a place that another process made.
#[allow(dead_code, reason = "only one of the test programs that share this file uses it")]
pub(crate) fn apply_found(base: &Path, folder: &Path) -> Applied {
    let workspace = base.join("host");
    let stack = Stack::open(&[base.join("layer0")], &workspace).expect("a stack");
    let known = entries(&workspace);
    let bases = |path: &Path| Seen::Known { entry: known.get(path).copied(), copy: None };
    let perform = |plan: &ApplyPlan<'_>| apply::perform(plan, folder, &mut quiet()).expect("applied");
    plan_over(&stack, &workspace, &Selection::Everything, &bases, &Options::default(), perform).expect("a plan")
}

/// Everything below a directory, and the directory itself by the empty path.
pub(crate) fn entries(root: &Path) -> HashMap<PathBuf, Entry> {
    let mut found = HashMap::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(path) = waiting.pop() {
        let whole = if path.as_os_str().is_empty() { root.to_owned() } else { root.join(&path) };
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        let status = rustix::fs::statx(CWD, &whole, flags, rustix::fs::StatxFlags::BASIC_STATS).expect("a status");
        let entry = Entry::of(&status);
        if entry.kind == stockade_workspace::layers::Kind::Directory {
            waiting.extend(
                fs::read_dir(&whole).expect("a directory").map(|entry| path.join(entry.expect("it").file_name())),
            );
        }
        found.insert(path, entry);
    }
    found
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("parents");
    fs::write(path, text).expect("a file");
}

/// Paths as text, for a test to compare.
pub(crate) fn texts<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Vec<&'a str> {
    paths.into_iter().map(|path| path.to_str().expect("text")).collect()
}
