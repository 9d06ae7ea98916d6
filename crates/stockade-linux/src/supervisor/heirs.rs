//! What is left when init is gone, where no process namespace ends it (tier `landlock`).

use std::io;
use std::time::{Duration, Instant};

use rustix::process::{Pid, child_subreaper, getpid, set_child_subreaper};
use stockade_spec::plan::{Operation, Plan};

use crate::stage::{descendants, tree};

/// How long they may take to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes this process, for as long as it is there, the one to which the kernel gives what init leaves.
#[derive(Debug)]
pub(super) struct Heirs {
    /// This process's other children.
    spared: Vec<Pid>,
    previous: Option<Pid>,
}

impl Heirs {
    /// To be called before init is made. None are to be expected where a namespace ends with init.
    pub(super) fn expect(plan: &Plan) -> io::Result<Option<Self>> {
        if !plan.steps.iter().any(|step| step.operation == Operation::Subreaper) {
            return Ok(None);
        }
        let mut spared = Vec::new();
        tree::append_children(getpid(), &mut spared);
        let previous = child_subreaper()?;
        set_child_subreaper(Some(getpid()))?;
        Ok(Some(Self { spared, previous }))
    }

    /// Ends them, and returns how many could not be. To be called when init was reaped.
    pub(super) fn end(&self) -> usize {
        descendants::end(&self.spared, Some(Instant::now() + PATIENCE))
    }
}

impl Drop for Heirs {
    fn drop(&mut self) {
        set_child_subreaper(self.previous).ok();
    }
}
