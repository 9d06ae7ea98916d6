//! What something on the host replaced while a run went on is no longer held, and so not trusted.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use stockade_workspace::{Finding, Journal, Quarantine, Reason, list, recover};
use support::{HELD, Place, put_away};

const EVIL: &str = "[core]\n\tfsmonitor = touch /tmp/pwned\n";

/// Puts a new file over another, as editors and git do.
fn replace(place: &Place, path: &str, text: &str) {
    let new = place.file(&format!("{path}.lock"), text);
    fs::rename(new, place.workspace.join(path)).expect("renamed");
}

fn text(place: &Place, path: &str) -> String {
    fs::read_to_string(place.workspace.join(path)).expect("a text")
}

#[test]
fn a_configuration_that_came_to_run_something_is_put_away_for_the_old_one() {
    let place = Place::new();
    place.repository(".git");
    let old = "[core]\n\tbare = false\n[alias]\n\tst = !sh\n";
    let file = place.file(".git/config", old);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("set");
    let before = place.before();
    replace(&place, ".git/config", &format!("{old}[user]\n\tname = x\n"));
    assert!(place.sweep(&before, &HELD).findings.is_empty());
    place.file(".git/config", &format!("{old}{EVIL}"));
    let swept = place.sweep(&before, &HELD);
    let [Finding::PutAway { reason: Reason::Replaced, put_back: true, rule, .. }] = &swept.findings[..] else {
        panic!("{swept:?}")
    };
    assert_eq!(rule, "**/.git/config");
    assert_eq!(text(&place, ".git/config"), old);
    assert_eq!(file.metadata().expect("it").permissions().mode() & 0o777, 0o640);
    assert_eq!(list(&place.state).expect("a list").len(), 1);
    assert!(place.sweep(&before, &HELD).findings.is_empty(), "what was put back is as it was");
}

#[test]
fn single_files_are_put_back_unless_they_say_the_same() {
    let place = Place::new();
    place.file("a/.envrc", "own");
    let before = place.before();
    replace(&place, "a/.envrc", "own");
    assert!(place.sweep(&before, &HELD).findings.is_empty());
    replace(&place, "a/.envrc", "evil");
    let swept = place.sweep(&before, &HELD);
    assert!(matches!(&swept.findings[..], [Finding::PutAway { put_back: true, .. }]), "{swept:?}");
    assert_eq!(text(&place, "a/.envrc"), "own");
}

#[test]
fn a_directory_that_was_made_again_is_judged_by_what_it_holds() {
    let place = Place::new();
    place.repository(".git");
    place.file(".vscode/tasks.json", "{}");
    let before = place.before();
    fs::remove_dir_all(place.workspace.join(".git/hooks")).expect("removed");
    fs::remove_dir_all(place.workspace.join(".vscode")).expect("removed");
    place.file(".git/hooks/pre-push.sample", "");
    fs::create_dir(place.workspace.join(".vscode")).expect("made");
    assert!(put_away(&place.sweep(&before, &HELD)).is_empty());
    place.file(".git/hooks/pre-push", "evil");
    place.file(".vscode/tasks.json", "{}");
    let swept = place.sweep(&before, &HELD);
    assert_eq!(put_away(&swept), [".git/hooks", ".vscode"]);
    assert!(swept.findings.iter().all(|finding| matches!(finding, Finding::PutAway { put_back: false, .. })));
}

#[test]
fn a_repository_moved_away_and_back_is_the_same() {
    let place = Place::new();
    place.repository(".git");
    place.file(".git/hooks/pre-commit", "own");
    place.file(".git/config", EVIL);
    let before = place.before();
    let (git, away) = (place.workspace.join(".git"), place.workspace.join("x"));
    fs::rename(&git, &away).expect("renamed");
    fs::rename(&away, &git).expect("renamed");
    assert!(place.sweep(&before, &HELD).findings.is_empty());
}

#[test]
fn a_file_in_a_directory_made_anew_is_judged_though_it_is_the_same() {
    let place = Place::new();
    place.repository(".git");
    let before = place.before();
    let (git, away) = (place.workspace.join(".git"), place.workspace.join("x"));
    fs::rename(&git, &away).expect("renamed");
    place.file(".git/HEAD", "ref: refs/heads/main\n");
    for name in ["objects", "refs", "hooks", "config"] {
        fs::rename(away.join(name), git.join(name)).expect("renamed");
    }
    place.file(".git/config", EVIL);
    let swept = place.sweep(&before, &HELD);
    assert!(matches!(&swept.findings[..], [Finding::PutAway { put_back: false, .. }]), "{swept:?}");
    assert_eq!(put_away(&swept), [".git/config"]);
}

