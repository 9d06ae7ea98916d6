//! What is not to be reached from inside: the control socket, the state directory, other sandboxes, the host's workspace.

use std::fs;
use std::net::TcpListener;

use crate::Trial;
use crate::place::Place;

pub(crate) const TRIALS: &[Trial] = &[
    ("state_directory", state_directory),
    ("host_workspace", host_workspace),
    ("workspace_that_is_home", workspace_that_is_home),
    ("hostile_policy", hostile_policy),
    ("policy_of_later_starts", policy_of_later_starts),
    ("nested_sandboxes", nested_sandboxes),
];

/// Tries everything that somebody might do with a state directory, and prints what worked.
const REACH: &str = "
import os, socket, sys
state, name = sys.argv[1:]
worked = []
def attempt(what, act):
    try: act(); worked.append(what)
    except OSError: pass
def connect():
    peer = socket.socket(socket.AF_UNIX); peer.settimeout(2)
    here = os.open(f'{state}/sandboxes/{name}', os.O_PATH); peer.connect(f'/proc/self/fd/{here}/control')
    peer.send(b'{\"ask\":\"status\"}\\n')
    if b'status' not in peer.recv(100): raise OSError
attempt('list', lambda: os.listdir(state + '/sandboxes')[0])
attempt('connect', connect)
attempt('read key', lambda: open(state + '/key', 'rb').read(1))
attempt('read layer', lambda: open(f'{state}/sandboxes/{name}/upper/secret').read())
attempt('write layer', lambda: open(f'{state}/sandboxes/{name}/upper/planted', 'w').write('x'))
attempt('write record', lambda: open(f'{state}/sandboxes/{name}/record.jsonl', 'a').write(''))
attempt('write settings', lambda: open(f'{state}/sandboxes/{name}/sandbox.json', 'a').write(''))
attempt('lock', lambda: __import__('fcntl').flock(os.open(f'{state}/sandboxes/{name}/lock', os.O_RDWR), 6))
attempt('make', lambda: os.mkdir(state + '/sandboxes/new'))
attempt('rename', lambda: os.rename(f'{state}/sandboxes/{name}', f'{state}/sandboxes/moved'))
print(*worked, sep='\\n', end='')
";

fn state_directory(place: &Place) {
    place.create("other", &[]);
    place.good("other", "echo secret > secret");
    let (home, base) = (place.path("home"), place.base().to_owned());
    let (home, base) = (home.to_str().expect("a path"), base.to_str().expect("a path"));
    let state = place.state();
    let state = state.to_str().expect("a path");
    let ways: &[&[&str]] = &[&[], &["--read", home], &["--read", base], &["--read", "/"]];
    for (number, options) in ways.iter().enumerate() {
        let name = format!("own{number}");
        let made = place.outcome(place.stockade(&["create", "--name", &name]).args(*options));
        if made.status == 125 && !made.stderr.is_empty() {
            assert!(!options.is_empty(), "{made:?}");
            continue;
        }
        assert_eq!(made.status, 0, "{options:?}: {made:?}");
        for target in ["other", &name] {
            let mut command = place.stockade(&["exec", &name, "--", "python3", "-c", REACH, state, target]);
            let outcome = place.outcome(&mut command);
            if outcome.status == 125 && !outcome.stderr.is_empty() {
                assert!(!options.is_empty(), "{target}: {outcome:?}");
                continue;
            }
            assert_eq!((outcome.status, outcome.stdout.as_str()), (0, ""), "{options:?} {target}: {outcome:?}");
        }
    }
    // A policy that says so outright is refused.
    let written = place.outcome(&mut place.stockade(&["create", "--name", "bad", "--write", state]));
    let inside = place.outcome(&mut place.stockade(&["exec", "bad", "--", "python3", "-c", REACH, state, "other"]));
    assert!(written.status == 125 || inside.stdout.is_empty(), "{written:?} {inside:?}");
    // What is tried works for whoever is no sandbox.
    let native = place.outcome(place.command("python3").args(["-c", REACH, state, "other"]));
    let worked: Vec<&str> = native.stdout.lines().collect();
    assert!(worked.contains(&"connect") && worked.contains(&"rename") && worked.len() > 8, "{native:?}");
}

/// The workspace below the overlay is not to be had by any other name.
fn host_workspace(place: &Place) {
    let base = place.base().to_str().expect("a path").to_owned();
    place.create("own", &["--read", &base]);
    let before = place.host();
    let workspace = place.workspace();
    let script = r"
        for path in $1 /proc/self/root$1 /proc/1/root$1 /proc/2/root$1 /proc/self/cwd /proc/1/cwd /proc/2/cwd $1/../project; do
            (echo changed > $path/README; echo new > $path/new; rm -f $path/build.sh; touch -d @0 $path/src/main.c) 2>/dev/null
        done
        grep ' - overlay ' /proc/self/mountinfo | tr ',' '\n' | sed -n 's/.*\(lowerdir\|upperdir\|workdir\)[^=]*=//p' | while read dir; do
            (echo changed > $dir/README; ls -d $dir/../upper) 2>/dev/null
        done
        mount -o remount,rw $1 2>/dev/null; umount $1 2>/dev/null && echo unmounted
        cat README";
    let outcome = place.outcome(place.stockade(&["exec", "own", "--", "sh", "-c", script, "sh"]).arg(&workspace));
    assert_eq!(outcome.stdout, "changed\n", "{outcome:?}");
    before.is_still(&workspace, "every name of the workspace");
}

