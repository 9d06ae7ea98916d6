//! When to look next.

use std::time::{Duration, Instant};

/// Before the first look; most commands have ended by then.
const FIRST: Duration = Duration::from_millis(20);
/// Between looks at a run that is far from its limits.
const LONGEST: Duration = Duration::from_millis(250);
/// Between looks at a run that is near them.
const SHORTEST: Duration = Duration::from_millis(5);
/// Bytes in a millisecond by which a run can be expected to grow at most: some processors that touch new pages.
const GROWTH: u64 = 4 << 20;
/// Looking takes at most one part in so many of the supervisor's time.
const SHARE: u32 = 30;

/// The interval between looks: it doubles while nothing happens, shrinks near the limit, and follows the cost of
/// looking.
#[derive(Debug)]
pub(super) struct Pace {
    due: Instant,
    calm: Duration,
    headroom: Option<u64>,
}

impl Pace {
    pub(super) fn start() -> Self {
        Self { due: Instant::now() + FIRST, calm: FIRST, headroom: None }
    }

    pub(super) const fn next_due(&self) -> Instant {
        self.due
    }

    /// The bytes that are left until the memory limit.
    pub(super) const fn headroom(&mut self, bytes: u64) {
        self.headroom = Some(bytes);
    }

    /// A look took place; `unfinished` if it has to go on.
    pub(super) fn looked(&mut self, start: Instant, end: Instant, unfinished: bool) {
        self.calm = (self.calm * 2).min(LONGEST);
        let reach = self.headroom.map_or(LONGEST, |bytes| Duration::from_millis(bytes / GROWTH));
        let wanted = if unfinished { SHORTEST } else { self.calm.min(reach).max(SHORTEST) };
        let affordable = (end - start) * SHARE;
        self.due = end + wanted.max(affordable);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(pace: &mut Pace, cost: Duration) -> Duration {
        let start = Instant::now();
        pace.looked(start, start + cost, false);
        pace.next_due() - start - cost
    }

    #[test]
    fn calm_runs_are_looked_at_less_and_less() {
        let mut pace = Pace::start();
        let pauses: Vec<u128> = (0..5).map(|_| pause(&mut pace, Duration::ZERO).as_millis()).collect();
        assert_eq!(pauses, [40, 80, 160, 250, 250]);
    }

    #[test]
    fn runs_near_the_limit_are_looked_at_often() {
        let mut pace = Pace::start();
        pace.headroom(0);
        assert_eq!(pause(&mut pace, Duration::ZERO), SHORTEST);
        pace.headroom(40 << 20);
        assert_eq!(pause(&mut pace, Duration::ZERO).as_millis(), 10);
    }

    #[test]
    fn costly_looks_are_rare() {
        let mut pace = Pace::start();
        pace.headroom(0);
        assert_eq!(pause(&mut pace, Duration::from_millis(40)).as_millis(), 1_200);
    }
}
