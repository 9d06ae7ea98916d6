//! `stockade plan`.

use stockade::{Endpoint, Job, Plan, Reach, reach};

use crate::arguments::PlanArguments;
use crate::failure::Failure;
use crate::job::Inputs;
use crate::policy_files::WORKSPACE;
use crate::{exit_codes, print};

pub(super) fn execute(arguments: PlanArguments) -> Result<u8, Failure> {
    let inputs = Inputs::gather(arguments.sandbox, arguments.command)?;
    let plan = stockade::plan(&inputs.job())?;
    if !arguments.check.is_empty() {
        return check(&inputs, &plan, &arguments.check);
    }
    let text = if arguments.json { print::json("the plan", &plan)? } else { plan.to_string() };
    print::result("the plan", &text)?;
    Ok(0)
}

/// Prints a line for each endpoint.
fn check(inputs: &Inputs, plan: &Plan, endpoints: &[Endpoint]) -> Result<u8, Failure> {
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
                unnamed(inputs, endpoint, option)?
            }
            other => format!("{other:?}"),
        };
        text.extend([endpoint.to_string().as_str(), ": ", &answer, "\n"]);
    }
    print::result("the answer", &text)?;
    Ok(status)
}

/// The answer about an endpoint that no rule names.
fn unnamed(inputs: &Inputs, endpoint: &Endpoint, option: Option<String>) -> Result<String, Failure> {
    Ok(match option {
        Some(option) if helps(inputs, endpoint)? => format!("denied: no rule allows it; {option} would"),
        Some(_) if inputs.has_workspace_file() => {
            format!("denied: {WORKSPACE} narrows the rules to others, which no option widens")
        }
        _ => "denied: no rule allows it".to_owned(),
    })
}

/// Whether naming an endpoint by `--allow` would open it. It would not where the workspace's own policy names what may be reached.
fn helps(inputs: &Inputs, endpoint: &Endpoint) -> Result<bool, Failure> {
    let overrides = inputs.overrides_allowing(endpoint.to_string());
    let plan = stockade::plan(&Job { overrides: &overrides, ..inputs.job() });
    match plan {
        Ok(plan) => Ok(matches!(reach(&plan, endpoint), Reach::Allowed { .. })),
        // Such as a rule that names what no rule can open.
        Err(stockade::Error::Policy(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
