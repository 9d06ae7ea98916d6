//! Whiteouts and attributes of overlayfs, as somebody inside may try to make them, and files of odd kinds.

use crate::Trial;
use crate::place::Place;

pub(crate) const TRIALS: &[Trial] = &[
    ("whiteouts_by_hand", whiteouts_by_hand),
    ("attributes_by_hand", attributes_by_hand),
    ("removed_and_made_again", removed_and_made_again),
    ("odd_kinds", odd_kinds),
    ("modes_and_owners", modes_and_owners),
    ("links_out", links_out),
];

/// What overlayfs takes for a removal is either refused or a removal that is told like any other.
fn whiteouts_by_hand(place: &Place) {
    place.file("home/project/dir/one", "one\n");
    place.file("home/project/dir/two", "two\n");
    place.create("marks", &[]);
    let script = "rm README; mknod README c 0 0; mknod dir/new c 0 0; rm dir/one; mknod dir/one c 0 0; mkdir white; mknod white/out c 0 0; true";
    place.good("marks", script);
    let look = "ls README; find dir white | sort";
    let seen = place.good("marks", look);
    assert!(!seen.contains("README") && !seen.contains("dir/one") && seen.contains("dir/two"), "{seen}");
    place.done(&["checkpoint", "marks", "--label", "first"]);
    place.done(&["fork", "marks", "fork", "--at", "first"]);
    // What is seen is the same over the layers as it was in the first upper.
    assert_eq!(place.good("fork", look), seen);
    let told = place.done(&["diff", "marks"]);
    assert!(told.contains("\"README\"") && told.contains("\"dir/one\""), "{told}");
    let outcome = place.outcome(&mut place.call(&["apply", "marks"]));
    assert!(matches!(outcome.status, 0 | 1), "{outcome:?}");
    assert_eq!(place.outcome(place.command("sh").args(["-c", look])).stdout, seen, "{told}");
    let device = |name: &str| {
        use std::os::unix::fs::FileTypeExt;
        std::fs::symlink_metadata(place.workspace().join(name)).is_ok_and(|found| found.file_type().is_char_device())
    };
    assert!(!["README", "dir/new", "dir/one", "white/out"].into_iter().any(device), "{told}");
}

fn attributes_by_hand(place: &Place) {
    for name in ["one", "two", "sub/three"] {
        place.file(&format!("home/project/dir/{name}"), "kept\n");
    }
    place.create("marks", &[]);
    let script = "
import os
tried = taken = 0
for prefix in ('user.overlay.', 'trusted.overlay.', 'user.overlay.overlay.', 'security.'):
    for name, value in (('opaque', b'y'), ('opaque', b'x'), ('whiteout', b'y'), ('redirect', b'/../..'), ('metacopy', b''), ('origin', b'x'), ('protattr', b'i')):
        for path in ('.', 'dir', 'dir/one', 'dir/sub', 'README'):
            tried += 1
            try: os.setxattr(path, prefix + name, value); taken += 1
            except OSError: pass
os.setxattr('README', 'user.plain', b'plain')
print(tried, taken, sorted(os.listdir('dir')), open('dir/one').read())
";
    let outcome = place.outcome(&mut place.stockade(&["exec", "marks", "--", "python3", "-c", script]));
    assert!(outcome.stdout.contains("['one', 'sub', 'two'] kept"), "{outcome:?}");
    place.done(&["checkpoint", "marks", "--label", "first"]);
    place.done(&["fork", "marks", "fork", "--at", "first"]);
    let list = "find dir | sort; cat dir/one dir/sub/three README";
    assert_eq!(place.good("fork", list), place.good("marks", list));
    let told = place.done(&["diff", "marks"]);
    assert!(!told.contains("\"status\": \"deleted\""), "{told}");
    let applied = place.done(&["apply", "marks"]);
    for name in ["dir/one", "dir/two", "dir/sub/three", "README"] {
        assert!(place.workspace().join(name).exists(), "{name}: {applied}");
    }
    let read = "import os; print(sorted(n for p in ('.', 'dir', 'dir/one', 'README') for n in os.listxattr(p)))";
    let attributes = place.outcome(place.command("python3").args(["-c", read]));
    let names = attributes.stdout.replace("'security.selinux', ", "");
    assert!(!names.contains("overlay.opaque") && !names.contains("overlay.redirect"), "{attributes:?}");
    assert!(names.contains("user.plain"), "{attributes:?}");
}

/// A directory that is removed and made again hides what the host has in it, now and over layers.
fn removed_and_made_again(place: &Place) {
    for name in ["one", "sub/two", "sub/deep/three"] {
        place.file(&format!("home/project/dir/{name}"), "host\n");
    }
    place.create("again", &[]);
    place.good("again", "rm -r dir; mkdir dir; echo new > dir/new");
    place.done(&["checkpoint", "again"]);
    place.good("again", "mkdir -p dir/sub; echo new > dir/sub/new");
    place.done(&["checkpoint", "again"]);
    place.good("again", "rm -r dir/sub; echo file > dir/sub");
    let last = place.seen("again");
    assert!(!last.contains("two") && !last.contains("three"), "{last}");
    place.done(&["fork", "again", "fork"]);
    assert_eq!(place.seen("fork"), last);
    place.done(&["apply", "again"]);
    let host = place.outcome(place.command("sh").args(["-c", "find dir | sort; cat dir/sub"]));
    assert_eq!(host.stdout, "dir\ndir/new\ndir/sub\nfile\n", "{host:?}");
    place.done(&["restore", "again", "c1"]);
    assert_eq!(place.good("again", "find dir | sort"), "dir\ndir/new\n");
}

