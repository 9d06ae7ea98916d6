//! The thread that traces: it stops everything, waits for the word, and lets everything go.
//!
//! A tracer is a thread, and what it traces is let go of when it ends. So holding a sandbox is the life of one thread: however
//! it ends, and whatever the threads inside do by then, the kernel lets go of each.
//!
//! The calling thread watches over it. Seizing a thread waits while a thread of the same process executes a program, and that one
//! waits until the others of its process are buried, which their tracer has to do (`de_thread` in `fs/exec.c`,
//! `ptrace_attach` in `kernel/ptrace.c`). So where nothing is heard of the tracer for a while, the caller buries. And
//! where the file system does not answer that holds the program, seizing takes as long: then the caller gives up, and
//! the thread lets go of everything once it can.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::error::FreezeError;
use super::inside::Inside;
use super::patience::LIMIT;
use super::tracer::Tracer;
use crate::sys::ptrace::{self, ThreadId};

/// After how long the caller looks after the thread, again and again.
const LOOK: Duration = Duration::from_millis(10);

/// How much longer than it should the thread may take before it is given up.
const GRACE: Duration = Duration::from_millis(400);

/// How long the end of a thread may take that does nothing any more.
const END: Duration = Duration::from_secs(1);

/// Everything is stopped for as long as this lives.
#[derive(Debug)]
pub(super) struct Session {
    thread: Option<JoinHandle<()>>,
    /// Closed to let everything go.
    word: Option<SyncSender<()>>,
    /// The thread's number.
    number: u32,
    pub(super) processes: usize,
    pub(super) threads: usize,
}

/// What the thread says: its number, and how many processes and threads stand still.
type Said = (u32, Result<(usize, usize), FreezeError>);

impl Session {
    /// Stops everything. A thread that does not come back is left in `stuck`.
    pub(super) fn start(inside: &Arc<Inside>, in_hand: &[u32], stuck: &mut Option<Stuck>) -> Result<Self, FreezeError> {
        let (say, said) = sync_channel(1);
        let (word, wait) = sync_channel(1);
        let (inside, in_hand) = (Arc::clone(inside), in_hand.to_vec());
        let held = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&held);
        let thread = std::thread::Builder::new().name("freeze".to_owned());
        let thread = thread.spawn(move || hold(Tracer::new(&inside, &in_hand, &told), &say, &wait));
        let thread = thread.map_err(|source| FreezeError::call("start a thread", source))?;
        match watch(&said, &held) {
            Ok((number, processes, threads)) => {
                Ok(Self { thread: Some(thread), word: Some(word), number, processes, threads })
            }
            Err(Silence::Failed(number, error)) => {
                end(thread, number);
                Err(error)
            }
            Err(Silence::Stuck) => {
                let since = Instant::now().checked_sub(LIMIT + GRACE).unwrap_or_else(Instant::now);
                Err(stuck.insert(Stuck { thread, since }).told())
            }
        }
    }
}

/// A thread that the kernel keeps, and since when. It ends by itself when it is let through, since nobody listens.
#[derive(Debug)]
pub(super) struct Stuck {
    thread: JoinHandle<()>,
    since: Instant,
}

impl Stuck {
    /// What is told while it lives; `None` when it has ended.
    pub(super) fn error(&self) -> Option<FreezeError> {
        (!self.thread.is_finished()).then(|| self.told())
    }

    fn told(&self) -> FreezeError {
        FreezeError::Stuck { waited_ms: u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX) }
    }
}

/// Why the thread has not said that everything stands still.
enum Silence {
    /// It has failed; its number.
    Failed(u32, FreezeError),
    Stuck,
}

/// Waits for the thread's word, and buries what it cannot while it seizes.
fn watch(said: &Receiver<Said>, held: &Mutex<Vec<u32>>) -> Result<(u32, usize, usize), Silence> {
    let start = Instant::now();
    loop {
        match said.recv_timeout(LOOK) {
            Ok((number, Ok((processes, threads)))) => return Ok((number, processes, threads)),
            Ok((number, Err(error))) => return Err(Silence::Failed(number, error)),
            Err(RecvTimeoutError::Timeout) if start.elapsed() < LIMIT + GRACE => {
                for &thread in held.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                    // Most live, and are not buried.
                    ThreadId::try_from(thread).map(ptrace::bury).ok();
                }
            }
            Err(RecvTimeoutError::Timeout) => return Err(Silence::Stuck),
            Err(RecvTimeoutError::Disconnected) => {
                let gone = std::io::ErrorKind::BrokenPipe;
                return Err(Silence::Failed(0, FreezeError::call("hold the processes of the sandbox", gone)));
            }
        }
    }
}

fn hold(mut tracer: Tracer<'_>, say: &SyncSender<Said>, wait: &Receiver<()>) {
    let number = rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs();
    let stopped = tracer.stop_all().map(|()| tracer.count());
    let is_stopped = stopped.is_ok();
    let is_heard = say.send((number, stopped)).is_ok();
    if is_stopped && is_heard {
        // Nothing is ever sent: the other end is closed.
        wait.recv().ok();
    }
    tracer.let_go();
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.word.take());
        if let Some(thread) = self.thread.take() {
            end(thread, self.number);
        }
    }
}

/// Waits until a thread has ended, and the kernel has let go of what it still traced.
fn end(thread: JoinHandle<()>, number: u32) {
    // It does not panic; if it did, it would have let go of everything by that.
    thread.join().ok();
    // Joining returns a moment before that.
    let (start, path) = (Instant::now(), format!("/proc/self/task/{number}"));
    while rustix::fs::stat(&path).is_ok() && start.elapsed() < END {
        std::thread::sleep(Duration::from_micros(20));
    }
}
