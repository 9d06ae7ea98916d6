//! `stockade apply` and `stockade discard`.

use std::io::IsTerminal;

use stockade::sandbox::applying::{Options, Progress, Selection};

use crate::arguments::{ApplyArguments, DiscardArguments};
use crate::failure::Failure;
use crate::sandboxes::{self, Places};
use crate::{exit_codes, print, render};

pub(super) fn execute(arguments: &ApplyArguments) -> Result<u8, Failure> {
    let mut sandbox = sandboxes::open(&arguments.name)?;
    let places = Places::of(&sandbox);
    let selection = match places.relative(&arguments.paths)? {
        paths if paths.is_empty() => Selection::Everything,
        paths => Selection::Paths(paths),
    };
    let options =
        Options { take: places.relative(&arguments.take)?, protected: places.relative(&arguments.protected)? };
    let shows_progress = std::io::stderr().is_terminal();
    let mut told = false;
    let mut tell = |progress: Progress| {
        if shows_progress {
            told = true;
            print::message(&render::progress(&progress));
        }
    };
    let application = sandbox.apply(&selection, &options, &mut tell);
    if told {
        print::message(&render::no_progress());
    }
    let application = application?;
    let workspace = sandbox.workspace().to_owned();
    let is_whole = render::is_whole(&application.applied);
    if arguments.json {
        let document = render::application_json(sandbox.name(), &application, &workspace);
        print::result("the result", &print::json("the result", &document)?)?;
    } else {
        render::not_applied(&application, &workspace, print::message);
    }
    sandbox.reviewed()?;
    Ok(if is_whole { 0 } else { exit_codes::NOT_ALL_APPLIED })
}

pub(super) fn discard(arguments: &DiscardArguments) -> Result<u8, Failure> {
    let mut sandbox = sandboxes::open(&arguments.name)?;
    let restored = sandbox.discard()?;
    print::message(&render::stopped(sandbox.name(), restored.stopped.as_ref()));
    // One that was made for a review goes with all that it kept.
    if let Some(sandbox) = sandbox.reviewed()? {
        print::message(&render::kept(sandbox.name(), restored.kept.as_ref()));
    }
    Ok(0)
}
