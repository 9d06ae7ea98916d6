//! Full disks: what cannot be done is told, nothing changes by it, and with room it is done. File systems are mounted where
//! only the trial sees them.

use crate::Trial;
use crate::place::{Outcome, Place};

pub(crate) const TRIALS: &[Trial] = &[
    ("full_at_checkpoint", full_at_checkpoint),
    ("full_at_apply", full_at_apply),
    ("full_of_names", full_of_names),
    ("full_inside", full_inside),
];

/// Runs a script in a mount namespace of its own. In it, `S` is the program, and `fails` expects a command to be refused for
/// want of space.
fn surrounded(place: &Place, script: &str) -> Outcome {
    let mut command = place.command("unshare");
    command.args(if place.user().is_root() { &["-m"][..] } else { &["-U", "-r", "-m"] });
    let whole = format!(
        "set -e; S=$0
        fails() {{ if \"$@\" > /tmp/$$.out 2>&1; then cat /tmp/$$.out; rm /tmp/$$.out; echo \"it worked: $*\"; exit 9; fi
            grep -q 'No space left' /tmp/$$.out || {{ cat /tmp/$$.out; rm /tmp/$$.out; exit 8; }}; rm /tmp/$$.out; }}
        trap '$S stop own > /dev/null 2>&1 || true' EXIT
        {script}
        $S audit verify own > /dev/null; $S rm --force own; echo passed"
    );
    command.args(["--", "sh", "-c", &whole]).arg(place.program());
    let outcome = place.outcome(&mut command);
    assert!(outcome.stdout.ends_with("passed\n"), "{outcome:?}");
    outcome
}

/// Checkpoints, forks and restores where the state directory has no room, with and without programs that run.
fn full_at_checkpoint(place: &Place) {
    let mount = "mkdir -p ~/.local/state; mount -t tmpfs -o size=6m,mode=700 tmpfs ~/.local/state; $S create --name own > /dev/null";
    // A copy of what is written is needed while a program may go on to write it.
    surrounded(
        place,
        &format!(
            "{mount}
        $S exec own -- sh -c 'head -c 3500000 /dev/zero | tr \"\\\\0\" x > big; setsid sleep 100 > /dev/null 2>&1 &'
        fails $S checkpoint own
        test \"$($S exec own -- sh -c 'wc -c < big')\" = 3500000
        $S exec own -- sh -c 'head -c 1000000 big > small; rm big'
        $S checkpoint own > /dev/null
        $S restore own c1 2> /dev/null; test \"$($S exec own -- sh -c 'wc -c < small')\" = 1000000"
        ),
    );
    surrounded(
        place,
        &format!(
            "{mount}
        $S exec own -- sh -c 'echo one > one'; $S checkpoint own > /dev/null; $S exec own -- sh -c 'echo two > two'; $S stop own
        head -c 10000000 /dev/zero > ~/.local/state/fill 2> /dev/null || true
        for words in 'checkpoint own' 'fork own new' 'restore own c1'; do $S $words > /dev/null 2>&1 || true; done
        rm ~/.local/state/fill
        $S ls > /dev/null; $S rm --force new > /dev/null 2>&1 || true
        test \"$($S exec own -- cat one)\" = one
        $S checkpoint own > /dev/null; $S fork own more > /dev/null; test \"$($S exec more -- cat one)\" = one; $S rm --force more"
        ),
    );
}

/// An apply to a workspace without room changes nothing, and goes through when there is some.
fn full_at_apply(place: &Place) {
    surrounded(
        place,
        "W=$PWD; mount -t tmpfs -o size=8m,mode=755 tmpfs $W; cd $W; for n in 1 2 3 4; do echo old > f$n; done
        head -c 6500000 /dev/zero > fill
        $S create --name own > /dev/null
        $S exec own -- sh -c 'for n in 1 2 3 4; do head -c 700000 /dev/zero | tr \"\\\\0\" $n > f$n; done; rm -f f5; echo new > g'
        before=$(find . -printf '%p %s %T@ %C@ %m %i\\n' | grep -v '^\\. ' | sort)
        fails $S apply own
        after=$(find . -printf '%p %s %T@ %C@ %m %i\\n' | grep -v '^\\. ' | sort)
        test \"$before\" = \"$after\" || { echo \"$before\"; echo; echo \"$after\"; exit 7; }
        rm fill
        $S apply own > /dev/null
        for n in 1 2 3 4; do test $(wc -c < f$n) = 700000; done; test $(cat g) = new; test $(ls -A | wc -l) = 5",
    );
}

/// Without inodes, likewise.
fn full_of_names(place: &Place) {
    surrounded(
        place,
        "W=$PWD; mount -t tmpfs -o nr_inodes=112,mode=755 tmpfs $W; cd $W; for n in 1 2 3; do echo old > f$n; done
        mkdir fill; (cd fill; seq 1 98 | xargs touch)
        $S create --name own > /dev/null
        $S exec own -- sh -c 'for n in $(seq 1 30); do echo new > n$n; done; echo new > f1'
        fails $S apply own
        test \"$(cat f1 f2 f3)\" = \"$(printf 'old\\nold\\nold')\"; test $(ls -A | wc -l) = 4
        rm -r fill
        $S apply own > /dev/null; test $(cat n30) = new; test $(ls -A | wc -l) = 33",
    );
}

/// Programs inside see a full disk as programs do, and what is there can be kept, compared and applied.
fn full_inside(place: &Place) {
    surrounded(
        place,
        "mkdir -p ~/.local/state; mount -t tmpfs -o size=6m,mode=700 tmpfs ~/.local/state; $S create --name own > /dev/null
        $S exec own -- sh -c 'echo kept > kept; head -c 100000000 /dev/zero > big' > /tmp/$$.log 2>&1 && exit 5
        rm /tmp/$$.log
        test \"$($S exec own -- cat kept)\" = kept
        $S diff own --names | grep -q kept
        $S exec own -- rm big
        $S apply own > /dev/null; test \"$(cat kept)\" = kept",
    );
}
