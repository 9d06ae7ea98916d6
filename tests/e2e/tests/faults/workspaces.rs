//! Workspaces that change under a run.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use crate::Trial;
use crate::place::{Outcome, Place, TIERS};
use crate::traces::{no_journal, none_left};

pub(crate) const TRIALS: &[Trial] =
    &[("workspaces_that_go", workspaces_that_go), ("homes_that_resist", homes_that_resist)];

/// Private directories that the command made hard to remove go all the same, and its status is kept.
fn homes_that_resist(place: &Place) {
    let deep = "mkdir -p ~/$(printf 'd/%.0s' $(seq 1100)) && exit 3";
    let closed = "mkdir -p ~/a/b /tmp/c; echo x > ~/a/b/c; chmod 0 ~/a/b; chmod 555 ~/a; chmod 0 ~ /tmp; exit 3";
    for options in TIERS {
        for script in [closed, deep] {
            let mut command = place.script(options, script);
            let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("stockade starts");
            let pid = child.id();
            let outcome = Outcome::of(child.wait_with_output().expect("an end"));
            assert_eq!(outcome.status, 3, "{options:?} {script}: {}", outcome.stderr);
            none_left(place, pid, script);
        }
    }
}

type Change = (&'static str, fn(&Place));

/// What becomes of the workspace while the command runs.
const CHANGES: &[Change] = &[
    ("removed", |place| fs::remove_dir_all(place.path("home/going")).expect("removed")),
    ("moved", |place| fs::rename(place.path("home/going"), place.path("home/gone")).expect("moved")),
    ("replaced", |place| {
        fs::rename(place.path("home/going"), place.path("home/gone")).expect("moved");
        place.file("home/going/.envrc", "not the run's\n");
    }),
    ("closed", |place| {
        fs::set_permissions(place.path("home/going"), fs::Permissions::from_mode(0o000)).expect("chmod");
    }),
    ("made a link", |place| {
        fs::rename(place.path("home/going"), place.path("home/gone")).expect("moved");
        std::os::unix::fs::symlink("project", place.path("home/going")).expect("a link");
    }),
];

/// What cannot be swept is told and ends the run with a status of its own, and nothing else is touched.
fn workspaces_that_go(place: &Place) {
    for options in TIERS {
        for (kind, change) in CHANGES {
            let what = format!("{options:?}, {kind}");
            let going = place.directory("home/going");
            // It reads from a pipe when to go on: a file could not be seen any more.
            let script = "echo ready; read line; echo late > late; exit 3";
            let mut command = place.script(options, script);
            command.current_dir(&going).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().expect("stockade starts");
            let pid = child.id();
            let mut ready = [0; 6];
            std::io::Read::read_exact(child.stdout.as_mut().expect("a pipe"), &mut ready).expect("ready");
            change(place);
            drop(child.stdin.take());
            let outcome = Outcome::of(child.wait_with_output().expect("an end"));
            let is_told = outcome.stderr.contains("the workspace could not be swept");
            assert_eq!(outcome.status, if is_told { 125 } else { 3 }, "{what}: {}", outcome.stderr);
            assert!(is_told || *kind == "closed", "{what}: {}", outcome.stderr);
            assert!(!outcome.stderr.contains("panicked"), "{what}: {}", outcome.stderr);
            none_left(place, pid, &what);
            no_journal(place, &what);
            if *kind == "replaced" {
                assert!(going.join(".envrc").exists(), "{what}: a file of another directory was put away");
            }
            assert_eq!(fs::read_to_string(place.workspace().join("README")).expect("README"), "work\n", "{what}");
            drop(fs::set_permissions(&going, fs::Permissions::from_mode(0o755)));
            for left in ["home/going", "home/gone"] {
                drop(fs::remove_file(place.path(left)));
                drop(fs::remove_dir_all(place.path(left)));
            }
        }
    }
}