/// FIFOs arrive, sockets and devices never do, and nothing that is looked at is opened.
fn odd_kinds(place: &Place) {
    place.create("odd", &[]);
    let script = "mkfifo fifo; rm README; mkfifo README; python3 -c \"import socket; socket.socket(socket.AF_UNIX).bind('socket')\"
        mknod null c 1 3; mknod disk b 8 0; rm build.sh; ln -s /dev/zero build.sh; echo fine > fine";
    drop(place.exec("odd", script));
    place.done(&["checkpoint", "odd"]);
    place.done(&["diff", "odd"]);
    let outcome = place.outcome(&mut place.call(&["apply", "odd"]));
    // A socket is told as impossible, or was none of what a checkpoint keeps.
    assert!(matches!(outcome.status, 0 | 1), "{outcome:?}");
    let kinds = place
        .outcome(place.command("find").args([".", "(", "-type", "s", "-o", "-type", "b", "-o", "-type", "c", ")"]));
    assert_eq!(kinds.stdout, "", "{kinds:?}");
    assert!(place.workspace().join("fine").exists());
    place.done(&["audit", "verify", "odd"]);
}

/// Modes that close what they are on, and bits that give rights.
fn modes_and_owners(place: &Place) {
    place.file("home/project/closed/file", "host\n");
    place.create("modes", &[]);
    let script = "chmod 0 closed/file; chmod 0 closed; mkdir -p shut/deep; echo in > shut/deep/in; chmod 0 shut/deep shut
        cp /bin/true setuid; chmod 6755 setuid; echo x > none; chmod 0 none; mkdir sticky; chmod 1777 sticky; mkdir group; chmod 2775 group";
    place.good("modes", script);
    place.done(&["checkpoint", "modes"]);
    place.good("modes", "chmod 700 shut; chmod 700 shut/deep; cat shut/deep/in; chmod 0 shut/deep shut");
    place.done(&["checkpoint", "modes"]);
    place.done(&["fork", "modes", "fork", "--at", "c1"]);
    let outcome = place.outcome(&mut place.call(&["apply", "modes"]));
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let find = "stat -c '%a %n' closed shut setuid none sticky; find . -perm /6000 -type f";
    let host = place.outcome(place.command("sh").args(["-c", find]));
    assert_eq!(host.stdout, "0 closed\n0 shut\n755 setuid\n0 none\n1777 sticky\n", "{host:?} {outcome:?}");
    drop(place.outcome(
        place.command("sh").args(["-c", "chmod 700 closed shut; chmod 700 shut/deep; chmod 600 closed/file none"]),
    ));
    assert!(place.workspace().join("shut/deep/in").exists());
    place.done(&["rm", "--force", "modes"]);
    place.done(&["rm", "--force", "fork"]);
}

/// Links arrive as links, whatever they lead to, and nothing is written or read by way of them.
fn links_out(place: &Place) {
    place.file("home/project/dir/victim.txt", "work\n");
    place.file("home/project/other/file", "work\n");
    place.create("links", &[]);
    let outside = place.path("outside");
    let script = "
        rm -r dir; ln -s \"$1\" dir
        rm README; ln -s \"$1/victim.txt\" README
        ln -s ../../outside/victim.txt relative; ln -s loop loop; ln -s \"$(printf 'x%.0s' $(seq 4000))\" long
        ln -s . self; ln -s .. up; ln -s /proc/self/root root
        mkdir hard; echo one > hard/a; ln hard/a hard/b; ln hard/a hard/c
        ln other/file other/alias; echo more >> other/alias";
    let outcome = place.outcome(place.stockade(&["exec", "links", "--", "sh", "-ec", script, "sh"]).arg(&outside));
    assert_eq!(outcome.status, 0, "{outcome:?}");
    place.done(&["checkpoint", "links"]);
    place.done(&["apply", "links"]);
    let look = "cat ../../outside/victim.txt; ls ../../outside; readlink dir README relative loop self up root
        stat -c '%h' hard/a other/file; cat other/file other/alias; readlink long | wc -c";
    let host = place.outcome(place.command("sh").args(["-c", look]));
    let out = outside.display();
    let expected = format!(
        "untouched\nvictim.txt\n{out}\n{out}/victim.txt\n../../outside/victim.txt\nloop\n.\n..\n/proc/self/root\n3\n2\nwork\nmore\nwork\nmore\n4001\n"
    );
    assert_eq!(host.stdout, expected, "{host:?}");
}
