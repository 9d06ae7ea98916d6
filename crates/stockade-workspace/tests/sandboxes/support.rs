//! A workspace and a state directory for one test, and what overlayfs would leave in the layers of a sandbox.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode};
use stockade_workspace::StateDirectory;
use stockade_workspace::sandboxes::{
    Checkpoint, Locked, New, Programs, Sandbox, SandboxError, Sandboxes, Take, Unseen,
};

pub(crate) struct Place {
    _keep: tempfile::TempDir,
    pub(crate) base: PathBuf,
    pub(crate) workspace: PathBuf,
    pub(crate) sandboxes: Sandboxes,
}

impl Place {
    pub(crate) fn new() -> Self {
        // On a disk: in memory, where `/tmp` may be, not everything is as it is elsewhere.
        let disk = std::env::var_os("SANDBOXES_TEST_DISK").unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into());
        let keep = tempfile::tempdir_in(disk).expect("a directory");
        let base = keep.path().canonicalize().expect("its path");
        let workspace = base.join("project");
        fs::create_dir(&workspace).expect("a workspace");
        let sandboxes = sandboxes(&base);
        Self { _keep: keep, base, workspace, sandboxes }
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.base.join("state")
    }

    pub(crate) fn new_sandbox(&self) -> Sandbox {
        self.create(None).expect("a sandbox")
    }

    pub(crate) fn create(&self, name: Option<&str>) -> Result<Sandbox, SandboxError> {
        self.sandboxes.create(New {
            name,
            workspace: &self.workspace,
            settings: serde_json::json!({"policy": "default"}),
            once: false,
        })
    }

    pub(crate) fn host(&self, path: &str, text: &str) {
        write(&self.workspace, path, text);
    }

    /// Identifiers of all layers on disk.
    pub(crate) fn layers(&self) -> Vec<String> {
        names(&self.state().join("layers"))
            .into_iter()
            .filter(|name| !["lock", "unnamed"].contains(&name.as_str()))
            .collect()
    }

    /// What the sandbox shows of its workspace: files with their content, directories without.
    pub(crate) fn seen(&self, layers: &[PathBuf]) -> Seen {
        seen(layers, &self.workspace)
    }
}

/// The sandboxes of a place.
pub(crate) fn sandboxes(base: &Path) -> Sandboxes {
    let state = StateDirectory::new(&base.join("state")).expect("a state directory");
    Sandboxes::new(&state).expect("sandboxes")
}

pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Writes a file, as overlayfs would into `upper`.
pub(crate) fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("a parent")).expect("parents");
    fs::write(&path, text).expect("a file");
}

/// Says that there is nothing, as overlayfs would.
pub(crate) fn whiteout(root: &Path, path: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("a parent")).expect("parents");
    rustix::fs::mknodat(CWD, &path, FileType::CharacterDevice, Mode::empty(), 0).expect("a whiteout");
}

/// Makes a directory that hides what lies below it, as overlayfs would.
pub(crate) fn opaque(root: &Path, path: &str) {
    fs::create_dir_all(root.join(path)).expect("a directory");
    rustix::fs::setxattr(root.join(path), "user.overlay.opaque", b"y", rustix::fs::XattrFlags::empty())
        .expect("a mark");
}

pub(crate) type Seen = BTreeMap<String, String>;

/// The union of layers, top first, over a workspace, by the rules of overlayfs.
pub(crate) fn seen(layers: &[PathBuf], workspace: &Path) -> Seen {
    let mut seen = Seen::new();
    for root in [workspace].into_iter().chain(layers.iter().rev().map(PathBuf::as_path)) {
        let mode = fs::metadata(root).expect("a layer").mode() & 0o7777;
        if mode & 0o500 != 0o500 {
            set_mode(root, 0o700);
        }
        lay(root, "", &mut seen);
        if mode & 0o500 != 0o500 {
            set_mode(root, mode);
        }
    }
    seen
}

fn lay(root: &Path, prefix: &str, seen: &mut Seen) {
    for name in names(&root.join(prefix)) {
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let whole = root.join(&path);
        let status = fs::symlink_metadata(&whole).expect("status");
        let kind = status.file_type();
        let text = if kind.is_char_device() && status.rdev() == 0 {
            None
        } else if kind.is_dir() {
            Some(format!("directory {:o}", status.mode() & 0o7777))
        } else if kind.is_symlink() {
            Some(format!("-> {}", fs::read_link(&whole).expect("text").display()))
        } else if kind.is_file() {
            Some(String::from_utf8_lossy(&fs::read(&whole).expect("content")).into_owned())
        } else {
            Some(format!("{kind:?}"))
        };
        let mut mark = [0; 8];
        let is_opaque = kind.is_dir() && rustix::fs::getxattr(&whole, "user.overlay.opaque", &mut mark[..]).is_ok();
        if !kind.is_dir() || is_opaque || !seen.get(&path).is_some_and(|below| below.starts_with("directory ")) {
            let inside = format!("{path}/");
            seen.retain(|other, _| *other != path && !other.starts_with(&inside));
        }
        if let Some(text) = text {
            seen.insert(path.clone(), text);
        }
        if kind.is_dir() {
            lay(root, &path, seen);
        }
    }
}

/// Takes a checkpoint while no program runs.
pub(crate) fn checkpoint(sandbox: &mut Sandbox) -> Checkpoint {
    take(&mut sandbox.lock().expect("locked"), None, false)
}

pub(crate) fn take(locked: &mut Locked<'_>, label: Option<&str>, automatic: bool) -> Checkpoint {
    let label = label.map(|label| label.parse().expect("a label"));
    let programs = Programs::Stopped(None);
    locked.checkpoint(Take { label, automatic, programs }).expect("a checkpoint").checkpoint
}

/// Takes a checkpoint as if programs were frozen that have shared mappings of these files.
pub(crate) fn checkpoint_frozen(sandbox: &mut Sandbox, mapped: &[&str]) -> Checkpoint {
    let paths = mapped.iter().map(PathBuf::from).collect();
    checkpoint_unseen(sandbox, &Unseen { paths, ..Unseen::default() })
}

/// Takes a checkpoint as if programs were frozen that can change these files unseen.
pub(crate) fn checkpoint_unseen(sandbox: &mut Sandbox, unseen: &Unseen) -> Checkpoint {
    let mut thawed = 0;
    let mut thaw = || thawed += 1;
    let programs = Programs::Frozen { unseen, thaw: &mut thaw };
    let taken = sandbox.lock().expect("locked").checkpoint(Take { label: None, automatic: false, programs });
    assert_eq!(thawed, 1);
    taken.expect("a checkpoint").checkpoint
}

/// Waits until the clock that stamps files has moved on.
pub(crate) fn tick() {
    std::thread::sleep(Duration::from_millis(12));
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

/// A path as it is in the layers of a sandbox.
pub(crate) fn inode(path: &Path) -> u64 {
    let status = fs::symlink_metadata(path);
    status.unwrap_or_else(|error| panic!("{:?}: {error}", path.as_os_str().as_bytes())).ino()
}
