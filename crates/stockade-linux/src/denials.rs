//! Collects what was refused during one run: repeated attempts are counted, and hostile code cannot grow the list.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::time::Instant;

use stockade_spec::report::{Area, Denial, Known, MAX_DENIALS, ProcessRef};

/// Longest text of a target, in bytes. Paths are at most `PATH_MAX` (4096) bytes; longer ones are cut.
pub const MAX_TARGET: usize = 4096;
/// Bytes of targets and suggestions that are kept whole. JSON writes one byte in six at worst.
const MAX_WHOLE: usize = 1 << 20;
/// Longest text of a target beyond that.
const MAX_CUT: usize = 256;
/// What a text ends with that was cut.
const MARK: &str = "…";

/// One refused attempt, before it is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    area: Area,
    operation: Cow<'static, str>,
    target: String,
    rule: Option<String>,
    process: Option<ProcessRef>,
    suggestion: Option<String>,
    known: Known,
}

impl Attempt {
    /// An observed attempt. Bytes of `target` that are not Unicode are replaced, and it is cut at [`MAX_TARGET`].
    pub fn new(area: Area, operation: impl Into<Cow<'static, str>>, target: impl AsRef<OsStr>) -> Self {
        let target = bounded(&target.as_ref().to_string_lossy(), MAX_TARGET);
        Self {
            area,
            operation: operation.into(),
            target,
            rule: None,
            process: None,
            suggestion: None,
            known: Known::Exact,
        }
    }

    /// The rule that refused it.
    #[must_use]
    pub fn rule(mut self, rule: impl Into<String>) -> Self {
        self.rule = Some(rule.into());
        self
    }

    /// Who attempted it.
    #[must_use]
    pub fn by(mut self, process: Option<ProcessRef>) -> Self {
        self.process = process;
        self
    }

    /// The option that would allow it.
    #[must_use]
    pub fn suggestion(mut self, option: impl Into<String>) -> Self {
        self.suggestion = Some(option.into());
        self
    }

    /// With less text, where there is no room for all of it.
    fn cut(self) -> Self {
        let target = bounded(&self.target, MAX_CUT);
        Self { target, suggestion: self.suggestion.filter(|option| option.len() <= MAX_CUT), ..self }
    }

    /// Bytes of text whose length the attempting program chooses.
    fn text(&self) -> usize {
        self.target.len() + self.suggestion.as_ref().map_or(0, String::len)
    }

    fn key(&self) -> Key {
        let name = self.process.as_ref().map(|process| process.name.clone()).unwrap_or_default();
        (self.area, self.operation.clone(), self.target.clone(), name)
    }

    /// Marks it as inferred from a failed command's error text.
    #[must_use]
    pub fn inferred(mut self) -> Self {
        self.known = Known::Inferred;
        self
    }
}

type Key = (Area, Cow<'static, str>, String, String);

/// The denials of one run, in order of first occurrence, at most [`MAX_DENIALS`] distinct ones.
pub struct DenialLog<'a> {
    started: Instant,
    sink: Box<dyn FnMut(&Denial) + 'a>,
    places: BTreeMap<Key, usize>,
    denials: Vec<Denial>,
    /// Bytes of targets and suggestions.
    text: usize,
    dropped: u64,
}

impl fmt::Debug for DenialLog<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DenialLog")
            .field("denials", &self.denials)
            .field("dropped", &self.dropped)
            .finish_non_exhaustive()
    }
}

impl<'a> DenialLog<'a> {
    /// An empty log of a run that started at `started`. `sink` gets each distinct denial once, when it first happens.
    pub fn new(started: Instant, sink: impl FnMut(&Denial) + 'a) -> Self {
        Self { started, sink: Box::new(sink), places: BTreeMap::new(), denials: Vec::new(), text: 0, dropped: 0 }
    }

