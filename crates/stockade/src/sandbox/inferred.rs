//! What a failed command's error text says of refused file operations, as after a run.
//!
//! Only the caller sees that text, and only the plan tells what is hidden or held read-only; so the plan is made once more, for a
//! command that failed and printed something.

use std::path::Path;
use std::time::Instant;

use stockade_linux::denials::DenialLog;
use stockade_linux::observe::inferred;
use stockade_spec::Plan;
use stockade_spec::compile::compile;
use stockade_spec::report::Outcome;

use super::exec::Executed;
use super::handle::Sandbox;
use super::settings;
use crate::error::Error;
use crate::run::Ground;

impl Sandbox {
    /// Adds it to what is known.
    pub(super) fn with_inferred(&self, mut executed: Executed) -> Executed {
        if executed.outcome == (Outcome::Exited { status: 0 }) || executed.stderr_tail.is_empty() {
            return executed;
        }
        // Where no plan can be made any more, as when the workspace has gone, nothing is inferred.
        let Ok(plan) = self.plan() else { return executed };
        let exists = |path: &Path| path.symlink_metadata().is_ok();
        let mut denials = DenialLog::new(Instant::now(), |_| ());
        for attempt in inferred::infer(&plan, &executed.stderr_tail, exists) {
            denials.record(attempt);
        }
        let (denials, dropped) = denials.finish();
        executed.denials.extend(denials);
        executed.denials_dropped = executed.denials_dropped.saturating_add(dropped);
        executed
    }

    fn plan(&self) -> Result<Plan, Error> {
        let request = self.settings.request(self.all.environment.clone());
        let request = settings::with_layers(&request, &self.kept, true);
        let work = self.settings.work(&request, self.all.state.path());
        Ok(compile(work.policy, work.request, &Ground::look(work)?.facts)?)
    }
}
