//! Measured times and their summary.

use std::time::Duration;

use serde_json::{Value, json};

use super::Failure;
use super::contestant::Contestant;

/// The times of one contestant.
#[derive(Clone, Debug)]
pub(super) struct Samples {
    /// The contestant's name.
    pub(super) name: &'static str,
    times: Vec<Duration>,
}

impl Samples {
    /// Half of the runs took at most this long.
    pub(super) fn median(&self) -> Duration {
        self.percentile(50)
    }

    /// `percent` of the runs took at most this long.
    pub(super) fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.times.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        sorted.get((last * percent).div_ceil(100)).copied().unwrap_or_default()
    }
}

/// Runs all contestants `rounds` times in turn, each round starting with another one, after `prepare`, which is not
/// timed. Before that each runs once unmeasured, to fill the caches.
pub(super) fn interleave(
    contestants: &[Contestant],
    rounds: usize,
    command: &[&str],
    mut prepare: impl FnMut() -> Result<(), Failure>,
) -> Result<Vec<Samples>, Failure> {
    let mut all: Vec<Samples> =
        contestants.iter().map(|contestant| Samples { name: contestant.name, times: Vec::new() }).collect();
    for contestant in contestants {
        prepare()?;
        contestant.time(command)?;
    }
    for round in 0..rounds {
        for turn in 0..contestants.len() {
            let index = (round + turn) % contestants.len();
            prepare()?;
            all[index].times.push(contestants[index].time(command)?);
        }
    }
    Ok(all)
}

/// `a` as a multiple of `b`.
pub(super) fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}

/// Every time in microseconds, by name.
pub(super) fn raw(all: &[Samples]) -> Value {
    all.iter()
        .map(|samples| {
            let times: Vec<Value> = samples.times.iter().map(|time| json!(time.as_secs_f64() * 1e6)).collect();
            (samples.name.to_owned(), Value::Array(times))
        })
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// The contestant of this name.
pub(super) fn of<'a>(all: &'a [Samples], name: &str) -> Option<&'a Samples> {
    all.iter().find(|samples| samples.name == name)
}
