//! Gathers changes that are made in one step, and those that cannot be made because of others.
//!
//! A directory that is new is brought in one step with all that is in it, and one that is gone is taken away in one step. So
//! what cannot be done in a directory that is to go keeps the directory, and what cannot be done about a directory that is to
//! come keeps everything in it away.

use std::path::PathBuf;

use super::judge::Verdict;
use super::plan::{Task, Unit};
use super::report::{Conflict, Failed, HeldBack, Reason, Told, Why};
use super::selected::{Wanted, is_new_directory, is_old_directory};
use super::step::Below;
use crate::layers::{Change, Kind};

/// Set-user-id and set-group-id.
pub(super) const PRIVILEGE_BITS: u32 = 0o6000;

/// What keeps a directory of the host from being removed as a whole.
#[derive(Clone, Debug)]
enum Block {
    Held(String),
    Failed(PathBuf),
    Conflict(PathBuf),
}

pub(super) struct Units<'c> {
    changes: &'c [Change],
    wanted: &'c [Wanted],
    verdicts: Vec<Verdict>,
    /// For each change, the first one after it that is not below it.
    ends: Vec<usize>,
    blocks: Vec<Option<Block>>,
    pub(super) units: Vec<Unit>,
    pub(super) told: Told,
    /// Files that have bits which they are not to have.
    pub(super) cleared: Vec<PathBuf>,
}

impl<'c> Units<'c> {
    pub(super) fn new(
        changes: &'c [Change],
        parents: &[Option<usize>],
        wanted: &'c [Wanted],
        verdicts: Vec<Verdict>,
    ) -> Self {
        let mut ends: Vec<usize> = (1..=changes.len()).collect();
        let mut blocks = vec![None; changes.len()];
        for at in (0..changes.len()).rev() {
            let Some(above) = parents[at] else { continue };
            ends[above] = ends[above].max(ends[at]);
            if is_old_directory(&changes[above]) {
                let own = block(&changes[at], &verdicts[at]).or_else(|| blocks[at].clone());
                let worse = own.filter(|own| rank(Some(own)) > rank(blocks[above].as_ref()));
                blocks[above] = worse.or_else(|| blocks[above].take());
            }
        }
        let (units, told, cleared) = (Vec::new(), Told::default(), Vec::new());
        Self { changes, wanted, verdicts, ends, blocks, units, told, cleared }
    }

    /// Goes through all changes.
    pub(super) fn build(&mut self) {
        let mut at = 0;
        while at < self.changes.len() {
            at = if self.wanted[at] == Wanted::No { at + 1 } else { self.visit(at) };
        }
    }

    /// Deals with a change, and gives the next one to deal with.
    fn visit(&mut self, at: usize) -> usize {
        let change = &self.changes[at];
        if is_new_directory(change) {
            return self.new_directory(at);
        }
        if is_old_directory(change) {
            return self.old_directory(at);
        }
        match self.verdicts[at].clone() {
            Verdict::Clean => self.add(at, vec![change.clone()], Vec::new()),
            verdict => self.tell(at, verdict),
        }
        at + 1
    }

    fn new_directory(&mut self, at: usize) -> usize {
        let end = self.ends[at];
        if self.verdicts[at] != Verdict::Clean {
            self.tell_all(at, self.verdicts[at].clone());
            return end;
        }
        let mut members = Vec::new();
        let mut next = at;
        while next < end {
            match self.verdicts[next].clone() {
                _ if self.wanted[next] == Wanted::No => next += 1,
                Verdict::Clean => {
                    members.push(next);
                    next += 1;
                }
                verdict => {
                    self.tell_all(next, verdict);
                    next = self.ends[next];
                }
            }
        }
        let members = self.without_needless(&members);
        if !members.is_empty() {
            self.add(at, members, Vec::new());
        }
        end
    }

    /// Leaves out directories that were wanted only for something that is not among the members.
    fn without_needless(&self, members: &[usize]) -> Vec<Change> {
        let mut kept = Vec::new();
        let mut last: Option<usize> = None;
        for at in members.iter().rev() {
            let holds = last.is_some_and(|last| last < self.ends[*at]);
            if self.wanted[*at] == Wanted::Yes || holds {
                last = Some(*at);
                kept.push(self.changes[*at].clone());
            }
        }
        kept.reverse();
        kept
    }

