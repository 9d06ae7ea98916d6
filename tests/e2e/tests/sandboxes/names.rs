//! Names as hostile code makes them: every one is kept, told and applied as it is, or refused as a whole.

use std::fs;

use crate::Trial;
use crate::place::Place;

pub(crate) const TRIALS: &[Trial] =
    &[("every_name", every_name), ("deep_trees", deep_trees), ("names_of_sandboxes", names_of_sandboxes)];

const MAKE: &str = r#"
import os
names = [b'a\nb', b'\xff\xfe', b'x' * 255, b'...', b'. .', b'-rf', b' ', b'\t', b'a\\b', b'"', b"'", b'\x1b[31mred\x1b[0m',
    b'*', b'$(touch fired)', b'\xe2\x80\xae', b'a\x01b', b'.wh.README', b'.wh..wh..opq', b'\xc3', b'con', b'~', b'#work', b'%s%n',
    b'\xe4' * 255, b'\n' * 255, b'c1', b'.stockade-apply-0', b'upper', b'work']
for name in names:
    open(name, 'wb').write(name)
    os.mkdir(b'd-' + name[:253]); open(b'd-' + name[:253] + b'/' + name, 'wb').write(name)
    os.symlink(name, b'l-' + name[:253])
    os.rename(b'd-' + name[:253], b'e-' + name[:253])
"#;

const LIST: &str = "
import hashlib, os
all = hashlib.sha256()
for top, dirs, files in os.walk(b'.'):
    dirs[:] = sorted(d for d in dirs if d != b'.git')
    for name in sorted(files):
        path = os.path.join(top, name)
        all.update(path + b'\\0' + (os.readlink(path) if os.path.islink(path) else open(path, 'rb').read()) + b'\\0')
print(all.hexdigest())
";

fn every_name(place: &Place) {
    place.create("names", &[]);
    let python = |script: &str| place.outcome(&mut place.stockade(&["exec", "names", "--", "python3", "-c", script]));
    let made = python(MAKE);
    assert_eq!(made.status, 0, "{made:?}");
    let inside = python(LIST).stdout;
    for _ in 0..2 {
        place.done(&["checkpoint", "names"]);
        python("open(b'\\xff\\xfe', 'ab').write(b'')");
    }
    place.done(&["fork", "names", "fork", "--at", "c1"]);
    let fork = place.outcome(&mut place.stockade(&["exec", "fork", "--", "python3", "-c", LIST]));
    assert_eq!(fork.stdout, inside);
    for words in [&["diff", "names"][..], &["events", "names"], &["audit", "verify", "names"]] {
        let told = place.done(words);
        assert!(!told.contains('\u{1b}'), "{words:?}: control characters are told as they are: {told:?}");
    }
    let outcome = place.outcome(&mut place.call(&["apply", "names"]));
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert!(!outcome.stdout.contains('\u{1b}'), "{outcome:?}");
    let host = place.outcome(place.command("python3").args(["-c", LIST]));
    assert_eq!(host.stdout, inside, "{host:?}");
    assert!(!place.workspace().join("fired").exists());
    // Back to nothing: what was applied is what the sandbox sees of the host, and goes again by it.
    place.good("names", "git clean -q -f -d -x; git status --porcelain");
    place.done(&["apply", "names"]);
    let left: Vec<_> =
        fs::read_dir(place.workspace()).expect("a list").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left.len(), 4, "{left:?}");
}

/// Deeper than any path can say.
fn deep_trees(place: &Place) {
    place.create("deep", &[]);
    let script = "
import os
os.mkdir('top'); os.chdir('top')
for n in range(600):
    os.mkdir('directory-of-level-%d' % n); os.chdir('directory-of-level-%d' % n)
open('bottom', 'w').write('bottom')
";
    let made = place.outcome(&mut place.stockade(&["exec", "deep", "--", "python3", "-c", script]));
    assert_eq!(made.status, 0, "{made:?}");
    place.done(&["checkpoint", "deep"]);
    place.good("deep", "rm -r top/directory-of-level-0/directory-of-level-1; echo > top/new");
    place.done(&["checkpoint", "deep"]);
    place.done(&["restore", "deep", "c1"]);
    place.done(&["audit", "verify", "deep"]);
    let outcome = place.outcome(&mut place.call(&["apply", "deep"]));
    assert!(matches!(outcome.status, 0 | 1), "{outcome:?}");
    let host = place.outcome(place.command("sh").args(["-c", "find top -name bottom | wc -l; rm -r top"]));
    assert!(host.status == 0 && (outcome.status == 1 || host.stdout == "1\n"), "{host:?} {outcome:?}");
    place.done(&["rm", "--force", "deep"]);
}

/// What cannot be a sandbox's name is refused by every command, and leads nowhere.
fn names_of_sandboxes(place: &Place) {
    place.create("good", &[]);
    let long = "x".repeat(65);
    let path = place.path("outside");
    let before = crate::tree::Tree::of(&path);
    for name in [
        "",
        ".",
        "..",
        "../layers",
        "a/b",
        "A",
        "a b",
        "-x",
        ".new-x",
        "a\nb",
        "good/../good",
        path.to_str().expect("a path"),
        &long,
    ] {
        for words in [
            &["checkpoint", name][..],
            &["restore", name, "c1"],
            &["fork", name, "new"],
            &["fork", "good", name],
            &["apply", name],
            &["discard", name],
            &["stop", name],
            &["rm", "--force", name],
            &["audit", "verify", name],
        ] {
            let outcome = place.outcome(&mut place.call(words));
            assert!(matches!(outcome.status, 2 | 125) && !outcome.stderr.is_empty(), "{words:?}: {outcome:?}");
        }
        let made = place.outcome(&mut place.stockade(&["create", "--name", name]));
        assert!(matches!(made.status, 2 | 125), "{name:?}: {made:?}");
        let ran = place.outcome(&mut place.stockade(&["exec", name, "--", "true"]));
        assert!(matches!(ran.status, 2 | 125), "{name:?}: {ran:?}");
    }
    before.is_still(&path, "names of sandboxes");
    assert_eq!(place.done(&["ls"]).matches("\"name\"").count(), 1);
}
