//! Faults on demand, for tests: at a chosen place the process ends, or a test does something.
//!
//! Only builds with the feature `fault-injection` have any of this; in others, what takes its place does nothing and is
//! compiled away (`fault_absent.rs`). Even then nothing happens until a test calls [`arm`] or [`watch`].

use std::cell::RefCell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The place at which this process ends.
static ARMED: OnceLock<u32> = OnceLock::new();

/// Places that were passed.
static PASSED: AtomicU32 = AtomicU32::new(0);

/// What a test does at each place, which it gets the number of.
type Hook = Box<dyn FnMut(u32)>;

thread_local! {
    static WATCH: RefCell<Option<(u32, Hook)>> = const { RefCell::new(None) };
}

/// Ends this process at a place, by its number from 0, counted from now on. The first call counts.
pub fn arm(number: u32) {
    if ARMED.set(number).is_ok() {
        PASSED.store(0, Ordering::Relaxed);
    }
}

/// Calls `hook` at every place that this thread passes from now on, with its number from 0.
pub fn watch(hook: impl FnMut(u32) + 'static) {
    WATCH.set(Some((0, Box::new(hook))));
}

/// Calls nothing any more. Gives how many places were passed since [`watch`].
pub fn unwatch() -> u32 {
    WATCH.take().map_or(0, |(passed, _)| passed)
}

/// A place between two steps is passed. The end is that of a killed process: nothing is cleaned up.
pub fn place() {
    let passed = PASSED.fetch_add(1, Ordering::Relaxed);
    let is_here = ARMED.get() == Some(&passed);
    if is_here && rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).is_err() {
        std::process::abort();
    }
    if let Some((number, mut hook)) = WATCH.take() {
        hook(number);
        WATCH.set(Some((number + 1, hook)));
    }
}