#[test]
fn a_file_that_a_configuration_names_is_judged_too() {
    let place = Place::new();
    place.repository(".git");
    place.file(".git/config", "[include]\n\tpath = ../shared.inc\n");
    place.file("shared.inc", "[user]\n\tname = x\n");
    let before = place.before();
    replace(&place, "shared.inc", EVIL);
    assert_eq!(put_away(&place.sweep(&before, &HELD)), ["shared.inc"]);
    assert_eq!(text(&place, "shared.inc"), "[user]\n\tname = x\n");
}

#[test]
fn what_was_changed_by_another_name_is_not_put_back() {
    let place = Place::new();
    let held = place.file(".envrc", "own");
    fs::hard_link(&held, place.workspace.join("alias")).expect("a link");
    let before = place.before();
    place.file("alias", "evil");
    replace(&place, ".envrc", "evil too");
    let swept = place.sweep(&before, &HELD);
    assert!(matches!(&swept.findings[..], [Finding::PutAway { put_back: false, .. }]), "{swept:?}");
    assert!(!place.exists(".envrc"));
}

#[test]
fn a_long_file_is_put_away_and_not_put_back() {
    let place = Place::new();
    place.file(".envrc", &"x".repeat((64 << 10) + 1));
    let before = place.before();
    replace(&place, ".envrc", "evil");
    let swept = place.sweep(&before, &HELD);
    assert!(matches!(&swept.findings[..], [Finding::PutAway { put_back: false, .. }]), "{swept:?}");
}

#[test]
fn more_files_than_can_be_held_open_are_put_away_all_the_same() {
    let place = Place::new();
    let path = |number: u32| format!("{number:03}/.envrc");
    (0..200).for_each(|number| drop(place.file(&path(number), "own")));
    let before = place.before();
    (0..200).for_each(|number| replace(&place, &path(number), "evil"));
    let swept = place.sweep(&before, &HELD);
    let back = |finding: &&Finding| matches!(finding, Finding::PutAway { put_back: true, .. });
    assert_eq!((swept.findings.len(), swept.findings.iter().filter(back).count()), (200, 128));
}

#[test]
fn what_git_is_in_the_midst_of_must_not_run_anything() {
    let place = Place::new();
    place.repository(".git");
    place.repository("sub/.git");
    place.file("sub/.git/rebase-merge/git-rebase-todo", "exec own\n");
    let before = place.before();
    place.file(".git/rebase-merge/git-rebase-todo", "pick 123 x\nx touch /tmp/pwned\n");
    place.file(".git/rebase-merge/strategy", "x/evil\n");
    place.file("sub/.git/sequencer/todo", "pick 123 x\n");
    place.file("sub/.git/sequencer/opts", "[options]\n\tstrategy = x/evil\n");
    place.file(".git/rebase-apply/apply-opt", " '--unsafe-paths'\n");
    place.file("sequencer/todo", "exec no repository's\n");
    let swept = place.sweep(&before, &HELD);
    let expected = [
        ".git/rebase-apply/apply-opt",
        ".git/rebase-merge/git-rebase-todo",
        ".git/rebase-merge/strategy",
        "sub/.git/sequencer/opts",
    ];
    assert_eq!(put_away(&swept), expected);
}

#[test]
fn a_pointer_to_a_repository_is_judged_where_it_leads() {
    let place = Place::new();
    let before = place.before();
    place.file("pkg/.git", "gitdir: ../assets/data\n");
    place.repository("assets/data");
    place.file("assets/data/config", EVIL);
    place.file("other/.git", "gitdir: meta\n");
    place.file("other/meta/HEAD", "ref: refs/heads/main\n");
    place.file("other/meta/commondir", "../../assets/data\n");
    let swept = place.sweep(&before, &HELD);
    assert_eq!(put_away(&swept), ["assets/data/config", "other/meta/commondir"]);
}

#[test]
fn after_a_crash_what_is_harmful_is_put_away_and_nothing_put_back() {
    let place = Place::new();
    place.repository(".git");
    place.repository("sub/.git");
    let before = place.before();
    let quarantine = Quarantine::new(&place.state, &before);
    drop(Journal::begin(&place.state, &before, &place.rules, &HELD, &quarantine).expect("a journal"));
    replace(&place, ".git/config", EVIL);
    replace(&place, "sub/.git/config", "[user]\n\tname = x\n");
    drop(before);
    let recovered = recover(&place.state).expect("recovered");
    let swept = recovered[0].result.as_ref().expect("swept");
    assert!(matches!(&swept.findings[..], [Finding::PutAway { put_back: false, .. }]), "{swept:?}");
    assert!(!place.exists(".git/config") && place.exists("sub/.git/config"));
}
