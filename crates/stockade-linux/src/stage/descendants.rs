//! Signalling and ending the processes that descend from this one, where no process namespace holds them.
//!
//! This process has to be the reaper of orphans: then it stays the ancestor of all of them, and one that escapes a look by forking and
//! ending is its own child by the next.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, getpid, kill_process, prlimit, waitid};

use super::tree;

/// How long it is looked again because somebody was new, before what was found is dealt with.
const LONGEST_LOOK: Duration = Duration::from_millis(500);

/// Between looks at processes that were killed and take their time.
const PAUSE: Duration = Duration::from_millis(1);

/// Signals every descendant, until a look finds nobody new. None is reaped.
pub(crate) fn signal(signal: Signal) {
    // One may have ended meanwhile.
    each(&[], WaitIdOptions::NOWAIT, |pid| {
        kill_process(pid, signal).ok();
    });
}

/// Ends and reaps every descendant, but for children that are spared and theirs. Returns how many are left when the time is over.
///
/// All are stopped before the first is killed, so that none sees another end and forks for it.
pub(crate) fn end(spared: &[Pid], until: Option<Instant>) -> usize {
    loop {
        let found = each(spared, WaitIdOptions::empty(), hold);
        if found.is_empty() {
            return 0;
        }
        for &pid in &found {
            kill_process(pid, Signal::KILL).ok();
        }
        if until.is_some_and(|until| until <= Instant::now()) {
            return found.len();
        }
        std::thread::sleep(PAUSE);
    }
}

/// Stops a process, and lets it start no other one. What it started meanwhile has the same limit, or is found as its child.
fn hold(pid: Pid) {
    // Refused for a process that has changed its user, and without effect on root's: those have to be met before they fork.
    prlimit(Some(pid), Resource::Nproc, Rlimit { current: Some(0), maximum: Some(0) }).ok();
    kill_process(pid, Signal::STOP).ok();
}

/// Does something with each descendant once, as soon as it is found, and looks again until nobody is new. Returns those that the
/// last look found.
fn each(spared: &[Pid], reaping: WaitIdOptions, act: impl Fn(Pid)) -> HashSet<Pid> {
    let until = Instant::now() + LONGEST_LOOK;
    let mut known = HashSet::new();
    loop {
        let found = look(spared, reaping, &known, &act);
        if found.is_subset(&known) || until <= Instant::now() {
            return found;
        }
        known.extend(found);
    }
}

fn look(spared: &[Pid], reaping: WaitIdOptions, known: &HashSet<Pid>, act: &impl Fn(Pid)) -> HashSet<Pid> {
    let mut found = HashSet::new();
    let mut children = Vec::new();
    let mut queue = vec![getpid()];
    while let Some(parent) = queue.pop() {
        tree::append_children(parent, &mut children);
        for child in children.drain(..).filter(|child| !spared.contains(child)) {
            // A number is looked at once, so that the loop ends. What has ended has no children any more.
            if has_ended(child, reaping) || !found.insert(child) {
                continue;
            }
            if !known.contains(&child) {
                act(child);
            }
            queue.push(child);
        }
    }
    found
}

/// Whether a process is a child that has ended. Others are their parents' to reap.
fn has_ended(pid: Pid, reaping: WaitIdOptions) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | reaping;
    matches!(waitid(WaitId::Pid(pid), options), Ok(Some(_)))
}
