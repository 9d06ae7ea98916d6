//! `stockade plan`.

use stockade::{Endpoint, Plan, Reach, reach};

use crate::arguments::PlanArguments;
use crate::failure::Failure;
use crate::job::Inputs;
use crate::{exit_codes, print};

pub(super) fn execute(arguments: PlanArguments) -> Result<u8, Failure> {
    let inputs = Inputs::gather(arguments.sandbox, arguments.command)?;
    let plan = stockade::plan(&inputs.job())?;
    if !arguments.check.is_empty() {
        return check(&plan, &arguments.check);
    }
    let text = if arguments.json { print::json("the plan", &plan)? } else { plan.to_string() };
    print::result("the plan", &text)?;
    Ok(0)
}

/// Prints a line for each endpoint.
fn check(plan: &Plan, endpoints: &[Endpoint]) -> Result<u8, Failure> {
    let (mut text, mut status) = (String::new(), 0);
    for endpoint in endpoints {
        let answer = match reach(plan, endpoint) {
            Reach::Allowed { rule } => format!("allowed by {rule}"),
            Reach::Inside => "the sandbox's own loopback".to_owned(),
            Reach::Asked => "asked about when it is connected to".to_owned(),
            Reach::Denied { rule: Some(rule), .. } => {
                status = exit_codes::PLAN_DENIED;
                format!("denied by {rule}")
            }
            Reach::Denied { option, .. } => {
                status = exit_codes::PLAN_DENIED;
                let remedy = option.map_or_else(String::new, |option| format!("; {option} would"));
                format!("denied: no rule allows it{remedy}")
            }
            other => format!("{other:?}"),
        };
        text.extend([endpoint.to_string().as_str(), ": ", &answer, "\n"]);
    }
    print::result("the answer", &text)?;
    Ok(status)
}