/// Where the workspace is home itself, it holds the state directory: that is refused, or hidden.
fn workspace_that_is_home(place: &Place) {
    let home = place.path("home");
    let state = place.state();
    let mut command = place.stockade(&["create", "--name", "home", "-C"]);
    let made = place.outcome(command.arg(&home));
    if made.status != 0 {
        assert!(made.status == 125 && !made.stderr.is_empty(), "{made:?}");
        assert!(!place.folder("home").exists());
        return;
    }
    let outcome = place.outcome(
        place.stockade(&["exec", "home", "--", "python3", "-c", REACH]).arg(&state).arg("home").current_dir(&home),
    );
    assert!(outcome.status == 125 || outcome.stdout.is_empty(), "{outcome:?}");
}

/// A workspace's own policy takes away and never gives, also for a sandbox that lasts.
fn hostile_policy(place: &Place) {
    let outside = place.path("outside");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("its address").port().to_string();
    let mut ran = 0;
    for text in [
        format!("version = 1\n[filesystem]\nwrite = [\"{}\"]\n", outside.display()),
        format!("version = 1\n[filesystem]\nread = [\"{}\"]\n", outside.display()),
        "version = 1\n[environment]\npass = [\"SECRET\"]\n".to_owned(),
        "version = 1\n[network]\ndefault = \"allow\"\n".to_owned(),
        "version = 1\n[network]\nallow = [\"*\"]\n".to_owned(),
        "version = 1\nextends = \"research\"\n".to_owned(),
        "version = 1\n[limits]\ntime = \"300d\"\nmemory = \"1TiB\"\n".to_owned(),
        "version = 1\n[filesystem]\nprotect = []\n".to_owned(),
        "version = \0\u{1b}[31m".to_owned(),
    ] {
        place.file("home/project/.stockade.toml", &text);
        let made = place.outcome(&mut place.stockade(&["create", "--name", "own"]));
        if made.status == 0 {
            let script =
                "echo ran; cat $1/victim.txt; echo x > $1/new; printf '%s' \"$SECRET\"; python3 -c \"import socket
try: socket.create_connection(('127.0.0.1', $2), 1); print('connected')
except OSError: print('not connected')\"; echo evil > .envrc";
            let mut command = place.stockade(&["exec", "own", "--", "sh", "-c", script, "sh"]);
            let outcome = place.outcome(command.arg(&outside).arg(&port).env("SECRET", "secret"));
            assert_eq!(outcome.stdout, "ran\nnot connected\n", "{text}: {outcome:?}");
            ran += 1;
            assert!(!outside.join("new").exists(), "{text}");
            drop(place.outcome(&mut place.call(&["apply", "own"])));
            assert!(!place.workspace().join(".envrc").exists(), "{text}");
            place.done(&["rm", "--force", "own"]);
        } else {
            assert!(made.status == 125 && !made.stderr.contains('\u{1b}'), "{text}: {made:?}");
        }
    }
    assert!(ran > 0, "every policy was refused");
    fs::remove_file(place.workspace().join(".stockade.toml")).expect("removed");
}

/// What is written inside governs neither this sandbox's later starts nor those of its forks.
fn policy_of_later_starts(place: &Place) {
    place.create("own", &[]);
    let outside = place.path("outside");
    let text = format!("version = 1\n[filesystem]\nwrite = [\"{}\"]\n", outside.display());
    let write = ["exec", "own", "--", "sh", "-c", "echo \"$1\" > .stockade.toml", "sh", &text];
    place.done(&write);
    place.done(&["stop", "own"]);
    place.done(&["fork", "own", "fork"]);
    for name in ["own", "fork"] {
        let outcome =
            place.outcome(place.stockade(&["exec", name, "--", "sh", "-c", "echo x > \"$1/new\"", "sh"]).arg(&outside));
        assert!(!outside.join("new").exists(), "{name}: {outcome:?}");
    }
    drop(place.outcome(&mut place.call(&["apply", "own"])));
    assert!(!place.workspace().join(".stockade.toml").exists());
}

/// A sandbox made inside a sandbox, if at all, has a state directory of its own and reaches nothing of the outer one.
fn nested_sandboxes(place: &Place) {
    place.create("own", &["--read", place.program().to_str().expect("a path")]);
    let before = place.host();
    let program = place.program();
    for words in [&["create", "--name", "inner"][..], &["exec", "own", "--", "true"], &["exec", "inner", "--", "true"]]
    {
        let outcome = place.outcome(place.stockade(&["exec", "own", "--"]).arg(&program).args(words));
        assert!(outcome.status == 0 || !outcome.stderr.is_empty(), "{words:?}: {outcome:?}");
        assert!(words[1] != "own" || outcome.status == 125, "it found the outer sandbox: {outcome:?}");
    }
    assert!(!place.folder("inner").exists());
    before.is_still(&place.workspace(), "nested sandboxes");
}
