//! What somebody changes outside: layers, records, settings, owners, the workspace. Every change is found, one message says
//! which, and nothing else is touched.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::Trial;
use crate::place::{Outcome, Place};
use crate::tree::Tree;

pub(crate) const TRIALS: &[Trial] = &[
    ("edited_layers", edited_layers),
    ("forged_records", forged_records),
    ("another_users_folder", another_users_folder),
    ("links_for_folders", links_for_folders),
    ("damaged_settings", damaged_settings),
    ("workspace_that_goes", workspace_that_goes),
    ("bad_input", bad_input),
];

fn verify(place: &Place, name: &str) -> Outcome {
    place.outcome(&mut place.stockade(&["audit", "verify", name]))
}

fn edited_layers(place: &Place) {
    place.create("own", &[]);
    place.good("own", "mkdir d; echo 1234 > d/file; ln -s to d/link; echo other > other; rm README");
    place.done(&["checkpoint", "own"]);
    place.done(&["stop", "own"]);
    place.done(&["audit", "verify", "own"]);
    let layers = crate::leftovers::entries(&place.state().join("layers"));
    let layer = layers.iter().find(|path| path.is_dir()).expect("a layer");
    let layer = layer.to_str().expect("a path");
    for (edit, back) in [
        ("touch -r d/file /tmp/x.$$; echo 5678 > d/file; touch -r /tmp/x.$$ d/file; rm /tmp/x.$$", "d/file"),
        ("chmod 600 other", "other"),
        ("echo new > d/new", "new"),
        ("rm other", "other"),
        ("ln -sf elsewhere d/link", "link"),
        ("mv d/file d/renamed", "renamed"),
        ("rm README; echo back > README", "README"),
        ("cd ..; sed -i 1d listing.jsonl", "listing"),
        ("cd ..; rm listing.jsonl", "listing"),
    ] {
        // Each edit is made of a copy that is put in the place of the whole state directory.
        let state = place.path("home/.local/state");
        let kept = place.path("home/.local/kept");
        let script = format!(
            "chmod u+rwx {0}/stockade/sandboxes/own/work/work; cp -a {0} {1} && cd {layer}/tree && chmod -R u+rwX . && {edit}",
            state.display(),
            kept.display()
        );
        let edited = place.outcome(place.command("sh").args(["-ec", &script]));
        assert_eq!(edited.status, 0, "{edit}: {edited:?}");
        let found = verify(place, "own");
        assert!(found.status == 1 && (found.stdout.clone() + &found.stderr).contains(back), "{edit}: {found:?}");
        fs::remove_dir_all(&state).expect("removed");
        fs::rename(&kept, &state).expect("moved back");
    }
}

fn forged_records(place: &Place) {
    for name in ["own", "other"] {
        place.create(name, &[]);
        place.good(name, "echo one");
        place.done(&["checkpoint", name]);
        place.done(&["stop", name]);
        place.done(&["audit", "verify", name]);
    }
    let file = |name: &str, file: &str| place.folder(name).join(file);
    let (record, head) = (file("own", "record.jsonl"), file("own", "record.head"));
    let (text, signed) = (fs::read_to_string(&record).expect("a record"), fs::read(&head).expect("a head"));
    let lines: Vec<&str> = text.lines().collect();
    let joined = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let without = |at: usize| [&lines[..at], &lines[at + 1..]].concat();
    let mut swapped = lines.clone();
    swapped.swap(1, 2);
    let other = fs::read_to_string(file("other", "record.jsonl")).expect("a record");
    for (what, forged) in [
        ("an edit", text.replacen("echo one", "echo two", 1)),
        ("a gap", joined(&without(2))),
        ("a cut", joined(&lines[..lines.len() - 1])),
        ("a cut in the midst of a line", text[..text.len() - 10].to_owned()),
        ("another order", joined(&swapped)),
        ("a line twice", joined(&[&lines[..2], &lines[1..]].concat())),
        ("a number", text.replacen("\"at_ms\":1", "\"at_ms\":2", 1)),
        ("white space", text.replacen("{\"version\":1,", "{\"version\": 1,", 1)),
        ("another sandbox's", other.clone()),
        ("nothing", String::new()),
        ("bytes", "\0\0\0\n".to_owned()),
    ] {
        assert_ne!(forged, text, "{what}");
        fs::write(&record, forged).expect("written");
        let found = verify(place, "own");
        assert!(found.status == 1, "{what}: {found:?}");
        fs::write(&record, &text).expect("written back");
        place.done(&["audit", "verify", "own"]);
    }
    for (what, forged) in [
        ("another head", fs::read(file("other", "record.head")).expect("a head")),
        ("no head", Vec::new()),
        ("a head with another signature", signed.iter().map(|byte| if *byte == b'a' { b'b' } else { *byte }).collect()),
    ] {
        fs::write(&head, forged).expect("written");
        let found = verify(place, "own");
        assert!(found.status == 1, "{what}: {found:?}");
        fs::write(&head, &signed).expect("written back");
    }
    place.done(&["audit", "verify", "own"]);
}

