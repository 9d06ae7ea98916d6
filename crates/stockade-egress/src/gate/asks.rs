//! Asking about hosts that no rule names.
//!
//! Questions are put by a thread of their own, one after the other, so that neither the gate's connections nor the supervisor
//! wait for a person. Answers are remembered for the run, except for "once", which is used up by the next connection.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::event::{Event, Process, Queue};
use crate::flow::doors::Pass;
use crate::rules::Host;

/// Endpoints whose answers are remembered. What is asked beyond them is refused.
const MOST_ANSWERS: usize = 4096;

/// Questions that wait at once. What is asked beyond them is refused.
const MOST_WAITING: usize = 32;

/// After which somebody who waits for an answer looks again whether the gate still runs.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Answers questions. Called on a thread of its own, one question at a time, outside of every lock; may take as long as a person
/// takes. A question that is still open when the gate ends keeps its thread until it returns.
pub type Decider = Box<dyn FnMut(Question) -> Decision + Send>;

/// May a process reach an endpoint?
///
/// [`fmt::Display`] gives a sentence of printable ASCII characters: host names have no others, and names of programs have had
/// theirs replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who asks; `None` where the supervisor does not know.
    pub process: Option<Process>,
    /// The name or the address.
    pub host: Host,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.process {
            Some(process) => write!(f, "{} (process {})", process.command(), process.pid)?,
            None => f.write_str("A process")?,
        }
        write!(f, " wants to connect to {}, port {}", self.host, self.port)
    }
}

/// The answer to a [`Question`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// One connection.
    AllowOnce,
    /// Every connection to this host and port, until the run ends.
    AllowForRun,
    /// None, until the run ends: a program that tries again does not ask again.
    Deny,
}

/// What is known of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It may be reached.
    Allowed(Pass),
    /// It may not.
    Declined,
    /// Somebody is being asked.
    Waiting,
}

type Endpoint = (Host, u16);

/// What is remembered of an endpoint.
#[derive(Debug)]
enum Known {
    Waiting,
    Once(u32),
    ForRun,
    Declined,
}

/// All questions of a run.
#[derive(Debug)]
pub(super) struct Asks {
    memory: Arc<Memory>,
    questions: Option<SyncSender<Question>>,
}

#[derive(Debug, Default)]
struct Memory {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    known: HashMap<Endpoint, Known>,
    /// Nobody asks any more.
    is_over: bool,
}

impl Asks {
    /// Starts the thread that asks, where there is somebody to ask.
    pub(super) fn start(decider: Option<Decider>, events: &Arc<Queue>) -> io::Result<Self> {
        let memory = Arc::new(Memory::default());
        let Some(decider) = decider else { return Ok(Self { memory, questions: None }) };
        let (questions, asked) = sync_channel(MOST_WAITING);
        let asking = Asking { memory: Arc::clone(&memory), events: Arc::clone(events), asked };
        std::thread::Builder::new().name("gate-asks".to_owned()).spawn(move || asking.run(decider))?;
        Ok(Self { memory, questions: Some(questions) })
    }

    /// What is known of an endpoint; asks where nothing is.
    pub(super) fn answer(&self, host: &Host, port: u16, process: Option<Process>) -> Answer {
        let Some(questions) = &self.questions else { return Answer::Declined };
        let mut state = self.memory.lock();
        let asks_no_more = state.is_over || state.known.len() >= MOST_ANSWERS;
        match state.known.entry((host.clone(), port)) {
            Entry::Occupied(mut entry) => match entry.get_mut() {
                Known::Waiting => Answer::Waiting,
                Known::ForRun => Answer::Allowed(Pass::Always),
                Known::Declined => Answer::Declined,
                Known::Once(left) => {
                    *left -= 1;
                    if *left == 0 {
                        entry.remove();
                    }
                    Answer::Allowed(Pass::Once)
                }
            },
            Entry::Vacant(_) if asks_no_more => Answer::Declined,
            Entry::Vacant(entry) => {
                let question = Question { process, host: host.clone(), port };
                if questions.try_send(question).is_err() {
                    return Answer::Declined;
                }
                entry.insert(Known::Waiting);
                Answer::Waiting
            }
        }
    }

    /// Waits until an endpoint's question has been answered, but no longer than a second.
    pub(super) fn wait(&self, host: &Host, port: u16) {
        let state = self.memory.lock();
        if matches!(state.known.get(&(host.clone(), port)), Some(Known::Waiting)) {
            let woken = self.memory.changed.wait_timeout(state, LOOK_AGAIN);
            drop(woken.unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that asks. However it ends, nobody waits for it any longer.
struct Asking {
    memory: Arc<Memory>,
    events: Arc<Queue>,
    asked: Receiver<Question>,
}

impl Asking {
    fn run(self, mut decider: Decider) {
        while let Ok(question) = self.asked.recv() {
            let endpoint = (question.host.clone(), question.port);
            let known = match decider(question) {
                Decision::AllowOnce => Known::Once(1),
                Decision::AllowForRun => Known::ForRun,
                Decision::Deny => Known::Declined,
            };
            self.memory.lock().known.insert(endpoint, known);
            self.memory.changed.notify_all();
            self.events.push(Event::Answered);
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let mut state = self.memory.lock();
        state.is_over = true;
        for known in state.known.values_mut().filter(|known| matches!(known, Known::Waiting)) {
            *known = Known::Declined;
        }
        drop(state);
        self.memory.changed.notify_all();
    }
}
