//! Tells how far the work is, once it takes long enough for a person to wonder.

use std::time::{Duration, Instant};

/// Before this, nobody wonders.
const FIRST: Duration = Duration::from_secs(1);

/// Between two reports.
const EACH: Duration = Duration::from_millis(100);

/// How far the work is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Files that are ready or in their place.
    pub files: u64,
    /// All of them.
    pub all_files: u64,
    /// Bytes of their content that have been copied.
    pub bytes: u64,
    /// All of them.
    pub all_bytes: u64,
}

/// Counts, and calls back at times.
pub(super) struct Meter<'a> {
    progress: Progress,
    next: Instant,
    tell: &'a mut dyn FnMut(Progress),
}

impl<'a> Meter<'a> {
    pub(super) fn new(all_files: u64, all_bytes: u64, tell: &'a mut dyn FnMut(Progress)) -> Self {
        let progress = Progress { all_files, all_bytes, ..Progress::default() };
        Self { progress, next: Instant::now() + FIRST, tell }
    }

    /// One more file is ready.
    pub(super) fn file(&mut self) {
        self.progress.files += 1;
        self.tick();
    }

    /// More bytes were copied.
    pub(super) fn bytes(&mut self, count: u64) {
        self.progress.bytes += count;
        self.tick();
    }

    fn tick(&mut self) {
        let now = Instant::now();
        if now >= self.next {
            self.next = now + EACH;
            (self.tell)(self.progress);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_told_at_first_and_then_now_and_then() {
        let mut told = Vec::new();
        let mut tell = |progress| told.push(progress);
        let mut meter = Meter::new(3, 10, &mut tell);
        meter.bytes(4);
        meter.file();
        meter.next = Instant::now();
        meter.bytes(6);
        meter.file();
        assert_eq!(told, [Progress { files: 1, all_files: 3, bytes: 10, all_bytes: 10 }]);
    }
}
