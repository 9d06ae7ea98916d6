//! What git's configuration and protected links lead to is protected, however that is written and wherever links lead.

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use support::{HELD, Place, put_away};

fn place() -> Place {
    let place = Place::new();
    place.repository(".git");
    place
}

fn link(place: &Place, target: impl AsRef<Path>, path: &str) {
    let path = place.workspace.join(path);
    fs::create_dir_all(path.parent().expect("a parent")).expect("parents");
    symlink(target, path).expect("a link");
}

/// Plants a hook where the configuration leads.
fn planted(place: &Place, config: &str, plant: impl FnOnce()) -> Vec<String> {
    place.file(".git/config", config);
    let before = place.before();
    plant();
    put_away(&place.sweep(&before, &HELD))
}

#[test]
fn hooks_are_found_however_their_place_is_written() {
    for value in
        ["hk", "\"hk\"", "h\"k\" ; ours", "hk# ours", "./hk/", "h\\\nk", "ABSOLUTE/hk", "x/../hk", "../work/hk"]
    {
        let place = place();
        let value = value.replace("ABSOLUTE", place.workspace.to_str().expect("text"));
        let config = format!("[core]\n\thooksPath = {value}\n\tbare = false\n");
        let found = planted(&place, &config, || drop(place.file("hk/pre-commit", "#!/bin/sh\n")));
        assert_eq!(found, ["hk"], "{value}");
    }
}

#[test]
fn configuration_that_is_included_is_read_as_well() {
    let place = place();
    place.file("shared.inc", "[include]\n\tpath = more/inc ; more\n");
    place.file("more/inc", "[core]\n\thooksPath = hk\n[include]\n\tpath = last\n");
    let config = "[include]\n\tpath = \"../shared.inc\" # ours\n";
    let found = planted(&place, config, || {
        place.file("hk/pre-commit", "#!/bin/sh\n");
        place.file("more/last", "[core]\n\tfsmonitor = evil\n");
    });
    assert_eq!(found, ["hk", "more/last"]);
    assert!(place.before().paths().contains(&place.workspace.join("shared.inc")));
    assert!(place.before().paths().contains(&place.workspace.join("more/inc")));
}

#[test]
fn configuration_of_every_repository_is_read_as_well() {
    for (file, value, planted) in [(".gitconfig", "hk", "hk"), (".config/git/config", "~/../work/own/hk", "own/hk")] {
        let place = place();
        let file = place.home.join(file);
        fs::create_dir_all(file.parent().expect("a parent")).expect("parents");
        fs::write(file, format!("[core]\n\thooksPath = {value}\n")).expect("a file");
        let before = place.before();
        place.file(&format!("{planted}/pre-commit"), "#!/bin/sh\n");
        assert_eq!(put_away(&place.sweep(&before, &HELD)), [planted]);
    }
}

#[test]
fn includes_that_go_round_end() {
    let place = place();
    place.file("one", "[include]\n\tpath = two\n");
    place.file("two", "[include]\n\tpath = one\n[core]\n\thooksPath = hk\n");
    let found = planted(&place, "[include]\n\tpath = ../one\n", || drop(place.file("hk/pre-commit", "#!/bin/sh\n")));
    assert_eq!(found, ["hk"]);
}

#[test]
fn links_on_the_way_are_followed() {
    let place = place();
    fs::create_dir(place.workspace.join("scripts")).expect("made");
    link(&place, "scripts", "tools");
    let found = planted(&place, "[core]\n\thooksPath = tools/hooks\n", || {
        place.file("scripts/hooks/pre-commit", "#!/bin/sh\n");
    });
    assert_eq!(found, ["scripts/hooks"]);
    assert!(place.before().paths().contains(&place.workspace.join("tools")), "the link is protected");
}

#[test]
fn links_that_go_round_end() {
    let place = place();
    link(&place, "b", "a");
    link(&place, "a", "b");
    assert!(planted(&place, "[core]\n\thooksPath = a/hooks\n", || ()).is_empty());
}

#[test]
fn links_that_come_to_lie_on_the_way_are_put_away() {
    let place = place();
    let found = planted(&place, "[core]\n\thooksPath = tools/x/hooks\n", || {
        place.file("scripts/x/hooks/pre-commit", "#!/bin/sh\n");
        link(&place, "scripts", "tools");
    });
    assert_eq!(found, ["tools"]);
    // What was there can be taken away with the directory above it.
    let place = self::place();
    place.file("tools/hooks/pre-commit", "#!/bin/sh\n");
    let found = planted(&place, "[core]\n\thooksPath = tools/hooks\n", || {
        fs::rename(place.workspace.join("tools"), place.workspace.join("old")).expect("renamed");
        place.file("scripts/hooks/pre-commit", "#!/bin/sh\n");
        link(&place, "scripts", "tools");
    });
    assert_eq!(found, ["tools"]);
}

#[test]
fn what_protected_links_lead_to_is_protected() {
    let place = place();
    link(&place, "conf/envrc", ".envrc");
    link(&place, "vs", "sub/.vscode");
    place.file("sub/vs/settings.json", "{}");
    link(&place, "/etc", ".husky");
    let before = place.before();
    assert!(before.paths().contains(&place.workspace.join("sub/vs")));
    place.file("conf/envrc", "evil\n");
    assert_eq!(put_away(&place.sweep(&before, &HELD)), ["conf/envrc"]);
}

#[test]
fn links_in_git_directories_are_put_away() {
    let place = place();
    place.repository("sub/bare");
    link(&place, "old", ".git/kept");
    std::thread::sleep(std::time::Duration::from_millis(30));
    let before = place.before();
    link(&place, "../../.profile", ".git/COMMIT_EDITMSG");
    link(&place, "../../../.bashrc", ".git/logs/HEAD");
    link(&place, "../../x", "sub/bare/refs/heads/x");
    link(&place, "x", "sub/x");
    let found = put_away(&place.sweep(&before, &HELD));
    assert_eq!(found, [".git/COMMIT_EDITMSG", ".git/logs/HEAD", "sub/bare/refs/heads/x"]);
    assert!(place.exists(".git/kept") && place.exists("sub/x"));
}

#[test]
fn working_trees_of_repositories_stay_in_the_workspace() {
    let config = |worktree: &str| format!("[core]\n\tbare = false\n\tworktree = {worktree}\n");
    let place = place();
    let before = place.before();
    place.repository(".git/modules/good");
    place.file(".git/modules/good/config", &config("../../../good"));
    place.repository(".git/modules/bad");
    place.file(".git/modules/bad/config", &config("../../../lnk/x"));
    link(&place, "/tmp", "lnk");
    place.repository("sub/.git");
    place.file("sub/.git/config", &config("../../..#/a/b/c"));
    let found = put_away(&place.sweep(&before, &HELD));
    assert_eq!(found, [".git/modules/bad/config", "sub/.git/config"]);
    // Nor may one that was good be led elsewhere later.
    let before = place.before();
    link(&place, "/tmp", "good");
    assert_eq!(put_away(&place.sweep(&before, &HELD)), ["good"]);
}
