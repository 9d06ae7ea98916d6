//! `stockade stop` and `stockade rm`.

use crate::arguments::{RmArguments, StopArguments};
use crate::failure::Failure;
use crate::{print, render, sandboxes};

pub(super) fn execute(arguments: &StopArguments) -> Result<u8, Failure> {
    sandboxes::each(&arguments.names, |all, name| {
        let stopped = all.stop(name)?;
        print::message(&render::stopped(name, stopped.as_ref()));
        Ok(())
    })
}

pub(super) fn remove(arguments: &RmArguments) -> Result<u8, Failure> {
    sandboxes::each(&arguments.names, |all, name| Ok(all.remove(name, arguments.force)?))
}
