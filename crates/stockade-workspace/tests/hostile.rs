//! What hostile code can leave behind to stop, mislead or break a sweep.

#[path = "support/privileges.rs"]
mod privileges;
mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use privileges::ran_without_privileges;
use rustix::fs::{CWD, Mode, OFlags};
use stockade_workspace::{Before, Finding, Kept, Quarantine, StateDirectory, list, restore, scan, sweep};
use support::{HELD, Place, put_away};

/// Makes directories one in another, deeper than any path may be long, with a sibling at each level: before it in the order
/// of the file system at one level, after it at the next.
fn deep(workspace: &Path, levels: usize) {
    let mut dir = rustix::fs::open(workspace, OFlags::DIRECTORY, Mode::empty()).expect("the workspace");
    for level in 0..levels {
        for name in ["d", "e"] {
            rustix::fs::mkdirat(&dir, name, Mode::RWXU).expect("made");
        }
        dir = rustix::fs::openat(&dir, ["d", "e"][level % 2], OFlags::DIRECTORY, Mode::empty()).expect("opened");
    }
    let flags = OFlags::CREATE | OFlags::WRONLY;
    rustix::fs::openat(&dir, ".envrc", flags, Mode::RUSR).expect("a file");
    // Not on the way down: one of these is entered only once the whole depth is behind the walk.
    for path in ["e/.husky", "d/d/.husky"] {
        fs::create_dir(workspace.join(path)).expect("made");
    }
}

#[test]
fn ten_thousand_levels_hide_nothing() {
    let place = Place::in_memory();
    let before = place.before();
    deep(&place.workspace, 10_000);
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let few = rustix::process::Rlimit { current: Some(400), ..limit };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, few).expect("fewer descriptors than levels");
    let swept = place.sweep(&before, &HELD);
    let mut levels: Vec<usize> = swept
        .findings
        .iter()
        .map(|finding| match finding {
            Finding::PutAway { path, .. } => path.components().count(),
            other => panic!("{other:?}"),
        })
        .collect();
    levels.sort_unstable();
    assert_eq!((levels, &swept.closed[..]), (vec![2, 3, 10_001], &[][..]));
    assert!(place.sweep(&before, &HELD).findings.is_empty());
    // The standard library's removal holds a descriptor for each level.
    let removed = Command::new("rm").arg("-rf").arg(&place.workspace).status().expect("rm");
    assert!(removed.success());
}

#[test]
fn a_directory_closed_to_its_owner_hides_nothing() {
    if ran_without_privileges("a_directory_closed_to_its_owner_hides_nothing") {
        return;
    }
    let place = Place::new();
    let before = place.before();
    let script = "mkdir -p a/b/.husky && echo x > a/b/.husky/pre-commit && chmod 0 a/b && chmod 555 a";
    let made = Command::new("sh").args(["-c", script]).current_dir(&place.workspace).status().expect("sh");
    assert!(made.success());
    let swept = place.sweep(&before, &HELD);
    assert_eq!(put_away(&swept), ["a/b/.husky"]);
    let mode = |path: &str| {
        use std::os::unix::fs::PermissionsExt;
        place.workspace.join(path).metadata().expect("it").permissions().mode() & 0o777
    };
    assert_eq!((mode("a"), mode("a/b")), (0o555, 0));
}

#[test]
fn pipes_sockets_and_loops_do_not_hold_a_sweep_up() {
    let place = Place::new();
    let before = place.before();
    for name in [".envrc", "ordinary"] {
        let made = Command::new("mkfifo").arg(place.workspace.join(name)).status().expect("mkfifo");
        assert!(made.success());
    }
    symlink(".", place.workspace.join("loop")).expect("a link");
    let made = Command::new("mkfifo").arg(place.workspace.join("config")).status().expect("mkfifo");
    assert!(made.success());
    for name in ["objects", "refs"] {
        fs::create_dir(place.workspace.join(name)).expect("made");
    }
    let _socket = std::os::unix::net::UnixListener::bind(place.workspace.join(".vscode")).expect("a socket");
    let swept = place.sweep(&before, &HELD);
    assert_eq!(put_away(&swept), [".envrc", ".vscode", "config"]);
    assert!(place.exists("ordinary"));
}

