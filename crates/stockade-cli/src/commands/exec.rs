//! `stockade exec`.

use std::ffi::OsString;

use stockade::report::Outcome;
use stockade::sandbox::{Exec, Executed, Sandbox};
use stockade::stdio;

use crate::arguments::{ExecArguments, Variable};
use crate::caller::Caller;
use crate::failure::Failure;
use crate::render::Verbosity;
use crate::result_file::ResultFile;
use crate::sandboxes::{self, Places};
use crate::{print, render, resolve};

pub(super) fn execute(arguments: ExecArguments) -> Result<u8, Failure> {
    let caller = Caller::find();
    let variables = variables(&arguments.env, &caller);
    let command = if arguments.command.is_empty() { vec![caller.shell] } else { arguments.command };
    let mut sandbox = sandboxes::at(&caller.state, caller.environment)?.open(&arguments.name)?;
    let places = Places::of(&sandbox);
    // Opened before anything runs, so that a name that cannot be written costs nothing but the message.
    let report = |path| ResultFile::open(path, &std::env::current_dir().unwrap_or_default(), sandbox.workspace());
    let mut report = arguments.report.as_deref().map(report).transpose()?;
    let directory = arguments.directory.as_deref().map(|typed| places.absolute(typed)).transpose()?;
    let verbosity = Verbosity::of(arguments.quiet, arguments.verbose);
    // A sandbox that was made to take them does so by itself.
    if arguments.checkpoint && !sandbox.takes_checkpoints() {
        let taken = sandbox.checkpoint_before(&command)?;
        if verbosity == Verbosity::Verbose {
            print::message(&format!("stockade: the state before is kept as {}\n", taken.name));
        }
    }
    let exec = Exec {
        directory: Some(directory.unwrap_or_else(|| places.here().to_owned())),
        variables,
        ..asked(command, &sandbox)
    };
    if arguments.detach {
        let log = sandbox.spawn(&exec)?;
        print::result("the command's number", &format!("{}\n", log.number))?;
        return Ok(0);
    }
    let executed = sandbox.exec(&exec, &stdio::inherited().map_err(Failure::Streams)?)?;
    close(&executed, &exec, Some(sandbox.name()), (verbosity, arguments.json), report.as_mut());
    // The system says the same of a program that is not there.
    if let (Outcome::NotFound, Some(directory)) = (&executed.outcome, &exec.directory)
        && directory != sandbox.workspace()
        && !(arguments.quiet || arguments.json)
    {
        let directory = directory.to_string_lossy();
        print::message(&format!("hint: or the sandbox has no directory {}\n", render::escaped(&directory)));
    }
    Ok(executed.outcome.exit_status())
}

/// A command as this program runs it, with the bound on output that the sandbox was made with.
pub(super) fn asked(command: Vec<OsString>, sandbox: &Sandbox) -> Exec {
    let output = sandbox.policy().limits.output.map(|output| output.0);
    Exec { command, terminal: resolve::terminal(), output, take_signals: true, ..Exec::default() }
}

/// Tells how a command ended. It has run, and its status is what callers wait for: a report that cannot be written is told, no
/// more.
pub(super) fn close(
    executed: &Executed,
    exec: &Exec,
    sandbox: Option<&str>,
    (verbosity, json): (Verbosity, bool),
    report: Option<&mut ResultFile>,
) {
    let document = render::executed_json(executed, sandbox, &exec.command);
    let program = exec.command.first().map(|program| program.to_string_lossy()).unwrap_or_default();
    print::message(&if json {
        render::escaped_json(&format!("{document}\n"))
    } else {
        render::executed(executed, &program, verbosity)
    });
    let written = report.map(|file| file.write(&print::json("the report", &document)?)).transpose();
    if let Err(failure) = written {
        print::message(&render::failure(&failure));
    }
}

fn variables(typed: &[Variable], caller: &Caller) -> Vec<(OsString, OsString)> {
    let variable = |variable: &Variable| match variable {
        Variable::Set(name, value) => Some((name.into(), value.into())),
        Variable::Pass(name) => caller.variable(name).map(|value| (name.into(), value.to_owned())),
    };
    typed.iter().filter_map(variable).collect()
}
