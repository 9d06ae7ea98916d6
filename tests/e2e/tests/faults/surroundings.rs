//! Disks that are full, and places that cannot be written. File systems are mounted where only the trial sees them.

use crate::Trial;
use crate::place::{LANDLOCK, Outcome, Place, TIERS};
use crate::traces::{no_journal, none_left};

pub(crate) const TRIALS: &[Trial] = &[
    ("full_workspace", full_workspace),
    ("full_state_directory", full_state_directory),
    ("full_temporary_directory", full_temporary_directory),
    ("file_systems", file_systems),
    ("read_only_file_system", read_only_file_system),
];

/// Runs `stockade run` after `setup` in a mount namespace of its own, and `after` it; the status is that of Stockade.
fn surrounded(place: &Place, setup: &str, options: &[&str], script: &str, after: &str) -> Outcome {
    let mut command = place.command("unshare");
    command.args(if place.user().is_root() { &["-m"][..] } else { &["-U", "-r", "-m"] });
    let whole = format!("{setup}\nset +e\n\"$@\"\nstatus=$?\n{after}\nexit $status");
    command.args(["--", "sh", "-ec", &whole, "sh"]).arg(place.program()).arg("run").args(options);
    command.args(["--", "sh", "-c", script]).env("W", place.workspace());
    let outcome = place.outcome(&mut command);
    none_left(place, u32::MAX, setup);
    outcome
}

fn full_workspace(place: &Place) {
    for options in TIERS {
        let setup = "mount -t tmpfs -o size=64k,mode=755 tmpfs \"$W\"; cd \"$W\"; echo kept > kept";
        let script = "head -c 1000000 /dev/zero > big; echo failed with $?; cat kept; exit 5";
        let outcome = surrounded(place, setup, options, script, "cat kept");
        assert_eq!(outcome.status, 5, "{options:?}: {}", outcome.stderr);
        assert_eq!(String::from_utf8_lossy(&outcome.stdout), "failed with 1\nkept\nkept\n", "{options:?}");
        assert!(outcome.stderr.contains("No space left"), "{options:?}: {}", outcome.stderr);
    }
    no_journal(place, "a full workspace");
}

/// Without a journal nothing is started; what was written of it is taken back.
fn full_state_directory(place: &Place) {
    for options in TIERS {
        let setup = "mkdir -p ~/.local/state; mount -t tmpfs -o size=16k,mode=755 tmpfs ~/.local/state
            head -c 100000 /dev/zero > ~/.local/state/fill 2>/dev/null || true";
        let outcome = surrounded(place, setup, options, "echo ran > ran", "find ~/.local/state -name '*.json'");
        assert_eq!(outcome.status, 125, "{options:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("No space left") && outcome.stderr.contains("journal"), "{}", outcome.stderr);
        assert!(!place.workspace().join("ran").exists(), "{options:?}: the command ran");
        assert_eq!(String::from_utf8_lossy(&outcome.stdout), "", "{options:?}: a journal stays");
        let setup = "mkdir -p ~/.local/state; mount -t tmpfs -o nr_inodes=1,mode=755 tmpfs ~/.local/state";
        let outcome = surrounded(place, setup, options, "echo ran > ran", "");
        assert_eq!(outcome.status, 125, "{options:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(".local/state/stockade"), "{options:?}: {}", outcome.stderr);
        let setup = "mkdir -p ~/.local/state; mount -t tmpfs -o ro tmpfs ~/.local/state";
        let outcome = surrounded(place, setup, options, "echo ran > ran", "");
        assert_eq!(outcome.status, 125, "{options:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("Read-only file system"), "{options:?}: {}", outcome.stderr);
        assert!(!place.workspace().join("ran").exists(), "{options:?}: the command ran");
    }
}

/// Tier `landlock` keeps home and `/tmp` below the directory for temporary files.
fn full_temporary_directory(place: &Place) {
    for inodes in 1..4 {
        let setup = format!("mount -t tmpfs -o nr_inodes={inodes},mode=1777 tmpfs \"$TMPDIR\"");
        let outcome = surrounded(place, &setup, LANDLOCK, "echo ran > ran", "find \"$TMPDIR\" -mindepth 1");
        assert_eq!(outcome.status, 125, "{inodes} inodes: {}", outcome.stderr);
        assert!(outcome.stderr.contains("No space left") && outcome.stderr.contains("stockade-"), "{}", outcome.stderr);
        assert_eq!(String::from_utf8_lossy(&outcome.stdout), "", "{inodes} inodes: something stays");
        assert!(!place.workspace().join("ran").exists(), "{inodes} inodes: the command ran");
    }
    no_journal(place, "a full temporary directory");
}

/// What works on a disk works on these.
fn file_systems(place: &Place) {
    place.directory("upper");
    place.directory("work");
    place.file("lower/README", "lower\n");
    let git = "; git init -q .; git config user.name a; git config user.email b";
    let overlay = "mount -t overlay -o lowerdir=../../lower,upperdir=../../upper,workdir=../../work,userxattr overlay \"$W\"; cd \"$W\"";
    let tmpfs = "mount -t tmpfs -o mode=755 tmpfs \"$W\"; cd \"$W\"; echo lower > README";
    let bind = "mount --bind ../../lower \"$W\"; cd \"$W\"";
    for options in TIERS {
        for setup in [overlay, tmpfs, bind] {
            let script = "cat README; echo changed > README; mkdir -p a/b; echo new > a/b/file; mv a c; rm -r c/b
                git commit -q --allow-empty -m start && git log --format=%s
                echo evil > .envrc; exit 6";
            let outcome = surrounded(
                place,
                &format!("{setup}{git}"),
                options,
                script,
                "cat README; ls -d c; ls .envrc; rm -rf .git c; echo lower > README",
            );
            assert_eq!(outcome.status, 6, "{options:?} {setup}: {}", outcome.stderr);
            let text = String::from_utf8_lossy(&outcome.stdout).into_owned();
            assert_eq!(text, "lower\nstart\nchanged\nc\n", "{options:?} {setup}: {}", outcome.stderr);
        }
    }
    no_journal(place, "other file systems");
}

fn read_only_file_system(place: &Place) {
    for options in TIERS {
        let setup = "mount --bind \"$W\" \"$W\"; mount -o remount,bind,ro \"$W\"; cd \"$W\"";
        let outcome = surrounded(place, setup, options, "cat README; echo x > new; echo $?; exit 4", "");
        assert_eq!(outcome.status, 4, "{options:?}: {}", outcome.stderr);
        assert!(outcome.stdout.starts_with(b"work\n"), "{options:?}: {}", outcome.stderr);
        assert!(!outcome.stdout.ends_with(b"\n0\n"), "{options:?}: it could write");
    }
    no_journal(place, "a read-only file system");
}
