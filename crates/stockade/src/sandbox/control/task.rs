//! Commands that run.

use std::collections::BTreeMap;
use std::time::Instant;

use stockade_linux::FromSpawner;
use stockade_linux::denials::DenialLog;
use stockade_linux::stage::message::Status;
use stockade_spec::report::{Denial, Outcome, Usage};

use crate::sandbox::ask::Ended;

/// One command that runs.
#[derive(Debug)]
pub(super) struct Task {
    /// The caller's connection.
    pub(super) connection: u64,
    started: Instant,
    /// When it has had its time, or its end has.
    pub(super) deadline: Option<Instant>,
    /// Why the program could not be executed.
    pub(super) exec_failed: Option<i32>,
    /// The limit for which it is being ended.
    pub(super) limit: Option<Outcome>,
    /// Whether it is being ended, for whatever reason.
    is_ending: bool,
}

impl Task {
    pub(super) fn new(connection: u64, deadline: Option<Instant>) -> Self {
        Self { connection, started: Instant::now(), deadline, exec_failed: None, limit: None, is_ending: false }
    }

    /// How it ended, by the spawner's word.
    pub(super) fn ended(self, news: FromSpawner, refused: Refused<'_>) -> Ended {
        let FromSpawner::Ended { status, user_us, system_us, peak_resident, .. } = news else {
            return self.cut_off(&killed(), refused);
        };
        let by_itself = match status {
            Status::Exited(status) => Outcome::Exited { status },
            Status::Signaled(signal) => Outcome::Signaled { signal },
        };
        let not_executed = self.exec_failed.map(|errno| {
            let error = std::io::Error::from_raw_os_error(errno);
            match error.kind() {
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Outcome::NotFound,
                _ => Outcome::CannotExecute { errno },
            }
        });
        let (user_ms, system_ms) = (user_us / 1_000, system_us / 1_000);
        let usage = Usage { wall_ms: self.wall_ms(), user_ms, system_ms, peak_resident };
        let outcome = self.limit.or(not_executed).unwrap_or(by_itself);
        Ended { outcome, usage, denials: refused.denials.to_vec(), denials_dropped: refused.dropped }
    }

    /// It ended with the sandbox.
    pub(super) fn cut_off(self, outcome: &Outcome, refused: Refused<'_>) -> Ended {
        let usage = Usage { wall_ms: self.wall_ms(), ..Usage::default() };
        Ended {
            outcome: self.limit.unwrap_or_else(|| outcome.clone()),
            usage,
            denials: refused.denials.to_vec(),
            denials_dropped: refused.dropped,
        }
    }

    fn wall_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// What was refused while commands ran.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Refused<'d> {
    denials: &'d [Denial],
    /// Attempts that were only counted.
    dropped: u64,
}

impl<'d> Refused<'d> {
    pub(crate) fn of(log: &'d DenialLog<'_>) -> Self {
        Self { denials: log.denials(), dropped: log.dropped() }
    }
}

/// By SIGKILL, as a sandbox ends its processes.
pub(crate) const fn killed() -> Outcome {
    Outcome::Signaled { signal: rustix::process::Signal::KILL.as_raw() }
}

/// Every command that runs, by its number.
#[derive(Debug, Default)]
pub(super) struct Tasks(BTreeMap<u32, Task>);

impl Tasks {
    pub(super) fn add(&mut self, id: u32, task: Task) {
        self.0.insert(id, task);
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Task> {
        self.0.get_mut(&id)
    }

    pub(super) fn remove(&mut self, id: u32) -> Option<Task> {
        self.0.remove(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The command that a connection is about.
    pub(super) fn of(&self, connection: u64) -> Option<u32> {
        self.0.iter().find(|(_, task)| task.connection == connection).map(|(id, _)| *id)
    }

    pub(super) fn all(&self) -> Vec<u32> {
        self.0.keys().copied().collect()
    }

    /// Those that have had their time.
    pub(super) fn late(&self, now: Instant) -> Vec<u32> {
        let is_late = |task: &Task| task.deadline.is_some_and(|deadline| deadline <= now);
        self.0.iter().filter(|(_, task)| is_late(task)).map(|(id, _)| *id).collect()
    }

    /// Whether a command is being ended.
    pub(super) fn is_ending(&self, id: u32) -> bool {
        self.0.get(&id).is_some_and(|task| task.is_ending)
    }

    /// Notes that a command is to have ended by then; whether that is new.
    pub(super) fn begin_end(&mut self, id: u32, deadline: Option<Instant>) -> bool {
        let Some(task) = self.0.get_mut(&id).filter(|task| !task.is_ending) else { return false };
        (task.is_ending, task.deadline) = (true, deadline);
        true
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.0.values().filter_map(|task| task.deadline).min()
    }
}
