//! `stockade checkpoint`, `log`, `restore` and `fork`.

use crate::arguments::{CheckpointArguments, ForkArguments, LogArguments, RestoreArguments};
use crate::failure::Failure;
use crate::{print, render, sandboxes};

pub(super) fn execute(arguments: &CheckpointArguments) -> Result<u8, Failure> {
    let label = arguments.label.as_ref().map(|label| label.parse()).transpose().map_err(Failure::Label)?;
    let taken = sandboxes::open(&arguments.name)?.checkpoint(label)?;
    print::result("the name", &format!("{}\n", taken.name))?;
    Ok(0)
}

pub(super) fn log(arguments: &LogArguments) -> Result<u8, Failure> {
    let branches = sandboxes::open(&arguments.name)?.log();
    let text = if arguments.json {
        print::json("the checkpoints", &render::log_json(&arguments.name, &branches))?
    } else {
        render::log(&branches)
    };
    print::result("the checkpoints", &text)?;
    Ok(0)
}

pub(super) fn restore(arguments: &RestoreArguments) -> Result<u8, Failure> {
    let restored = sandboxes::open(&arguments.name)?.restore(&arguments.checkpoint)?;
    print::message(&render::stopped(&arguments.name, restored.stopped.as_ref()));
    print::message(&render::kept(&arguments.name, restored.kept.as_ref()));
    Ok(0)
}

pub(super) fn fork(arguments: &ForkArguments) -> Result<u8, Failure> {
    let all = sandboxes::all()?;
    let sandbox = all.fork(&arguments.name, arguments.at.as_deref(), arguments.new.as_deref())?;
    print::result("the name", &format!("{}\n", sandbox.name()))?;
    Ok(0)
}