#[test]
fn other_file_systems_get_copies_and_what_cannot_be_copied_is_renamed() {
    let place = Place::new();
    let shared = tempfile::tempdir_in("/dev/shm").expect("a directory on another file system");
    let state = StateDirectory::new(shared.path()).expect("a state directory");
    let before = place.before();
    place.file(".husky/sub/pre-commit", "text");
    symlink("target", place.workspace.join(".husky/link")).expect("a link");
    let made = Command::new("mkfifo").arg(place.workspace.join(".envrc")).status().expect("mkfifo");
    assert!(made.success());
    let large = fs::File::create(place.workspace.join(".vscode")).expect("a file");
    large.set_len(1 << 40).expect("a sparse file");
    let mut quarantine = Quarantine::new(&state, &before);
    let swept = sweep(&before, &place.rules, &HELD, &mut quarantine);
    assert_eq!(put_away(&swept), [".envrc", ".husky", ".vscode"]);
    for finding in &swept.findings {
        let Finding::PutAway { path, kept, .. } = finding else { panic!("{finding:?}") };
        match kept {
            Kept::Quarantine(kept) => {
                assert_eq!(path, Path::new(".husky"));
                assert_eq!(fs::read_to_string(kept.join("sub/pre-commit")).expect("it"), "text");
            }
            Kept::Beside(kept) => assert!(place.exists(kept) && !place.exists(path)),
        }
    }
    let restored = restore(&state, &list(&state).expect("a list")[0]).expect("restored");
    assert!(restored.iter().all(|restored| restored.result.is_ok()), "{restored:?}");
    assert_eq!(fs::read_link(place.workspace.join(".husky/link")).expect("a link"), Path::new("target"));
    assert_eq!(place.workspace.join(".vscode").metadata().expect("it").len(), 1 << 40);
}

#[test]
fn without_a_state_directory_files_are_renamed_where_they_lie() {
    let place = Place::new();
    let file = place.file("file", "");
    let state = StateDirectory::new(&file.join("state")).expect("absolute");
    let before = place.before();
    place.file("a/.envrc", "planted");
    let mut quarantine = Quarantine::new(&state, &before);
    let swept = sweep(&before, &place.rules, &HELD, &mut quarantine);
    let [Finding::PutAway { kept: Kept::Beside(kept), .. }] = &swept.findings[..] else { panic!("{swept:?}") };
    assert!(place.exists(kept) && !place.exists("a/.envrc"));
    assert_eq!(swept.failures.len(), 1, "that it is not written down is told");
}

#[test]
fn swapping_directories_for_links_during_sweeps_reaches_nothing_outside() {
    let place = Place::new();
    let outside = place.workspace.parent().expect("a parent").join("outside");
    fs::create_dir_all(outside.join("pkg/.husky")).expect("outside");
    fs::write(outside.join("pkg/.envrc"), "precious").expect("outside");
    fs::write(outside.join(".envrc"), "precious").expect("outside");
    let before = place.before();
    let stop = AtomicBool::new(false);
    let mut quarantine = Quarantine::new(&place.state, &before);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (a, link) = (place.workspace.join("a"), place.workspace.join("link"));
            fs::create_dir_all(a.join("pkg")).expect("made");
            symlink(&outside, &link).expect("a link");
            let mut swaps = 0;
            while swaps < 10_000 && !stop.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(CWD, &a, CWD, &link, rustix::fs::RenameFlags::EXCHANGE).expect("swapped");
                swaps += 1;
                if swaps % 2 == 0 && swaps % 50 == 0 {
                    drop(fs::write(a.join("pkg/.envrc"), "planted"));
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
        let mut sweeps = 0;
        while !stop.load(Ordering::Relaxed) {
            // What fails because a name changes its meaning halfway is told of, and swept the next time.
            let swept = sweep(&before, &place.rules, &HELD, &mut quarantine);
            sweeps += 1 + swept.findings.len();
        }
        println!("{sweeps} sweeps and findings");
    });
    for path in ["pkg/.envrc", ".envrc"] {
        assert_eq!(fs::read_to_string(outside.join(path)).expect("still there"), "precious");
    }
    assert!(outside.join("pkg/.husky").is_dir());
}

#[test]
fn a_hundred_thousand_files_are_looked_through() {
    let place = Place::new();
    for number in 0..100 {
        for below in 0..10 {
            let dir = place.workspace.join(format!("package{number}/module{below}"));
            fs::create_dir_all(&dir).expect("made");
            for file in 0..10 {
                fs::write(dir.join(format!("file{file}.py")), "").expect("written");
            }
        }
    }
    place.file("package7/module7/.envrc", "");
    let found = scan(&place.workspace, &place.rules, &place.home).expect("a scan");
    assert_eq!(found, [place.workspace.join("package7/module7/.envrc")]);
}

#[test]
fn a_workspace_that_is_gone_or_a_link_is_refused() {
    let place = Place::new();
    let link = place.workspace.join("link");
    symlink("/tmp", &link).expect("a link");
    for path in [place.workspace.join("none"), link] {
        assert!(Before::take(&path, &place.rules, &place.home).is_err(), "{path:?}");
    }
    let before = place.before();
    fs::rename(&place.workspace, place.workspace.with_extension("moved")).expect("renamed");
    let mut quarantine = Quarantine::new(&place.state, &before);
    let swept = sweep(&before, &place.rules, &HELD, &mut quarantine);
    assert!(swept.incomplete.is_some());
}