/// Every command that a sandbox can be named in.
const COMMANDS: &[&[&str]] = &[
    &["exec", "NAME", "--", "true"],
    &["checkpoint", "NAME"],
    &["restore", "NAME", "c1"],
    &["fork", "NAME", "new"],
    &["diff", "NAME"],
    &["apply", "NAME"],
    &["discard", "NAME"],
    &["log", "NAME"],
    &["events", "NAME"],
    &["audit", "verify", "NAME"],
    &["stop", "NAME"],
];

/// All commands refuse, with a message, and change nothing below these directories.
fn all_refuse(place: &Place, name: &str, kept: &[&Path], what: &str) {
    let before: Vec<Tree> = kept.iter().map(|path| Tree::of(path)).collect();
    for words in COMMANDS {
        let words: Vec<&str> = words.iter().map(|word| if *word == "NAME" { name } else { word }).collect();
        let outcome = place.outcome(&mut place.stockade(&words));
        assert!(outcome.status == 125 && !outcome.stderr.is_empty(), "{what}, {words:?}: {outcome:?}");
        assert!(outcome.stderr.lines().count() < 8, "{what}, {words:?}: {outcome:?}");
        for (path, before) in kept.iter().zip(&before) {
            before.is_still(path, &format!("{what}, {words:?}"));
        }
    }
}

