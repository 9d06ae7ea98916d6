//! Pseudo-terminals, which the kernel counts for the whole machine together.

use crate::Trial;
use crate::place::Place;

pub(crate) const TRIALS: &[Trial] = &[("pseudo_terminals_are_left_to_others", left)];

const OPEN: &str = "import os
count = 0
try:
    while count < 400:
        os.openpty()
        count += 1
except OSError: pass
print(count)";

fn left(place: &Place) {
    let count = |command: &mut std::process::Command| {
        let outcome = place.outcome(command.args(["python3", "-c", OPEN]));
        let count = String::from_utf8_lossy(&outcome.stdout).trim().parse::<u32>();
        count.unwrap_or_else(|_| panic!("{}", outcome.stderr))
    };
    assert_eq!(count(&mut place.command("env")), 400, "natively there are no more");
    let inside = count(&mut place.stockade(["run", "--isolation", "namespaces", "--"]));
    assert!((200..=256).contains(&inside), "{inside}");
}
