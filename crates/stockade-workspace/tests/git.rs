//! Ordinary work with git, done by git itself, is left alone.

mod support;

use std::fs;
use std::process::Command;

use support::{HELD, Place, put_away};

fn git(place: &Place, directory: &str, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.current_dir(place.workspace.join(directory)).args(arguments).env("HOME", "/nonexistent");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "n").env(format!("GIT_{role}_EMAIL"), "n@example.org");
    }
    let output = command.env("GIT_ALLOW_PROTOCOL", "file").output().expect("git");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn repository(place: &Place, directory: &str) {
    fs::create_dir_all(place.workspace.join(directory)).expect("made");
    git(place, directory, &["init", "-q"]);
    place.file(&format!("{directory}/file"), "one");
    git(place, directory, &["add", "."]);
    git(place, directory, &["commit", "-qm", "one"]);
}

#[test]
fn commits_branches_stashes_and_worktrees_leave_no_finding() {
    let place = Place::new();
    repository(&place, ".");
    git(&place, ".", &["worktree", "add", "-q", "old-tree"]);
    let before = place.before();
    assert_eq!(before.entries().len(), 2, "{before:?}");
    git(&place, ".", &["checkout", "-qb", "topic"]);
    place.file("file", "two");
    git(&place, ".", &["stash", "-q"]);
    git(&place, ".", &["stash", "pop", "-q"]);
    git(&place, ".", &["commit", "-qam", "two"]);
    git(&place, ".", &["worktree", "add", "-q", "tree", "HEAD~1", "--detach"]);
    git(&place, ".", &["worktree", "remove", "--force", "old-tree"]);
    git(&place, ".", &["gc", "-q"]);
    let swept = place.sweep(&before, &HELD);
    assert!(swept.findings.is_empty(), "{swept:?}");
    git(&place, "tree", &["status"]);
}

#[test]
fn a_rebase_in_progress_is_left_alone_unless_it_runs_something() {
    let place = Place::new();
    repository(&place, ".");
    place.file("file", "two");
    git(&place, ".", &["commit", "-qam", "two"]);
    let before = place.before();
    git(&place, ".", &["-c", "sequence.editor=sed -i '1ibreak'", "rebase", "-q", "-i", "HEAD~1"]);
    assert!(place.exists(".git/rebase-merge/git-rebase-todo"));
    assert!(place.sweep(&before, &HELD).findings.is_empty());
    assert_eq!(place.before().entries().len(), 2, "the command may go on with it");
    place.file(".git/rebase-merge/git-rebase-todo", "exec touch /tmp/escaped\n");
    assert_eq!(put_away(&place.sweep(&before, &HELD)), [".git/rebase-merge/git-rebase-todo"]);
}

#[test]
fn new_repositories_clones_and_submodules_keep_working() {
    let place = Place::new();
    let before = place.before();
    repository(&place, "library");
    git(&place, ".", &["clone", "-q", "library", "clone"]);
    git(&place, "clone", &["submodule", "--quiet", "add", "../library", "sub"]);
    let swept = place.sweep(&before, &HELD);
    assert!(swept.findings.is_empty(), "{swept:?}");
    git(&place, "clone", &["submodule", "status"]);
    git(&place, "clone/sub", &["log"]);
}

#[test]
fn what_git_would_execute_is_put_away_and_git_goes_on() {
    let place = Place::new();
    repository(&place, ".");
    let before = place.before();
    repository(&place, "sub");
    git(&place, "sub", &["config", "core.fsmonitor", "touch /tmp/escaped; false"]);
    git(&place, ".", &["worktree", "add", "-q", "tree"]);
    place.file(".git/worktrees/tree/config.worktree", "[core]\n\tpager = evil\n");
    place.file(".git/worktrees/tree/commondir", "../../../sub/.git\n");
    place.file(".git/commondir", "../sub/.git\n");
    let swept = place.sweep(&before, &HELD);
    let expected =
        [".git/commondir", ".git/worktrees/tree/commondir", ".git/worktrees/tree/config.worktree", "sub/.git/config"];
    assert_eq!(put_away(&swept), expected);
    git(&place, ".", &["status"]);
}
