//! The bounds on traffic of a run: how much, how many, how many at once, how fast.
//!
//! They are enforced where a connection is accepted and where bytes are moved, whatever the program did to get there.
//! [`Traffic::may_open`] only looks ahead, so that a program gets an error from `connect(2)` instead of a broken connection.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::event::Limit;

/// Bounds on the traffic of a whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that programs inside may send; none where `None`.
    pub sent: Option<u64>,
    /// Bytes that programs inside may receive.
    pub received: Option<u64>,
    /// Connections in total.
    pub connections: Option<u64>,
    /// Connections at once, published ones counted apart. Each takes two descriptors, and up to four more while data waits.
    pub at_once: u32,
    /// New connections within any second.
    pub per_second: u32,
}

impl Default for Limits {
    /// No bound on bytes and totals; 1,024 connections at once and 500 new ones per second.
    fn default() -> Self {
        Self { sent: None, received: None, connections: None, at_once: 1024, per_second: 500 }
    }
}

/// What a run has used of its limits.
#[derive(Debug)]
pub(crate) struct Traffic {
    pub(crate) sent: Meter,
    pub(crate) received: Meter,
    total: AtomicU64,
    most: Option<u64>,
    open: Arc<AtomicU32>,
    at_once: u32,
    pace: Mutex<Pace>,
}

impl Traffic {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            sent: Meter::new(limits.sent),
            received: Meter::new(limits.received),
            total: AtomicU64::new(0),
            most: limits.connections,
            open: Arc::default(),
            at_once: limits.at_once,
            pace: Mutex::new(Pace::new(limits.per_second, Instant::now())),
        }
    }

    /// Connections so far.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Whether a connection would be accepted now, or which limit is in its way. Takes nothing.
    pub(crate) fn may_open(&self, now: Instant) -> Result<(), Limit> {
        if self.sent.is_empty() {
            return Err(Limit::Sent);
        }
        if self.received.is_empty() {
            return Err(Limit::Received);
        }
        if self.most.is_some_and(|most| self.total() >= most) {
            return Err(Limit::Connections);
        }
        if self.open.load(Ordering::Relaxed) >= self.at_once {
            return Err(Limit::AtOnce);
        }
        if self.pace().may(now) { Ok(()) } else { Err(Limit::PerSecond) }
    }

    /// Counts a connection, which is open as long as the result lives. Only the gate's thread opens, so that nothing comes
    /// between the question and the count.
    pub(crate) fn open(&self, now: Instant) -> Result<Slot, Limit> {
        self.may_open(now)?;
        self.pace().take(now);
        self.total.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(Slot { open: Arc::clone(&self.open) })
    }

    fn pace(&self) -> std::sync::MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the connections that are open at once.
#[derive(Debug)]
pub(crate) struct Slot {
    open: Arc<AtomicU32>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bytes in one direction, against a bound. Exact: bytes are taken before they are moved, and given back when they were not.
#[derive(Debug)]
pub(crate) struct Meter {
    used: AtomicU64,
    most: u64,
}

impl Meter {
    pub(crate) fn new(most: Option<u64>) -> Self {
        Self { used: AtomicU64::new(0), most: most.unwrap_or(u64::MAX) }
    }

    /// Takes up to `wanted` bytes; 0 when none is left. Between this and [`Self::give_back`] the gate's thread must not wait.
    pub(crate) fn take(&self, wanted: usize) -> usize {
        let left = self.most.saturating_sub(self.used());
        let taken = usize::try_from(left).map_or(wanted, |left| wanted.min(left));
        self.used.fetch_add(taken as u64, Ordering::Relaxed);
        taken
    }

    pub(crate) fn give_back(&self, unused: usize) {
        self.used.fetch_sub(unused as u64, Ordering::Relaxed);
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    fn is_empty(&self) -> bool {
        self.used() >= self.most
    }
}

/// A bound on events within a second, by the generic cell rate algorithm (ITU-T I.371): one instant says it all.
#[derive(Debug)]
struct Pace {
    /// When the events so far would have ended had they come evenly.
    due: Instant,
    /// The even distance between two.
    step: Duration,
    /// How far events may be ahead of their time.
    burst: Duration,
}

impl Pace {
    fn new(per_second: u32, now: Instant) -> Self {
        let step = Duration::from_secs(1).checked_div(per_second).unwrap_or(Duration::MAX);
        Self { due: now, step, burst: Duration::from_secs(1) }
    }

    fn may(&self, now: Instant) -> bool {
        self.step <= self.burst && self.due.saturating_duration_since(now) + self.step <= self.burst
    }

    fn take(&mut self, now: Instant) {
        self.due = self.due.max(now) + self.step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_never_gives_more_than_its_bound() {
        let meter = Meter::new(Some(10));
        assert_eq!(meter.take(7), 7);
        assert_eq!(meter.take(7), 3);
        assert_eq!(meter.take(1), 0);
        meter.give_back(2);
        assert_eq!((meter.take(5), meter.used()), (2, 10));
        assert_eq!(Meter::new(None).take(usize::MAX), usize::MAX);
    }

    #[test]
    fn a_second_holds_exactly_its_events_and_then_some_again() {
        let traffic = Traffic::new(&Limits { per_second: 5, ..Limits::default() });
        let start = Instant::now();
        let opened = |at: Instant| (0..100).filter(|_| traffic.open(at).is_ok()).count();
        assert_eq!(opened(start), 5);
        assert_eq!(traffic.may_open(start), Err(Limit::PerSecond));
        assert_eq!(opened(start + Duration::from_millis(401)), 2);
        assert_eq!(opened(start + Duration::from_secs(60)), 5, "quiet time is not saved up");
        let none = Traffic::new(&Limits { per_second: 0, ..Limits::default() });
        assert_eq!(none.may_open(start), Err(Limit::PerSecond));
    }

    #[test]
    fn slots_are_free_again_when_connections_end_but_totals_stay() {
        let now = Instant::now();
        let traffic = Traffic::new(&Limits { at_once: 2, connections: Some(3), ..Limits::default() });
        let first = traffic.open(now).unwrap();
        let _second = traffic.open(now).unwrap();
        assert_eq!(traffic.open(now).map(drop), Err(Limit::AtOnce));
        drop(first);
        let _third = traffic.open(now).unwrap();
        assert_eq!(traffic.open(now).map(drop), Err(Limit::Connections));
        assert_eq!(traffic.total(), 3);
    }
}
