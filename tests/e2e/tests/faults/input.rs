//! Bad input: one clear message that names the place and the remedy, and nothing has run.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::Trial;
use crate::place::{Outcome, Place};
use crate::traces::{no_journal, none_left};

pub(crate) const TRIALS: &[Trial] = &[
    ("policies", policies),
    ("options", options),
    ("workspaces_too_broad", workspaces_too_broad),
    ("commands", commands),
    ("hostile_workspace_policies", hostile_workspace_policies),
    ("unreadable_policies", unreadable_policies),
    ("own_policy_and_state", own_policy_and_state),
];

/// Runs a command that would leave a marker; checks the status, that nothing ran, and that nothing stays.
fn refused(place: &Place, options: &[&str], what: &str, words: &[&str]) {
    let outcome = place.outcome(&mut place.script(options, "echo ran > \"$HOME/ran\"; echo ran > ran"));
    checked(place, &outcome, &format!("{options:?} {what}"), 125, words);
}

fn checked(place: &Place, outcome: &Outcome, what: &str, status: i32, words: &[&str]) {
    let text = &outcome.stderr;
    assert_eq!(outcome.status, status, "{what}: {text}");
    assert!(outcome.stdout.is_empty(), "{what}: something was printed on standard output");
    for word in words {
        assert!(text.contains(word), "{what}: `{word}` is not in: {text}");
    }
    let messages = text.lines().filter(|line| line.starts_with("stockade: ") || line.starts_with("error: ")).count();
    assert!((1..=5).contains(&messages), "{what}: {messages} messages: {text}");
    assert!(!text.contains("panicked") && text.len() < 6_000, "{what}: {text}");
    let hostile = text.chars().find(|&c| c.is_control() && c != '\n');
    assert_eq!(hostile, None, "{what}: a control character is printed: {text:?}");
    for ran in ["home/ran", "home/project/ran", "ran"] {
        assert!(!place.path(ran).exists(), "{what}: the command ran");
    }
    none_left(place, u32::MAX, what);
    no_journal(place, what);
}

fn policies(place: &Place) {
    let policy = place.path("home/policy.toml");
    for (text, words) in [
        ("version = 1\ncolour = 3\n", &["policy.toml:2:", "colour", "^"][..]),
        ("version = 1\n[filesystem]\nraed = []\n", &["policy.toml:3:", "raed", "`read`"]),
        ("version = 2\n", &["policy.toml:1:", "2"]),
        ("version = \n", &["policy.toml:1:"]),
        ("version = 1\nextends = \"strict\"\n", &["policy.toml:2:", "strict", "hardened"]),
        ("version = 1\n[limits]\nmemory = \"-1\"\n", &["policy.toml:3:", "-1"]),
        ("version = 1\n[limits]\nmemory = \"1KiB\"\n", &["policy.toml:3:", "1KiB"]),
        ("version = 1\n[limits]\nmemory = \"99999999999999999999GiB\"\n", &["policy.toml:3:"]),
        ("version = 1\n[limits]\ncpus = 0\n", &["policy.toml:3:", "cpus"]),
        ("version = 1\n[limits]\nprocesses = 0\n", &["policy.toml:3:"]),
        ("version = 1\n[limits]\ntime = \"soon\"\n", &["policy.toml:3:", "soon"]),
        ("version = 1\n[limits]\nfiles = 1\n", &["policy.toml:3:"]),
        ("version = 1\n[filesystem]\nread = [\"/\"]\n", &["policy.toml:3:"]),
        ("version = 1\n[filesystem]\nread = [\"a\\u0000b\"]\n", &["policy.toml:3:"]),
        ("version = 1\n[filesystem]\ndeny = [\"[\"]\n", &["policy.toml:3:", "["]),
        ("version = 1\n[filesystem]\nwrite = [\"../../etc\"]\n", &["policy.toml:3:"]),
        ("version = 1\n[environment]\npass = [\"A=B\"]\n", &["policy.toml:3:"]),
        ("version = 1\n[environment]\nset = { \"A\\u0000\" = \"b\" }\n", &["policy.toml:3:"]),
        ("version = 1\n[network]\nallow = [\"*.com\"]\n", &["policy.toml:3:", "*.com"]),
        ("version = 1\n[network]\nallow = [\"*.co.uk\"]\n", &["policy.toml:3:", "*.co.uk"]),
        ("version = 1\n[network]\nallow = [\"https://example.com/\"]\n", &["policy.toml:3:", "scheme"]),
        ("version = 1\n[network]\nallow = [\"localhost:80\"]\n", &["localhost:80", "127.0.0.1"]),
        ("version = 1\n[network]\ndefault = \"open\"\n", &["policy.toml:3:", "open"]),
        ("version = 1\n[network]\nallow = [\"exa mple.com\"]\n", &["policy.toml:3:", "exa mple.com"]),
        ("version = 1\n[network]\nallow = [\"example.com:99999\"]\n", &["policy.toml:3:", "99999"]),
        ("version = 1\n[network]\npublish = [\"0\"]\n", &["policy.toml:3:", "`0`"]),
        ("version = 1\n[unix]\nallow = [\"/run/x.sock\"]\n", &["/run/x.sock"]),
        ("version = 1\n[enforcement]\naccept_degraded = [\"everything\"]\n", &["policy.toml:3:", "everything"]),
        ("version = 1\n\"a\\u001b[2J\" = 1\n", &["policy.toml:2:"]),
        ("version = 1\nversion = 1\n", &["policy.toml:2:"]),
    ] {
        place.file("home/policy.toml", text);
        refused(place, &["--policy", policy.to_str().expect("a path")], &format!("{text:?}"), words);
        // `policy check` says the same, for what is wrong with the text alone.
        if words[0].starts_with("policy.toml:") {
            let check = place.outcome(place.stockade(["policy", "check"]).arg(&policy));
            assert_ne!(check.status, 0, "{text:?}: `policy check` has no objection");
        }
    }
}

