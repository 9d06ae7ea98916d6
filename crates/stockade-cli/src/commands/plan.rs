//! `stockade plan`.

use crate::arguments::PlanArguments;
use crate::failure::Failure;
use crate::job::Inputs;
use crate::print;

pub(super) fn execute(arguments: PlanArguments) -> Result<u8, Failure> {
    let inputs = Inputs::gather(arguments.sandbox, arguments.command)?;
    let plan = stockade::plan(&inputs.job())?;
    let text = if arguments.json { print::json("the plan", &plan)? } else { plan.to_string() };
    print::result("the plan", &text)?;
    Ok(0)
}
