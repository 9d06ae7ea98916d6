//! How long stopping everything may take.

use std::time::{Duration, Instant};

/// From the first look to the last thread. What stops at all does so in microseconds.
pub(super) const LIMIT: Duration = Duration::from_millis(500);

/// How long something may stand in the way that usually goes by itself: a process that is about to execute a program, or one
/// that its debugger is about to stop.
const OBSTACLE: Duration = Duration::from_millis(100);

/// From this pause on, a thread that has not stopped is looked at more closely.
const LONG: Duration = Duration::from_micros(100);

/// One wait, in steps that get longer.
#[derive(Debug)]
pub(super) struct Patience {
    start: Instant,
    pause: Duration,
    /// Since when something stands in the way.
    obstacle: Option<Instant>,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), pause: Self::SHORT, obstacle: None }
    }

    const SHORT: Duration = Duration::from_micros(20);

    /// Whether the time is up.
    pub(super) fn is_over(&self) -> bool {
        self.start.elapsed() >= LIMIT
    }

    /// Whether what stands in the way, if something does, has had its time.
    pub(super) fn is_over_with(&mut self, obstacle: bool) -> bool {
        let since = obstacle.then(|| *self.obstacle.get_or_insert_with(Instant::now));
        self.obstacle = since;
        since.is_some_and(|since| since.elapsed() >= OBSTACLE) || self.is_over()
    }

    /// Whether it has been waited for some time without anything having moved.
    pub(super) fn is_long(&self) -> bool {
        self.pause > LONG
    }

    /// How much of it is gone, in milliseconds.
    pub(super) fn waited_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Sleeps a little.
    pub(super) fn pause(&mut self) {
        std::thread::sleep(self.pause);
        self.pause = (self.pause * 2).min(Duration::from_millis(2));
    }

    /// Something has moved: the next pause is a short one again.
    pub(super) fn refresh(&mut self) {
        self.pause = Self::SHORT;
    }
}