fn another_users_folder(place: &Place) {
    if !rustix::process::getuid().is_root() {
        println!("not run: giving a folder to somebody else needs root");
        return;
    }
    place.create("own", &[]);
    place.good("own", "echo more > more");
    place.done(&["checkpoint", "own"]);
    place.done(&["stop", "own"]);
    let other = if place.user().is_root() { 65_534 } else { 0 };
    let back =
        fs::metadata(place.folder("own")).map(|data| std::os::unix::fs::MetadataExt::uid(&data)).expect("an owner");
    for name in ["sandboxes/own", "sandboxes", "layers", ""] {
        let path = place.state().join(name);
        std::os::unix::fs::chown(&path, Some(other), None).expect("chown");
        all_refuse(place, "own", &[&place.workspace()], &format!("another user's {name:?}"));
        std::os::unix::fs::chown(&path, Some(back), None).expect("chown");
    }
    for name in ["sandboxes/own", "sandboxes", "layers"] {
        use std::os::unix::fs::PermissionsExt;
        let path = place.state().join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("chmod");
        let outcome = place.outcome(&mut place.stockade(&["exec", "own", "--", "true"]));
        assert!(
            outcome.status == 125 || fs::metadata(&path).expect("there").permissions().mode() & 0o77 == 0,
            "{name}: {outcome:?}"
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("chmod");
    }
    assert_eq!(place.exec("own", "cat more").stdout, "more\n");
}

fn links_for_folders(place: &Place) {
    place.create("own", &[]);
    place.good("own", "echo more > more");
    place.done(&["checkpoint", "own"]);
    place.done(&["stop", "own"]);
    let elsewhere = place.path("elsewhere");
    for name in ["sandboxes/own", "sandboxes", "layers"] {
        let path = place.state().join(name);
        fs::rename(&path, &elsewhere).expect("moved");
        symlink(&elsewhere, &path).expect("a link");
        all_refuse(place, "own", &[&place.workspace(), &elsewhere], &format!("a link for {name}"));
        drop(place.outcome(&mut place.stockade(&["rm", "--force", "own"])));
        assert!(fs::read_dir(&elsewhere).expect("a list").count() > 0, "{name}: removed through a link");
        drop(fs::remove_file(&path));
        drop(fs::remove_dir(&path));
        fs::rename(&elsewhere, &path).expect("moved back");
    }
    assert_eq!(place.exec("own", "cat more").stdout, "more\n");
    // Files of a sandbox, too.
    for name in ["sandbox.json", "record.jsonl", "lock", "upper"] {
        let path = place.folder("own").join(name);
        fs::rename(&path, &elsewhere).expect("moved");
        symlink(&elsewhere, &path).expect("a link");
        let outcome = place.outcome(&mut place.stockade(&["checkpoint", "own"]));
        assert!(outcome.status == 125 && !outcome.stderr.is_empty(), "{name}: {outcome:?}");
        fs::remove_file(&path).expect("the link");
        fs::rename(&elsewhere, &path).expect("moved back");
    }
    assert_eq!(place.exec("own", "cat more").stdout, "more\n");
}

fn damaged_settings(place: &Place) {
    place.create("own", &[]);
    place.create("other", &[]);
    place.good("own", "echo more > more");
    place.done(&["checkpoint", "own"]);
    place.done(&["stop", "own"]);
    let manifest = place.folder("own").join("sandbox.json");
    let good = fs::read_to_string(&manifest).expect("a manifest");
    let workspace = place.workspace();
    for bad in [
        String::new(),
        "{".to_owned(),
        "null".to_owned(),
        good[..good.len() / 2].to_owned(),
        "[".repeat(100_000),
        good.replacen("\"version\":1", "\"version\":99", 1).replacen("\"version\": 1", "\"version\": 99", 1),
        good.replace(workspace.to_str().expect("a path"), "../../etc"),
        good.replace(workspace.to_str().expect("a path"), "/etc"),
    ] {
        assert_ne!(bad, good);
        fs::write(&manifest, &bad).expect("written");
        for words in [&["exec", "own", "--", "true"][..], &["apply", "own"], &["diff", "own"]] {
            let outcome = place.outcome(&mut place.stockade(words));
            assert!(outcome.status == 125 && !outcome.stderr.is_empty(), "{words:?}: {outcome:?} {bad:.60}");
        }
        let list = place.done(&["ls"]);
        assert!(list.contains("own") && list.contains("other"), "{list}");
        fs::write(&manifest, &good).expect("written back");
    }
    assert_eq!(place.exec("own", "cat more").stdout, "more\n");
    place.done(&["stop", "own"]);
    fs::write(&manifest, "{").expect("written");
    place.done(&["rm", "--force", "own"]);
    assert!(!place.folder("own").exists());
}

fn workspace_that_goes(place: &Place) {
    place.create("own", &[]);
    place.good("own", "echo more > more");
    place.done(&["checkpoint", "own"]);
    place.done(&["stop", "own"]);
    let (workspace, moved) = (place.workspace(), place.path("home/moved"));
    let call = |words: &[&str]| {
        let mut command = place.stockade(words);
        place.outcome(command.current_dir(place.base()))
    };
    for replaced in [false, true] {
        fs::rename(&workspace, &moved).expect("moved");
        if replaced {
            place.directory("home/project");
            place.file("home/project/README", "another\n");
        }
        for words in [&["exec", "own", "--", "true"][..], &["apply", "own"], &["diff", "own"]] {
            let outcome = call(words);
            assert!(outcome.status == 125 && !outcome.stderr.is_empty(), "{replaced} {words:?}: {outcome:?}");
        }
        let outcome = call(&["log", "own"]);
        assert_eq!(outcome.status, 0, "{outcome:?}");
        if replaced {
            let text = fs::read_to_string(workspace.join("README")).expect("README");
            assert_eq!((text.as_str(), fs::read_dir(&workspace).expect("a list").count()), ("another\n", 1));
            fs::remove_dir_all(&workspace).expect("removed");
        }
        fs::rename(&moved, &workspace).expect("moved back");
    }
    place.done(&["apply", "own"]);
    assert!(workspace.join("more").exists());
}

fn bad_input(place: &Place) {
    place.create("own", &[]);
    place.create("other", &[]);
    place.good("other", "echo more > more");
    place.done(&["checkpoint", "other", "--label", "theirs"]);
    let before = place.host();
    for words in [
        &["restore", "own", "c1"][..],
        &["restore", "own", "theirs"],
        &["restore", "other", "c99"],
        &["restore", "other", "../c1"],
        &["fork", "other", "own"],
        &["fork", "other", "new", "--at", "c7"],
        &["create", "--name", "own"],
        &["apply", "own"],
        &["apply", "other", "nosuch"],
        &["apply", "other", "../x"],
        &["apply", "other", "/etc/passwd"],
        &["exec", "own", "-C", "/etc", "--", "true"],
        &["create", "--name", "new", "-C", "/nonexistent"],
        &["create", "--name", "new", "-C", "/proc"],
    ] {
        let outcome = place.outcome(&mut place.stockade(words));
        assert!(outcome.status == 125 && !outcome.stderr.is_empty(), "{words:?}: {outcome:?}");
        assert!(!place.folder("new").exists(), "{words:?}");
    }
    before.is_still(&place.workspace(), "bad input");
    assert_eq!(place.exec("other", "cat more").stdout, "more\n");
}
