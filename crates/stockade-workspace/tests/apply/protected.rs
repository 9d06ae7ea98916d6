//! What is held back, because a person's own tools execute or obey it later.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use stockade_workspace::apply::{Applied, HeldBack, Selection};

use crate::attributes::chmod;
use crate::place::{Place, texts};

fn held(applied: &Applied) -> Vec<&str> {
    texts(applied.held_back.iter().map(|held| &held.path))
}

fn done(applied: &Applied) -> Vec<&str> {
    texts(applied.done.iter().map(|done| &done.path))
}

/// A repository as `git init` and a commit leave it.
fn repository(place: &Place, at: &str) {
    place.host(format!("{at}/HEAD"), "ref: refs/heads/main\n").host(format!("{at}/config"), "[core]\n\tbare = false\n");
    place.host(format!("{at}/hooks/pre-commit.sample"), "#!/bin/sh\n").host(format!("{at}/objects/aa/bb"), "object");
    place
        .host(format!("{at}/refs/heads/main"), "1\n")
        .host(format!("{at}/index"), "index")
        .host(format!("{at}/logs/HEAD"), "1\n");
}

#[test]
fn rules_hold_back_and_a_name_lets_through() {
    let mut place = Place::new();
    place.host(".envrc", "mine").host(".husky/pre-commit", "mine").host("d/.ENVRC", "mine").note();
    place.layer(".envrc", "evil").layer(".husky/pre-commit", "evil").layer(".husky/new", "evil").whiteout("d/.ENVRC");
    place.layer("new/.envrc", "evil").layer("new/file", "fine").layer(".github/workflows/ci.yml", "evil");
    let applied = place.apply();
    assert_eq!(
        held(&applied),
        [
            ".envrc",
            ".github/workflows",
            ".github/workflows/ci.yml",
            ".husky/new",
            ".husky/pre-commit",
            "d/.ENVRC",
            "new/.envrc"
        ]
    );
    assert_eq!(applied.held_back[0].rule, "**/.envrc");
    assert_eq!(done(&applied), [".github", "new", "new/file"]);
    assert_eq!(
        (place.read(".envrc"), place.exists(".husky/new"), place.exists("new/.envrc")),
        ("mine".into(), false, false)
    );
    stockade_workspace::apply::close(&place.folder).expect("closed");
    place.options.protected = vec![".husky".into(), "new/.envrc".into()];
    let applied = place.apply();
    assert_eq!(done(&applied), [".husky/new", ".husky/pre-commit", "new/.envrc"]);
    assert_eq!((place.read(".husky/pre-commit"), place.read("new/.envrc")), ("evil".into(), "evil".into()));
}

#[test]
fn commits_are_applied_and_hooks_and_configuration_are_not() {
    let place = Place::new();
    repository(&place, ".git");
    place.host("file", "1").note();
    place.layer("file", "2").layer(".git/objects/cc/dd", "object").layer(".git/refs/heads/main", "2\n");
    place
        .layer(".git/refs/heads/topic", "2\n")
        .layer(".git/HEAD", "ref: refs/heads/topic\n")
        .layer(".git/index", "index 2");
    place.layer(".git/logs/HEAD", "1\n2\n").layer(".git/COMMIT_EDITMSG", "message").layer(".git/packed-refs", "");
    place.layer(".git/config", "[core]\n\tfsmonitor = ./x\n").layer(".git/hooks/post-commit", "evil");
    let applied = place.apply();
    assert_eq!(held(&applied), [".git/config", ".git/hooks/post-commit"]);
    assert_eq!(
        done(&applied),
        [
            ".git/COMMIT_EDITMSG",
            ".git/HEAD",
            ".git/index",
            ".git/logs/HEAD",
            ".git/objects/cc",
            ".git/objects/cc/dd",
            ".git/packed-refs",
            ".git/refs/heads/main",
            ".git/refs/heads/topic",
            "file"
        ]
    );
    assert!(!place.exists(".git/hooks/post-commit"));
}