fn options(place: &Place) {
    for (options, words) in [
        (&["--memory", "1KiB"][..], &["--memory", "1KiB"][..]),
        (&["--memory", "lots"], &["--memory", "lots"]),
        (&["--cpus", "0"], &["--cpus", "0"]),
        (&["--cpus", "NaN"], &["--cpus", "NaN"]),
        (&["--processes", "0"], &["--processes", "0"]),
        (&["--processes", "-3"], &["-3"]),
        (&["--files", "99999999999999999999999"], &["--files"]),
        (&["--disk", "0"], &["--disk"]),
        (&["--time", "0s"], &["--time"]),
        (&["--output", "1XB"], &["--output", "1XB"]),
        (&["--profile", "nothing"], &["--profile", "nothing", "hardened"]),
        (&["--read", "missing"], &["--read", "missing"]),
        (&["--read", "/"], &["--read", "/"]),
        (&["--allow", "https://x.example"], &["--allow", "scheme"]),
        (&["--allow", "*.com"], &["--allow", "*.com"]),
        (&["--publish", "http"], &["--publish", "http"]),
        (&["--unix", "missing.sock"], &["--unix", "missing.sock"]),
        (&["--unix", "/etc/passwd"], &["/etc/passwd", "socket"]),
        (&["--write", "/etc/missing\u{1b}[2J"], &["--write", "missing"]),
        (&["--deny", "["], &["--deny", "["]),
        (&["--isolation", "vm"], &["--isolation", "vm", "landlock"]),
        (&["--isolation", "landlock"], &["landlock", "--accept-degraded"]),
        (&["--accept-degraded", "all"], &["--accept-degraded", "all"]),
        (&["--trace=everything"], &["--trace", "everything"]),
        (&["--env", "=x"], &["--env"]),
        (&["--no-such-option"], &["--no-such-option"]),
        (&["--report", "missing/report.json"], &["missing/report.json"]),
        (&["--events", "/"], &["/"]),
        (&["--policy", "missing.toml"], &["missing.toml"]),
        (&["--policy", "/"], &["/"]),
        (&["--policy", "/dev/zero"], &["/dev/zero"]),
    ] {
        refused(place, options, "", words);
    }
}

fn workspaces_too_broad(place: &Place) {
    let path = |name: &str| place.path(name).to_str().expect("a path").to_owned();
    symlink("/", place.path("everything")).expect("a link");
    place.file("home/file", "");
    for (workspace, words) in [
        ("/".to_owned(), &["/"][..]),
        (path("home"), &["home"]),
        (path("everything"), &["/"]),
        (path("home/project/../.."), &["home"]),
        ("/usr".to_owned(), &["/usr"]),
        ("/etc".to_owned(), &["/etc"]),
        ("/proc".to_owned(), &["/proc"]),
        ("/dev".to_owned(), &["/dev"]),
        ("/tmp".to_owned(), &["/tmp"]),
        (path("home/missing"), &["missing", "No such file"]),
        (path("home/file"), &["file", "Not a directory"]),
        (path("home/.local/state/stockade"), &["stockade"]),
    ] {
        refused(place, &["-C", &workspace], "", words);
    }
    let outcome = place.outcome(place.script(&[], "echo ran > ran").current_dir("/"));
    checked(place, &outcome, "from /", 125, &["/"]);
    if !place.user().is_root() {
        let closed = place.directory("home/closed");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).expect("chmod");
        refused(place, &["-C", closed.to_str().expect("a path")], "", &["closed", "Permission denied"]);
    }
}

