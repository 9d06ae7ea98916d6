//! The part of a test that has to be inside of namespaces, where an ordinary user may mount an overlay: this program again.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde::{Deserialize, Serialize};

use crate::operation::Operation;
use crate::tree::{self, Tree};

const JOB: &str = "LAYERS_TEST_JOB";

/// Layers over a workspace, to be written by doing something in each, and to be looked at.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) base: PathBuf,
    pub(crate) workspace: PathBuf,
    /// Top first.
    pub(crate) layers: Vec<PathBuf>,
    /// New layers on top, one after another, each with what is done in it.
    pub(crate) writes: Vec<(PathBuf, Vec<Operation>)>,
}

impl Job {
    /// Has it done. Gives the tree that overlayfs shows at the end.
    pub(crate) fn run(&self) -> Tree {
        let file = self.base.join("job");
        fs::write(&file, serde_json::to_string(self).expect("JSON")).expect("the job");
        let mut command = Command::new("unshare");
        command
            .args(["--user", "--map-root-user", "--mount", "--"])
            .arg(std::env::current_exe().expect("this program"));
        let output = command.args(["--exact", "inside::work", "--nocapture"]).env(JOB, &file).output();
        let output = output.expect("unshare(1) of util-linux");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "overlayfs in a user namespace: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = fs::read_to_string(self.base.join("tree")).expect("what was seen");
        serde_json::from_str::<Vec<_>>(&text).expect("a tree").into_iter().collect()
    }
}

/// Does nothing but when [`Job::run`] starts it.
#[test]
fn work() {
    let Some(file) = std::env::var_os(JOB) else { return };
    let job: Job = serde_json::from_str(&fs::read_to_string(file).expect("the job")).expect("a job");
    let mut lower = job.layers.clone();
    for (layer, operations) in &job.writes {
        with_overlay(&job, &lower, layer, |root| {
            for operation in operations {
                // What fails is part of the game.
                drop(operation.run(root));
            }
        });
        lower.insert(0, layer.clone());
    }
    let nothing = job.base.join("nothing");
    fs::create_dir(&nothing).expect("an empty layer");
    with_overlay(&job, &lower, &nothing, |root| {
        // The root's own attributes are those of the layer that was made to look through.
        let tree: Vec<_> = tree::read(root).into_iter().filter(|(path, _)| !path.is_empty()).collect();
        fs::write(job.base.join("tree"), serde_json::to_string(&tree).expect("JSON")).expect("the tree");
    });
    fs::remove_dir(&nothing).expect("looking changed something");
}

fn with_overlay(job: &Job, lower: &[PathBuf], upper: &Path, action: impl FnOnce(&Path)) {
    let (root, work) = (job.base.join("root"), job.base.join("work"));
    fs::create_dir_all(&root).expect("a place");
    fs::create_dir_all(&work).expect("a place");
    let lower: Vec<_> = lower.iter().chain([&job.workspace]).map(|path| path.as_os_str().as_bytes()).collect();
    let options = [b"userxattr,lowerdir=", &lower.join(&b':')[..], b",upperdir=", upper.as_os_str().as_bytes()];
    let options = [&options.concat()[..], b",workdir=", work.as_os_str().as_bytes()].concat();
    let options = CString::new(options).expect("options");
    mount("overlay", &root, "overlay", MountFlags::empty(), Some(&options[..])).expect("overlayfs");
    action(&root);
    unmount(&root, UnmountFlags::empty()).expect("unmounted");
    fs::remove_dir_all(&work).expect("overlayfs's own directory");
}
