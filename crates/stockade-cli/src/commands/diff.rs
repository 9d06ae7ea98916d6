//! `stockade diff`.

use std::io::IsTerminal;

use stockade::sandbox::Changes;
use stockade::sandbox::layers::{Change, FileStat};

use crate::arguments::DiffArguments;
use crate::failure::Failure;
use crate::render::Shown;
use crate::sandboxes::{self, Places};
use crate::{print, render};

const WHAT: &str = "the changes";

pub(super) fn execute(arguments: &DiffArguments) -> Result<u8, Failure> {
    let sandbox = sandboxes::open(&arguments.name)?;
    let wanted = Places::of(&sandbox).relative(&arguments.paths)?;
    let mut changes = sandbox.changes(arguments.at.as_deref())?;
    let is_at = |change: &Change, wanted: &std::path::Path| {
        wanted == "." || change.path.starts_with(wanted) || change.old_path().starts_with(wanted)
    };
    for (path, typed) in wanted.iter().zip(&arguments.paths) {
        if !changes.list().iter().any(|change| is_at(change, path)) {
            print::message(&render::nothing_at(typed));
        }
    }
    changes.retain(|change| wanted.is_empty() || wanted.iter().any(|wanted| is_at(change, wanted)));
    match (arguments.names, arguments.json) {
        (true, false) => print::result(WHAT, &render::names(changes.list()))?,
        (true, true) => print::result(WHAT, &print::json(WHAT, &render::names_json(sandbox.name(), changes.list()))?)?,
        (false, true) => {
            let document = render::stats_json(sandbox.name(), &stats(&changes)?);
            print::result(WHAT, &print::json(WHAT, &document)?)?;
        }
        (false, false) if arguments.stat => print::result(WHAT, &render::stats(&stats(&changes)?))?,
        (false, false) => return unified(&changes),
    }
    Ok(0)
}

fn stats(changes: &Changes) -> Result<Vec<FileStat>, Failure> {
    let stat = |change| changes.stat(change).map_err(|error| Failure::Library(error.into()));
    changes.list().iter().map(stat).collect()
}

/// Prints one change after the other, so that the first is there before the last was read. What a program removes meanwhile
/// is told, and the rest is shown.
fn unified(changes: &Changes) -> Result<u8, Failure> {
    let shown = Shown::at(std::io::stdout().is_terminal());
    let mut failed = false;
    for change in changes.list() {
        match changes.unified(change) {
            Ok(text) => {
                if !print::part(WHAT, &shown.unified(text))? {
                    return Ok(0);
                }
            }
            Err(error) => {
                failed = true;
                print::message(&render::failure(&Failure::Library(error.into())));
            }
        }
    }
    if failed { Err(Failure::Incomplete) } else { Ok(0) }
}