#[test]
fn a_new_repository_comes_as_git_makes_it_and_not_otherwise() {
    let place = Place::new();
    place.host("file", "x").note();
    for (at, config) in [("good/.git", "[core]\n\tbare = false\n"), ("evil/.git", "[core]\n\tpager = x\n")] {
        place.layer(format!("{at}/HEAD"), "ref: refs/heads/main\n").layer(format!("{at}/config"), config);
        place.layer(format!("{at}/objects/aa/bb"), "x").layer(format!("{at}/refs/heads/main"), "1\n");
        place.layer(format!("{at}/hooks/pre-commit.sample"), "#!/bin/sh\n");
    }
    place.layer("evil/.git/hooks/pre-commit", "evil");
    // The same without its usual name.
    place.layer("bare/HEAD", "ref: refs/heads/main\n").layer("bare/config", "[core]\n\tfsmonitor = ./x\n");
    place.layer("bare/objects/x", "").layer("bare/refs/x", "").layer("plain/config", "[core]\n\tfsmonitor = ./x\n");
    let applied = place.apply();
    assert_eq!(
        held(&applied),
        [
            "bare/config",
            "evil/.git/config",
            "evil/.git/hooks",
            "evil/.git/hooks/pre-commit",
            "evil/.git/hooks/pre-commit.sample"
        ]
    );
    assert!(place.exists("good/.git/config") && place.exists("good/.git/hooks/pre-commit.sample"));
    assert!(place.exists("plain/config") && place.exists("bare/HEAD"));
}

#[test]
fn a_repository_is_not_built_around_what_lies_there_already() {
    let place = Place::new();
    // Came with an earlier apply, when it meant nothing to git.
    place.host("x/config", "[core]\n\tfsmonitor = ./x\n").host("y/config", "[core]\n\tbare = true\n").note();
    for at in ["x", "y"] {
        place.layer(format!("{at}/HEAD"), "ref: refs/heads/main\n").layer(format!("{at}/objects/a"), "");
        place.layer(format!("{at}/refs/a"), "");
    }
    let applied = place.apply();
    assert!(place.exists("y/objects/a") && place.exists("y/refs/a"));
    assert!(!place.exists("x/objects") && !place.exists("x/refs"), "{applied:?}");
    assert_eq!(held(&applied), ["x/HEAD", "x/objects", "x/objects/a", "x/refs", "x/refs/a"]);
}

#[test]
fn what_the_hosts_configuration_names_is_protected() {
    let place = Place::new();
    repository(&place, ".git");
    place.host(".git/config", "[core]\n\thooksPath = .githooks\n[include]\n\tpath = ../extra.inc\n");
    place.host(".githooks/pre-commit", "mine").note();
    place
        .layer(".githooks/pre-commit", "evil")
        .layer(".githooks/pre-push", "evil")
        .layer("extra.inc", "evil")
        .layer("ok", "");
    let applied = place.apply();
    assert_eq!(
        (held(&applied), done(&applied)),
        (vec![".githooks/pre-commit", ".githooks/pre-push", "extra.inc"], vec!["ok"])
    );
}

/// Where the host's configuration leads, and what the sandbox makes there.
#[test]
fn links_on_the_way_to_what_the_hosts_configuration_names_are_held_back() {
    let place = Place::new();
    repository(&place, ".git");
    place.host(".git/config", "[core]\n\thooksPath = tools/hooks ; ours\n[include]\n\tpath = ../conf/git/inc\n");
    place.host("scripts/x", "").host("real/x", "");
    symlink("real", place.workspace.join("conf")).expect("a link");
    symlink("conf/envrc", place.workspace.join(".envrc")).expect("a link");
    place.note();
    place.layer("scripts/hooks/pre-commit", "evil").layer("real/git/inc", "evil").layer("real/envrc", "evil");
    symlink("scripts", place.layers[0].join("tools")).expect("a link");
    let applied = place.apply();
    assert_eq!(held(&applied), ["real/envrc", "real/git/inc", "tools"]);
    assert_eq!(done(&applied), ["real/git", "scripts/hooks", "scripts/hooks/pre-commit"]);
}

#[test]
fn links_in_repositories_are_held_back() {
    let place = Place::new();
    repository(&place, ".git");
    place.note();
    let layer = &place.layers[0];
    place.layer("new/.git/HEAD", "ref: refs/heads/main\n").layer("new/.git/objects/a", "").layer("new/.git/refs/a", "");
    place.layer("objects/a", "").layer("refs/a", "");
    std::fs::create_dir_all(layer.join(".git/logs")).expect("made");
    for link in [".git/COMMIT_EDITMSG", ".git/logs/HEAD", "new/.git/refs/b", "fine"] {
        symlink("../../../.bashrc", layer.join(link)).expect("a link");
    }
    let applied = place.apply();
    assert_eq!(held(&applied), [".git/COMMIT_EDITMSG", ".git/logs/HEAD", "new/.git/refs/b"]);
    assert!(place.exists("fine"));
}