    fn old_directory(&mut self, at: usize) -> usize {
        let (end, is_gone) = (self.ends[at], self.changes[at].new.is_none());
        let verdict = match (self.verdicts[at].clone(), self.blocks[at].clone()) {
            (Verdict::Clean, None) => {
                let inside = (at + 1..end).filter(|inner| self.verdicts[*inner] == Verdict::Clean);
                let members = std::iter::once(at).chain(inside).map(|at| self.changes[at].clone());
                let members: Vec<Change> = members.collect();
                let below = members[1..].iter().filter_map(Below::of).collect();
                self.add(at, members, below);
                return end;
            }
            (Verdict::Clean, Some(Block::Conflict(path))) => Verdict::Conflict(Reason::Holds(path)),
            (Verdict::Clean, Some(Block::Held(rule))) => Verdict::Held(rule),
            (Verdict::Clean, Some(Block::Failed(path))) => Verdict::Failed(Why::Holds(path)),
            (verdict, _) => {
                self.tell_all(at, verdict);
                return end;
            }
        };
        // What is protected in it keeps the directory, but not what else is in it.
        if is_gone && !matches!(verdict, Verdict::Conflict(_)) {
            self.tell(at, verdict);
            return at + 1;
        }
        self.tell_all(at, verdict);
        end
    }

    fn add(&mut self, at: usize, members: Vec<Change>, below: Vec<Below>) {
        let change = &self.changes[at];
        let task = match (change.old, change.new) {
            (None, _) => Task::Add,
            (Some(old), None) => Task::Remove(old),
            (Some(old), Some(new)) if (old.kind, new.kind) == (Kind::Directory, Kind::Directory) => {
                Task::Attributes(old)
            }
            (Some(old), Some(_)) => Task::Replace(old),
        };
        let has_bits = |change: &&Change| {
            change.new.is_some_and(|new| new.kind != Kind::Directory && new.mode & PRIVILEGE_BITS != 0)
        };
        self.cleared.extend(members.iter().filter(has_bits).map(|change| change.path.clone()));
        self.units.push(Unit { task, members, below });
    }

    /// Tells that a change is not made, and neither is any below it.
    fn tell_all(&mut self, at: usize, verdict: Verdict) {
        let path = self.changes[at].path.clone();
        for inner in at + 1..self.ends[at] {
            if self.wanted[inner] == Wanted::No {
                continue;
            }
            let own = match (&self.verdicts[inner], &verdict) {
                (Verdict::Clean, Verdict::Conflict(_)) => Verdict::Conflict(Reason::Above(path.clone())),
                (Verdict::Clean, Verdict::Failed(_)) => Verdict::Failed(Why::Above(path.clone())),
                (Verdict::Clean, verdict) => verdict.clone(),
                (own, _) => own.clone(),
            };
            self.tell(inner, own);
        }
        self.tell(at, verdict);
    }

    fn tell(&mut self, at: usize, verdict: Verdict) {
        let (path, status) = (self.changes[at].path.clone(), self.changes[at].status);
        match verdict {
            Verdict::Clean | Verdict::Same => {}
            Verdict::Conflict(reason) => self.told.conflicts.push(Conflict::of(&self.changes[at], reason)),
            Verdict::Held(rule) => self.told.held_back.push(HeldBack { path, status, rule }),
            Verdict::Failed(why) => self.told.failed.push(Failed { path, status, why }),
        }
    }
}

fn block(change: &Change, verdict: &Verdict) -> Option<Block> {
    match verdict {
        Verdict::Clean | Verdict::Same => None,
        Verdict::Conflict(_) => Some(Block::Conflict(change.path.clone())),
        Verdict::Held(rule) => Some(Block::Held(rule.clone())),
        Verdict::Failed(_) => Some(Block::Failed(change.path.clone())),
    }
}

/// Which of two blocks counts.
fn rank(block: Option<&Block>) -> u8 {
    match block {
        None => 0,
        Some(Block::Held(_)) => 1,
        Some(Block::Failed(_)) => 2,
        Some(Block::Conflict(_)) => 3,
    }
}

impl Conflict {
    /// Says that a change is refused.
    pub(super) fn of(change: &Change, reason: Reason) -> Self {
        Self {
            path: change.path.clone(),
            status: change.status,
            reason,
            base: None,
            host: change.old,
            sandbox: change.new,
            layer: change.layer,
            kept: None,
        }
    }
}
