//! The commands, one file each.

mod doctor;
mod plan;
mod policy;
mod run;
mod supervise;

use crate::arguments::Command;
use crate::failure::Failure;
use crate::{print, render};

/// The one argument with which the library starts this program for a process that has several threads. It is no command of
/// the command line: people have no use for it.
pub(crate) const SUPERVISE: &str = "supervise";

/// Carries [`SUPERVISE`] out. Its exit status.
pub(crate) fn supervise() -> u8 {
    supervise::execute().unwrap_or_else(|failure| fail(&failure, false))
}

/// Carries a command out. Its exit status.
pub(crate) fn execute(command: Command) -> u8 {
    let json = matches!(&command, Command::Run(arguments) if arguments.json);
    let done = match command {
        Command::Run(arguments) => run::execute(*arguments),
        Command::Plan(arguments) => plan::execute(*arguments),
        Command::Policy(arguments) => policy::execute(arguments.command),
        Command::Doctor(arguments) => doctor::execute(&arguments),
    };
    done.unwrap_or_else(|failure| fail(&failure, json))
}

fn fail(failure: &Failure, json: bool) -> u8 {
    print::message(&if json { render::failure_json(failure) } else { render::failure(failure) });
    failure.status()
}
