//! `stockade doctor`.

use stockade::Tier;

use crate::arguments::DoctorArguments;
use crate::caller::Caller;
use crate::doctor::{DIAGNOSIS_VERSION, Diagnosis, TrialBed, improvements, look};
use crate::failure::Failure;
use crate::print;

/// Every tier, strongest first.
const TIERS: &[Tier] = &[Tier::Namespaces, Tier::Landlock];

pub(super) fn execute(arguments: &DoctorArguments) -> Result<u8, Failure> {
    let caller = Caller::find();
    let bed = TrialBed::new(&caller)?;
    let facts = bed.facts()?;
    let surroundings = look(&caller);
    let improvements = improvements(&facts, &surroundings);
    let trials = TIERS.iter().map(|tier| bed.trial(*tier)).collect();
    let diagnosis = Diagnosis { version: DIAGNOSIS_VERSION, trials, facts, surroundings, improvements };
    let text = if arguments.json { print::json("the findings", &diagnosis)? } else { diagnosis.to_string() };
    print::result("the findings", &text)?;
    Ok(diagnosis.exit_status())
}
