//! `stockade create`.

use stockade::sandbox::Options;

use crate::arguments::CreateArguments;
use crate::failure::Failure;
use crate::job::Inputs;
use crate::{print, sandboxes};

pub(super) fn execute(arguments: CreateArguments) -> Result<u8, Failure> {
    if arguments.sandbox.trace.is_some() {
        return Err(Failure::NotForSandboxes("--trace"));
    }
    let inputs = Inputs::gather(arguments.sandbox, Vec::new())?;
    let job = inputs.job();
    let all = sandboxes::at(job.state, job.request.environment.clone())?;
    sandboxes::tidy(&all);
    let mut options = Options::of(&inputs.policy()?);
    options.linger = arguments.linger.map_or(options.linger, |linger| linger.duration());
    options.checkpoint_each |= arguments.checkpoint_each;
    let sandbox = all.create(arguments.name.as_deref(), &job, &options)?;
    let name = sandbox.name();
    print::result("the name", &format!("{name}\n"))?;
    if arguments.verbose {
        print::message(&format!(
            "stockade: `stockade exec {name} -- COMMAND` runs in it, `stockade diff {name}` shows what changed, \
             `stockade apply {name}` brings that to the workspace\n"
        ));
    }
    Ok(0)
}
