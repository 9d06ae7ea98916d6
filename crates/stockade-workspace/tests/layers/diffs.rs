//! Changes as text, judged by git.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use stockade_workspace::layers::{Change, Stack, find_renames};

use crate::operation::{Operation, operations};
use crate::place::diff;
use crate::tree::{self, Tree};
use crate::written::{Written, cases, write};

/// What git knows of a tree: files, whether they are executable, and links.
fn known_to_git(tree: Tree) -> Tree {
    let files = tree.into_iter().filter(|(_, node)| node.mode & 0o170_000 != 0o040_000);
    let plain = |(path, mut node): (Vec<u8>, tree::Node)| {
        node.mode = node.mode & 0o170_000 | node.mode & 0o100;
        node.modified = (0, 0);
        node.attributes.clear();
        (path, node)
    };
    files.map(plain).collect()
}

/// The part of it that git takes for a diff.
fn told_to_git(diff: &[u8]) -> &[u8] {
    if diff.windows(11).any(|at| at == b"diff --git ") { diff } else { b"" }
}

fn pipe_to(command: &mut Command, input: &[u8]) -> (bool, String) {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("started");
    child.stdin.take().expect("a pipe").write_all(input).expect("read");
    let output = child.wait_with_output().expect("ended");
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// Applies a diff to a directory that lies in no repository.
fn git_apply(to: &Path, diff: &[u8]) -> (bool, String) {
    let mut git = Command::new("git");
    git.args(["apply", "--whitespace=nowarn", "--allow-empty"]).current_dir(to).env("GIT_CEILING_DIRECTORIES", "/");
    pipe_to(&mut git, diff)
}

/// Without directories that hold no file, which git does not know and would find in its way.
fn without_empty_directories(written: &Written, copy: &Path) {
    let done = Command::new("find").arg(copy).args(["-mindepth", "1", "-type", "d", "-empty", "-delete"]).status();
    assert!(done.expect("find").success(), "{}", written.base.path().display());
}

fn check(written: &Written, changes: &[Change], stack: &Stack) {
    let copy = written.copy();
    without_empty_directories(written, &copy);
    let diff = diff(stack, changes);
    let (applied, said) = git_apply(&copy, told_to_git(&diff));
    let text = String::from_utf8_lossy(&diff);
    assert!(applied, "{said}\n{text}");
    assert_eq!(known_to_git(tree::read(&copy)), known_to_git(written.seen.clone()), "{said}\n{text}");
    std::fs::remove_dir_all(copy).expect("removed");
}

fn known(operations: &[Operation]) -> Vec<Operation> {
    operations.iter().filter(|operation| !operation.is_beyond_git()).cloned().collect()
}

proptest! {
    #![proptest_config(cases(64))]

    /// What `git apply` makes of the diff is what the sandbox sees, with renames found or not.
    #[test]
    fn git_applies_the_diff(host in operations(5..60), layer in operations(0..30)) {
        let written = write(&known(&host), &[known(&layer)]);
        let (stack, found) = written.changes();
        check(&written, &found, &stack);
        let renamed = find_renames(&stack, found).expect("renames");
        check(&written, &renamed, &stack);
    }
}
