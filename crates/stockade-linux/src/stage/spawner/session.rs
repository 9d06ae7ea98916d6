//! Ending a command with what belongs to it: its descendants, and every process of its session.
//!
//! A process that has left the session and lost its parent belongs to the sandbox and no longer to the command. It is bounded
//! by the sandbox's limits, and ends with it.

use rustix::process::{Pid, Signal, kill_process};

use crate::stage::tree;

/// How often the processes are looked at: one that forks while it is killed is found by the next look.
const MOST_LOOKS: usize = 64;

/// Kills the process, its descendants, and every process of its session.
pub(super) fn kill(leader: Pid) {
    kill_rest(leader);
    kill_process(leader, Signal::KILL).ok();
}

/// Kills what belongs to a process that may be gone: no other one gets its number for as long as its session has members.
pub(super) fn kill_rest(leader: Pid) {
    for _ in 0..MOST_LOOKS {
        let found = tree::belonging_to(leader.as_raw_nonzero().get());
        let mut killed = false;
        for pid in found.into_iter().filter_map(Pid::from_raw) {
            killed |= kill_process(pid, Signal::KILL).is_ok();
        }
        if !killed {
            break;
        }
    }
}