#[test]
fn working_trees_of_new_repositories_lie_in_the_workspace() {
    let place = Place::new();
    repository(&place, ".git");
    place.host("x/y", "").note();
    for (name, worktree) in [("good", "../../../good"), ("bad", "../../../lnk/x"), ("odd", "../../../../..#/a/b/c")] {
        let config = format!("[core]\n\tbare = false\n\tworktree = {worktree}\n");
        place.layer(format!(".git/modules/{name}/config"), &config);
        place.layer(format!(".git/modules/{name}/HEAD"), "ref: refs/heads/main\n");
        place.layer(format!(".git/modules/{name}/objects/a"), "").layer(format!(".git/modules/{name}/refs/a"), "");
    }
    symlink("/tmp", place.layers[0].join("lnk")).expect("a link");
    let applied = place.apply();
    assert_eq!(held(&applied), [".git/modules/bad/config", ".git/modules/odd/config"]);
    assert_eq!(place.read(".git/modules/good/HEAD"), "ref: refs/heads/main\n");
}

#[test]
fn a_link_in_the_place_of_a_directory_that_a_rule_leads_through_is_held_back() {
    let place = Place::new();
    place.host("file", "x").note();
    place.layer("evil/workflows/ci.yml", "evil");
    for name in [".github", ".git", "fine"] {
        symlink("evil", place.layers[0].join(name)).expect("a link");
    }
    let applied = place.apply();
    assert_eq!(held(&applied), [".git", ".github"]);
    assert!(place.exists("fine"));
}

#[test]
fn what_git_is_in_the_midst_of_is_judged_by_what_it_says() {
    let place = Place::new();
    repository(&place, ".git");
    place.host(".git/rebase-merge/git-rebase-todo", "pick 1 x\n").host(".git/sequencer/todo", "pick 1 x\n").note();
    place.layer(".git/rebase-merge/git-rebase-todo", "exec evil\n").layer(".git/rebase-apply/apply-opt", "\n");
    place.whiteout(".git/sequencer/todo").layer("sequencer/todo", "exec x\n");
    let applied = place.apply();
    assert_eq!(held(&applied), [".git/rebase-merge/git-rebase-todo"]);
    assert!(place.exists(".git/rebase-apply/apply-opt") && !place.exists(".git/sequencer/todo"));
    assert!(place.exists("sequencer/todo"), "not in a git directory");
}

#[test]
fn a_directory_that_is_removed_leaves_what_is_protected_in_it() {
    let place = Place::new();
    repository(&place, "p/.git");
    place.host("p/a", "x").host("p/sub/b", "x").host("q/.envrc", "mine").host("q/a", "x").note();
    place.whiteout("p").layer("q", "a file");
    let applied = place.apply();
    assert!(place.exists("p/.git/config") && place.exists("p/.git/hooks/pre-commit.sample"));
    assert!(!place.exists("p/a") && !place.exists("p/sub") && !place.exists("p/.git/objects"));
    // A file cannot take the place of a directory that stays.
    assert_eq!((place.read("q/a"), place.read("q/.envrc")), ("x".into(), "mine".into()));
    let rule = |path: &str| {
        let held: Vec<&HeldBack> = applied.held_back.iter().filter(|held| held.path == Path::new(path)).collect();
        held[0].rule.clone()
    };
    assert_eq!(
        (rule("p"), rule("p/.git"), rule("q")),
        ("**/.git/hooks".into(), "**/.git/hooks".into(), "**/.envrc".into())
    );
    let old = applied.old.expect("an old layer");
    assert!(old.join("p/sub/b").exists() && !old.join("p/.git/config").exists());
}

#[test]
fn privilege_bits_are_taken_off_and_told() {
    let mut place = Place::new();
    place.host("tool", "x").host("d/x", "").note();
    place.layer("tool", "y").layer("new/tool", "z").layer("named", "z");
    for (path, mode) in [("tool", 0o4755), ("new/tool", 0o6711), ("named", 0o4755), ("new", 0o2755)] {
        chmod(&place.layers[0].join(path), mode);
    }
    fs::hard_link(place.layers[0].join("named"), place.layers[0].join("other")).expect("a link");
    place.options.protected = vec!["named".into()];
    let applied = place.apply();
    let mode = |path: &str| fs::metadata(place.workspace.join(path)).expect("it").permissions().mode() & 0o7777;
    let modes = ["tool", "new/tool", "named", "other", "new"].map(mode);
    // A directory hands its group on by the bit, and no privilege.
    assert_eq!(modes, [0o755, 0o711, 0o4755, 0o755, 0o2755]);
    assert_eq!(texts(&applied.cleared), ["new/tool", "other", "tool"]);
    // What is left of the difference is held back.
    place.note();
    place.options.protected.clear();
    let plan =
        place.plan(&Selection::Everything, |plan| (plan.is_empty(), plan.told().held_back.clone())).expect("a plan");
    assert!(plan.0, "{plan:?}");
    assert_eq!(texts(plan.1.iter().map(|held| &held.path)), ["new/tool", "other", "tool"]);
    assert_eq!(plan.1[0].rule, "set-user-id and set-group-id bits");
}
