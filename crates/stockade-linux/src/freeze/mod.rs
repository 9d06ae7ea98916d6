//! Stopping every process of a sandbox for a moment, so that its files can be looked at as they are at one point in time.
//!
//! A [`Freezer`] knows how; [`Freezer::freeze`] stops everything and returns a [`Frozen`], which lets everything go on when
//! it is dropped. By a control group of the run where there is one that can be frozen, else by tracing. Programs do not notice:
//! no signal is sent, parents see no stop, and what was stopped before stays stopped. System calls that wait begin anew;
//! only those that `signal(7)` lists under "Interruption of system calls and library functions by stop signals" end
//! with `EINTR`, as after a debugger or a suspension, and by tracing on x86-64 not even those unless they wait with a
//! time limit.
//!
//! If the caller ends meanwhile, the kernel lets go of what is traced. Processes in a frozen control group stay frozen, but those of
//! a sandbox end with their supervisor.
//!
//! Init is not traced: it is the caller's own, and does nothing unless it is told. So the caller tells it nothing while something
//! is frozen.

mod error;
mod group;
mod held;
mod inside;
mod maps;
mod patience;
mod session;
mod status;
mod tracer;
mod unseen;

use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::Pid;

pub use self::error::{FreezeError, Named};
use self::group::{Form, Group};
use self::inside::Inside;
use self::session::{Session, Stuck};
pub use self::unseen::Unseen;

/// How often it is tried anew when a process was mistaken for another one.
const TRIES: u32 = 3;

/// By what processes are stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// The freezer of control groups, version 2.
    GroupV2,
    /// The freezer of control groups, version 1.
    GroupV1,
    /// Tracing each thread.
    Tracing,
}

/// Stops the processes of a sandbox.
#[derive(Debug)]
pub struct Freezer {
    group: Option<Arc<Group>>,
    inside: Arc<Inside>,
    /// The thread that an attempt left behind, of which there is never more than one.
    stuck: Mutex<Option<Stuck>>,
}

impl Freezer {
    /// For the sandbox whose first process is `init` and whose `/proc` is `proc`. `groups` are the directories of its control
    /// groups, in which no other process is; the first that can be frozen is used.
    ///
    /// # Errors
    /// [`FreezeError::Call`] where `/proc` cannot be opened.
    pub fn of<'g>(
        groups: impl IntoIterator<Item = &'g Path>,
        init: Pid,
        proc: BorrowedFd<'_>,
    ) -> Result<Self, FreezeError> {
        let group = groups.into_iter().find_map(Group::open).map(Arc::new);
        Ok(Self { group, inside: Arc::new(Inside::new(init, proc)?), stuck: Mutex::default() })
    }

    /// Takes what runs in the sandbox now for the caller's own, like init: it does nothing unless it is told, and is not stopped
    /// by tracing.
    ///
    /// # Errors
    /// [`FreezeError::Call`] where the processes cannot be listed.
    pub fn sparing_what_runs(mut self) -> Result<Self, FreezeError> {
        if let Some(inside) = Arc::get_mut(&mut self.inside) {
            inside.spare_started()?;
        }
        Ok(self)
    }

    /// The files of a workspace whose content may change without their times telling, while everything stands still. `workspace`
    /// is its path inside.
    ///
    /// # Errors
    /// When the processes cannot be listed, or what one has mapped cannot be read.
    pub fn unseen(&self, workspace: &Path) -> Result<Unseen, FreezeError> {
        self.inside.unseen(workspace)
    }

    /// By what it stops them.
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        match self.group.as_ref().map(|group| group.form()) {
            Some(Form::V2) => Mechanism::GroupV2,
            Some(Form::V1) => Mechanism::GroupV1,
            None => Mechanism::Tracing,
        }
    }

    /// Stops every process, and returns when the last one stands still. `in_hand` are the threads, by the numbers under which the
    /// caller sees them, whose system calls it has been asked about and does not answer meanwhile: they cannot stop, and cannot
    /// go on. Where there are some, tracing is used, since a control group would wait for them.
    ///
    /// Takes half a second at most, and a second where the kernel keeps the thread that traces ([`FreezeError::Stuck`]). Tracing
    /// uses a thread for as long as things are frozen, and the process gets a SIGCHLD for each
    /// thread that it stops. Nobody else in the process may wait for children of any number meanwhile.
    ///
    /// # Errors
    /// [`FreezeError`]; everything goes on then.
    pub fn freeze(&self, in_hand: &[u32]) -> Result<Frozen, FreezeError> {
        if let Some(group) = self.group.as_ref().filter(|_| in_hand.is_empty()) {
            let is_ours = group.freeze()?;
            return Ok(Frozen(Hold::Group(is_ours.then(|| Arc::clone(group)))));
        }
        for _ in 1..TRIES {
            match self.trace(in_hand) {
                Err(FreezeError::Mistaken) => {}
                other => return Ok(Frozen(Hold::Traced(other?))),
            }
        }
        Ok(Frozen(Hold::Traced(self.trace(in_hand)?)))
    }

    /// Stops everything by a thread that traces. While one of before is stuck, another would be, by the same process.
    fn trace(&self, in_hand: &[u32]) -> Result<Session, FreezeError> {
        let mut stuck = self.stuck.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = stuck.as_ref().and_then(Stuck::error) {
            return Err(error);
        }
        *stuck = None;
        Session::start(&self.inside, in_hand, &mut stuck)
    }
}

/// Everything inside stands still, until this is dropped.
#[derive(Debug)]
#[must_use = "everything goes on when this is dropped"]
pub struct Frozen(Hold);

#[derive(Debug)]
enum Hold {
    /// `None` where somebody else had frozen the group already.
    Group(Option<Arc<Group>>),
    Traced(Session),
}

impl Frozen {
    /// How many processes and how many threads are held, where they are traced.
    #[must_use]
    pub fn held(&self) -> Option<(usize, usize)> {
        match &self.0 {
            Hold::Group(_) => None,
            Hold::Traced(session) => Some((session.processes, session.threads)),
        }
    }

    /// Lets everything go on.
    ///
    /// # Errors
    /// [`FreezeError::Group`] where the control group does not thaw.
    pub fn thaw(mut self) -> Result<(), FreezeError> {
        match &mut self.0 {
            Hold::Group(group) => group.take().map_or(Ok(()), |group| group.thaw()),
            Hold::Traced(_) => Ok(()),
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if let Hold::Group(Some(group)) = &self.0 {
            // Nobody is left to be told; `thaw` is for those who want to know.
            group.thaw().ok();
        }
    }
}
