//! `stockade run --review`.

use stockade::sandbox::{Exec, Reviewed, Sandbox};
use stockade::stdio;

use super::exec;
use crate::arguments::RunArguments;
use crate::failure::Failure;
use crate::job::Inputs;
use crate::render::Verbosity;
use crate::result_file::ResultFile;
use crate::{print, resolve, sandboxes};

pub(super) fn execute(arguments: RunArguments) -> Result<u8, Failure> {
    if arguments.sandbox.trace.is_some() {
        return Err(Failure::NotForSandboxes("--trace"));
    }
    let inputs = Inputs::gather(arguments.sandbox, arguments.command)?;
    let job = inputs.job();
    let open = |path| ResultFile::open(path, inputs.here(), inputs.workspace());
    let mut report = arguments.report.as_deref().map(open).transpose()?;
    let all = sandboxes::at(job.state, job.request.environment.clone())?;
    let exec = Exec {
        command: job.request.command.clone(),
        directory: Some(job.request.directory.clone()),
        terminal: resolve::terminal(),
        output: inputs.policy()?.limits.output.map(|output| output.0),
        take_signals: true,
        ..Exec::default()
    };
    let streams = stdio::inherited().map_err(Failure::Streams)?;
    let Reviewed { executed, sandbox } = all.review(&job, &exec, &streams)?;
    let name = sandbox.as_ref().map(Sandbox::name);
    let verbosity = Verbosity::of(arguments.quiet, arguments.verbose);
    exec::close(&executed, &exec, name, (verbosity, arguments.json), report.as_mut());
    if verbosity != Verbosity::Quiet && !arguments.json {
        print::message(&match name {
            None => "stockade: nothing was changed\n".to_owned(),
            Some(name) => format!(
                "stockade: the workspace is as it was; `stockade diff {name}` shows what would have changed, and \
                 `stockade apply {name}` or `stockade discard {name}` ends the review\n"
            ),
        });
    }
    Ok(executed.outcome.exit_status())
}
