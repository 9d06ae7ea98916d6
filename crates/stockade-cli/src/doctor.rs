//! What this machine can enforce, tried out, and what would make it enforce more.

mod improvement;
mod render;
mod surroundings;
mod trial;

use serde::Serialize;
use stockade::HostFacts;

use crate::exit_codes;

pub(crate) use improvement::{Improvement, Surroundings, improvements};
pub(crate) use surroundings::look;
pub(crate) use trial::{Trial, TrialBed};

/// Version of the findings' JSON form.
pub(crate) const DIAGNOSIS_VERSION: u32 = 1;

/// Everything that was found out.
#[derive(Debug, Serialize)]
pub(crate) struct Diagnosis {
    /// [`DIAGNOSIS_VERSION`].
    pub(crate) version: u32,
    /// One run in each tier, strongest first.
    pub(crate) trials: Vec<Trial>,
    /// What was probed.
    pub(crate) facts: HostFacts,
    /// What surrounds this process.
    pub(crate) surroundings: Surroundings,
    /// What would help.
    pub(crate) improvements: Vec<Improvement>,
}

impl Diagnosis {
    /// The tier that a run gets: the strongest that works.
    pub(crate) fn tier(&self) -> Option<&Trial> {
        self.trials.iter().find(|trial| trial.failure.is_none())
    }

    /// The exit status that says how well this machine does.
    pub(crate) fn exit_status(&self) -> u8 {
        match self.tier() {
            Some(trial) if trial.degraded().next().is_none() => 0,
            Some(_) => exit_codes::DOCTOR_DEGRADED,
            None => exit_codes::FAILED,
        }
    }
}