fn commands(place: &Place) {
    place.file("home/project/plain", "no program\n");
    place.file("home/project/script", "#!/missing/interpreter\n");
    place.file("home/project/garbage", b"\x7fELF and no more");
    for name in ["script", "garbage"] {
        fs::set_permissions(place.workspace().join(name), fs::Permissions::from_mode(0o755)).expect("chmod");
    }
    place.directory("home/project/folder");
    // Given to the shell, as execvp(3) does with what has no format that the kernel knows; the message is the shell's.
    let outcome = place.outcome(&mut place.stockade(["run", "--", "./garbage"]));
    assert_eq!(outcome.status, 127, "{}", outcome.stderr);
    for (command, status) in [
        (&["no-such-command"][..], 127),
        (&["./missing"], 127),
        (&["/missing/program"], 127),
        (&["./README/below"], 127),
        (&["./plain"], 126),
        (&["./folder"], 126),
        (&["./script"], 127),
        (&["a\u{1b}[2Jb"], 127),
        (&[""], 125),
    ] {
        for options in crate::place::TIERS {
            let what = format!("{options:?} {command:?}");
            let mut started = place.stockade(["run"]);
            let outcome = place.outcome(started.args(*options).arg("--").args(command));
            checked(place, &outcome, &what, status, &[]);
        }
    }
}

/// Whatever a workspace brings: it is refused, never passed over, and never waited for.
fn hostile_workspace_policies(place: &Place) {
    let path = place.workspace().join(".stockade.toml");
    let long = "a".repeat(2 << 20);
    let texts: &[(&[u8], &[&str])] = &[
        (b"version = 1\n[filesystem]\nwrite = [\"~/.ssh\"]\n", &[".stockade.toml:3:"]),
        (b"version = 1\n[filesystem]\nread = [\"/etc/shadow\"]\n", &[".stockade.toml:3:"]),
        (b"version = 1\n[limits]\nmemory = \"1KiB\"\n", &[".stockade.toml:3:"]),
        (b"version = 1\n[network]\nallow = [\"example.com\"]\n", &[".stockade.toml:3:"]),
        (b"version = 1\n[environment]\npass = [\"AWS_SECRET_ACCESS_KEY\"]\n", &[".stockade.toml:3:"]),
        (b"version = 1\n[enforcement]\naccept_degraded = [\"files\"]\n", &[".stockade.toml:3:"]),
        (b"version = 1\nextends = \"research\"\n", &[".stockade.toml:2:"]),
        (b"version = 1\n\x1b[2J = 3\n", &[".stockade.toml:2:"]),
        (b"version = 1\n\"\\u001b[2J\\u202e\" = 3\n", &[".stockade.toml:2:"]),
        (b"\xff\xfe\x00", &[".stockade.toml", "UTF-8"]),
        (b"[[[[[[[[", &[".stockade.toml:1:"]),
        (long.as_bytes(), &[".stockade.toml", "bytes"]),
    ];
    for (text, words) in texts {
        place.file("home/project/.stockade.toml", text);
        refused(place, &[], &String::from_utf8_lossy(&text[..text.len().min(80)]), words);
    }
    place.file("home/project/.stockade.toml", "x = ".to_owned() + &"[".repeat(100_000));
    refused(place, &[], "", &[".stockade.toml:1:"]);
    fs::remove_file(&path).expect("remove");
    for target in ["/dev/zero", "/etc/passwd", "missing", ".stockade.toml", "README"] {
        symlink(target, &path).expect("a link");
        refused(place, &[], target, &[".stockade.toml"]);
        fs::remove_file(&path).expect("remove");
    }
    assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo runs").success());
    refused(place, &[], "", &[".stockade.toml"]);
    fs::remove_file(&path).expect("remove");
    fs::create_dir(&path).expect("a directory");
    refused(place, &[], "", &[".stockade.toml"]);
    fs::remove_dir(&path).expect("remove");
    let socket = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
    refused(place, &[], "", &[".stockade.toml"]);
    drop(socket);
    fs::remove_file(&path).expect("remove");
    if !place.user().is_root() {
        place.file("home/project/.stockade.toml", "version = 1\n");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("chmod");
        refused(place, &[], "", &[".stockade.toml", "Permission denied"]);
    }
}

fn unreadable_policies(place: &Place) {
    let policy = place.file("home/policy.toml", "version = 1\n");
    let options = ["--policy", policy.to_str().expect("a path")];
    if !place.user().is_root() {
        fs::set_permissions(&policy, fs::Permissions::from_mode(0o000)).expect("chmod");
        refused(place, &options, "", &["policy.toml", "Permission denied"]);
    }
    fs::remove_file(&policy).expect("remove");
    fs::create_dir(&policy).expect("a directory");
    refused(place, &options, "", &["policy.toml", "regular file"]);
    fs::remove_dir(&policy).expect("remove");
    place.file("home/policy.toml", b"version = 1 # \xff\n");
    refused(place, &options, "", &["policy.toml", "UTF-8"]);
}

/// The user's own policy is read at every start; a broken one stops every run.
fn own_policy_and_state(place: &Place) {
    place.file("home/.config/stockade/policy.toml", "version = 1\nbroken\n");
    refused(place, &[], "", &["policy.toml:2:"]);
    fs::remove_file(place.path("home/.config/stockade/policy.toml")).expect("remove");
    place.directory("home/.config/stockade/policy.toml");
    refused(place, &[], "", &["policy.toml"]);
    fs::remove_dir(place.path("home/.config/stockade/policy.toml")).expect("remove");
    // A state directory that cannot be made, and one that is a file.
    place.file("home/.local/state", "");
    refused(place, &[], "", &["state"]);
}