    /// Counts an attempt. Attempts are the same when area, operation, target and the process's name are. An inferred one
    /// about a target of which something is known already says nothing new.
    pub fn record(&mut self, attempt: Attempt) {
        let is_about = |denial: &Denial| denial.area == attempt.area && denial.target == attempt.target;
        if attempt.known == Known::Inferred && self.denials.iter().any(is_about) {
            return;
        }
        if self.count(&attempt.key()) {
            return;
        }
        let has_room = attempt.text() <= MAX_WHOLE.saturating_sub(self.text);
        let attempt = if has_room { attempt } else { attempt.cut() };
        let key = attempt.key();
        if !has_room && self.count(&key) {
            return;
        }
        if self.denials.len() >= MAX_DENIALS {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        self.text = self.text.saturating_add(attempt.text());
        let denial = Denial {
            area: attempt.area,
            operation: attempt.operation.into_owned(),
            target: attempt.target,
            rule: attempt.rule,
            process: attempt.process,
            count: 1,
            suggestion: attempt.suggestion,
            known: attempt.known,
            at_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        (self.sink)(&denial);
        self.places.insert(key, self.denials.len());
        self.denials.push(denial);
    }

    /// Counts one that is known already; whether it is.
    fn count(&mut self, key: &Key) -> bool {
        let known = self.places.get(key).and_then(|&place| self.denials.get_mut(place));
        known.map(|denial| denial.count = denial.count.saturating_add(1)).is_some()
    }

    /// Whether nothing was refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.denials.is_empty()
    }

    /// What was refused so far, in order of first occurrence.
    #[must_use]
    pub fn denials(&self) -> &[Denial] {
        &self.denials
    }

    /// How many attempts were only counted.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Forgets what was refused so far: what happens again is told again. For the next command of a sandbox that lasts.
    pub fn restart(&mut self) {
        self.places.clear();
        self.denials.clear();
        self.text = 0;
        self.dropped = 0;
    }

    /// Counts attempts of which whoever saw them kept no more than their number, as if they were beyond [`MAX_DENIALS`].
    pub fn count_lost(&mut self, attempts: u64) {
        self.dropped = self.dropped.saturating_add(attempts);
    }

    /// The denials, in order of first occurrence, and how many attempts beyond [`MAX_DENIALS`] distinct ones there were.
    #[must_use]
    pub fn finish(self) -> (Vec<Denial>, u64) {
        (self.denials, self.dropped)
    }
}

/// Cuts at a character's boundary, and marks what was cut.
fn bounded(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    text[..text.floor_char_boundary(most - MARK.len())].to_owned() + MARK
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn process(pid: u32, name: &str) -> Option<ProcessRef> {
        Some(ProcessRef { pid, name: name.into() })
    }

    #[test]
    fn repeated_attempts_are_counted_and_announced_once() {
        let announced = RefCell::new(Vec::new());
        let mut log = DenialLog::new(Instant::now(), |denial| announced.borrow_mut().push(denial.target.clone()));
        for pid in 1..=3 {
            log.record(Attempt::new(Area::Network, "connect", "192.0.2.1:80").by(process(pid, "curl")));
        }
        log.record(Attempt::new(Area::Network, "connect", "192.0.2.1:80").by(process(4, "wget")));
        log.record(Attempt::new(Area::Sockets, "connect", "192.0.2.1:80").by(process(4, "wget")));
        let (denials, dropped) = log.finish();
        assert_eq!(denials.iter().map(|denial| denial.count).collect::<Vec<_>>(), [3, 1, 1]);
        assert_eq!(denials[0].process.as_ref().map(|process| process.pid), Some(1));
        assert_eq!(announced.borrow().len(), 3);
        assert_eq!(dropped, 0);
    }

    #[test]
    fn distinct_attempts_are_bounded() {
        let mut log = DenialLog::new(Instant::now(), |_| {});
        for n in 0..MAX_DENIALS + 7 {
            log.record(Attempt::new(Area::Files, "read", format!("/x/{n}")));
        }
        log.record(Attempt::new(Area::Files, "read", "/x/0"));
        log.count_lost(5);
        let (denials, dropped) = log.finish();
        assert_eq!((denials.len(), dropped, denials[0].count), (MAX_DENIALS, 12, 2));
    }

    #[test]
    fn targets_are_cut_and_made_unicode() {
        let mut log = DenialLog::new(Instant::now(), |_| {});
        log.record(Attempt::new(Area::Files, "read", OsStr::from_bytes(b"/\xff")));
        log.record(Attempt::new(Area::Files, "read", "a".to_owned() + &"é".repeat(5000)));
        let (denials, _) = log.finish();
        assert_eq!(denials[0].target, "/\u{fffd}");
        assert!(denials[1].target.ends_with("é…"));
        assert_eq!(denials[1].target.len(), MAX_TARGET);
    }

    #[test]
    fn long_targets_are_bounded_together_and_counted() {
        let mut log = DenialLog::new(Instant::now(), |_| {});
        let long = |n: usize| format!("/{n:03}{}", "\u{1}".repeat(4000));
        for n in 0..MAX_DENIALS {
            log.record(Attempt::new(Area::Files, "read", long(n)).suggestion(format!("--read {}", long(n))));
        }
        log.record(Attempt::new(Area::Files, "read", long(0)));
        log.record(Attempt::new(Area::Files, "read", long(MAX_DENIALS - 1)));
        let (denials, dropped) = log.finish();
        assert_eq!((denials.len(), dropped), (MAX_DENIALS, 0));
        assert_eq!(denials.iter().map(|denial| denial.count).sum::<u64>(), MAX_DENIALS as u64 + 2);
        assert_eq!((denials[0].count, denials[MAX_DENIALS - 1].count), (2, 2));
        let bytes: usize = denials.iter().map(|denial| denial.target.len()).sum();
        assert!(bytes < MAX_WHOLE + MAX_DENIALS * MAX_CUT, "{bytes}");
        assert!(denials[MAX_DENIALS - 1].target.ends_with(MARK) && denials[MAX_DENIALS - 1].suggestion.is_none());
    }
}
