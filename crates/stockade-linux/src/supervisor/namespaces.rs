//! Namespaces that are made while the plan is still to be compiled.

use std::io;

use stockade_spec::facts::Availability;
use stockade_spec::plan::Plan;

use crate::probe::{read_start, switches};
use crate::stage::ahead;
use crate::sys::maker::Maker;
use crate::sys::seccomp::is_filtered;

/// Namespaces in the making, for the first launch that can use them. Dropping them ends whatever makes them.
#[derive(Debug, Default)]
pub struct Namespaces(Option<Maker>);

impl Namespaces {
    /// Begins to make them on another processor, if there is nothing against it: a launch makes its own where it gets none.
    ///
    /// Where all processors are busy, the two processes would only wait for each other. Where a filter is in force, namespaces may be refused, and to try would be an event of the sandbox around this one; where
    /// they are switched off, they need not be tried.
    #[must_use]
    pub fn begin() -> Self {
        let uid = rustix::process::geteuid().as_raw();
        if !is_a_processor_idle() || is_filtered() || switches(uid) != Availability::Available {
            return Self::default();
        }
        // What keeps a process from being made now is reported by the launch, if it lasts.
        Self(Maker::start(ahead::STEPS).ok())
    }

    /// What makes them, if a plan can use them.
    ///
    /// # Errors
    /// Why they could not be made.
    pub(super) fn take_for(self, plan: &Plan) -> io::Result<Option<Maker>> {
        let Some(maker) = self.0.filter(|_| ahead::suits(plan)) else { return Ok(None) };
        maker.made()?;
        Ok(Some(maker))
    }
}

/// Whether more processors are there than processes that run or want to. Where that cannot be told, it is supposed.
fn is_a_processor_idle() -> bool {
    let running = read_start("/proc/loadavg").and_then(|text| running(&text));
    let processors = rustix::thread::sched_getaffinity(None).map(|set| set.count());
    running.ok_or(()).and_then(|running| Ok(running < processors.map_err(drop)?)).unwrap_or(true)
}

/// The first number of the fourth field of `/proc/loadavg` (`proc_loadavg(5)`).
fn running(text: &str) -> Option<u32> {
    text.split(' ').nth(3)?.split('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processes_that_run_are_read() {
        assert_eq!(running("0.20 0.18 0.12 3/80 11206\n"), Some(3));
        assert_eq!(running("0.20 0.18 0.12"), None);
        assert_eq!(running("0.20 0.18 0.12 x/80 1"), None);
    }
}
