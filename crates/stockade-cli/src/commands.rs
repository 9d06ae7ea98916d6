//! The commands, one file each.

mod apply;
mod audit;
mod checkpoint;
mod create;
mod diff;
mod doctor;
mod events;
mod exec;
mod logs;
mod ls;
mod plan;
mod policy;
mod prune;
mod review;
mod run;
mod stop;
mod supervise;

use crate::arguments::Command;
use crate::failure::Failure;
use crate::{print, render};

/// Something that the library starts this program for.
type Task = fn() -> Result<(), Failure>;

/// What the library starts this program for, by one argument and a socket as standard input. None is a command of the command
/// line: people have no use for them.
const FOR_THE_LIBRARY: [(&str, Task); 3] =
    [("supervise", supervise::execute), ("keep", supervise::keep), ("attend", supervise::attend)];

/// Carries out what the library has started this program for: its exit status. `None` where that is not so.
pub(crate) fn for_the_library() -> Option<u8> {
    let mut arguments = std::env::args_os().skip(1);
    let (only, None) = (arguments.next()?, arguments.next()) else { return None };
    let (_, execute) = FOR_THE_LIBRARY.iter().find(|(name, _)| only == *name)?;
    Some(execute().map_or_else(|failure| fail(&failure, false), |()| 0))
}

/// Carries a command out. Its exit status.
pub(crate) fn execute(command: Command) -> u8 {
    let json = tells_json(&command);
    let done = match command {
        Command::Run(arguments) if arguments.review => review::execute(*arguments),
        Command::Run(arguments) => run::execute(*arguments),
        Command::Create(arguments) => create::execute(*arguments),
        Command::Exec(arguments) => exec::execute(*arguments),
        Command::Logs(arguments) => logs::execute(&arguments),
        Command::Ls(arguments) => ls::execute(&arguments),
        Command::Stop(arguments) => stop::execute(&arguments),
        Command::Rm(arguments) => stop::remove(&arguments),
        Command::Diff(arguments) => diff::execute(&arguments),
        Command::Apply(arguments) => apply::execute(&arguments),
        Command::Discard(arguments) => apply::discard(&arguments),
        Command::Checkpoint(arguments) => checkpoint::execute(&arguments),
        Command::Log(arguments) => checkpoint::log(&arguments),
        Command::Restore(arguments) => checkpoint::restore(&arguments),
        Command::Fork(arguments) => checkpoint::fork(&arguments),
        Command::Events(arguments) => events::execute(&arguments),
        Command::Audit(arguments) => audit::execute(&arguments.command),
        Command::Prune(arguments) => prune::execute(&arguments),
        Command::Plan(arguments) => plan::execute(*arguments),
        Command::Policy(arguments) => policy::execute(arguments.command),
        Command::Doctor(arguments) => doctor::execute(&arguments),
    };
    done.unwrap_or_else(|failure| fail(&failure, json))
}

/// Whether failures are told as JSON: where the results of commands about sandboxes are, and where `run` is asked to.
fn tells_json(command: &Command) -> bool {
    match command {
        Command::Run(arguments) => arguments.json,
        Command::Exec(arguments) => arguments.json,
        Command::Ls(arguments) => arguments.json,
        Command::Diff(arguments) => arguments.json,
        Command::Apply(arguments) => arguments.json,
        Command::Log(arguments) => arguments.json,
        Command::Logs(arguments) => arguments.json,
        Command::Prune(arguments) => arguments.json,
        Command::Audit(arguments) => arguments.command.tells_json(),
        _ => false,
    }
}

fn fail(failure: &Failure, json: bool) -> u8 {
    print::message(&if json { render::failure_json(failure) } else { render::failure(failure) });
    failure.status()
}
