//! `stockade prune`.

use stockade::sandbox::Prune;

use crate::arguments::PruneArguments;
use crate::failure::Failure;
use crate::{print, render, sandboxes};

pub(super) fn execute(arguments: &PruneArguments) -> Result<u8, Failure> {
    let all = sandboxes::all()?;
    sandboxes::tidy(&all);
    let pruned = all.prune(&Prune {
        older_than: arguments.older_than.map(|age| age.duration()),
        larger_than: arguments.larger_than.map(|size| size.0),
        only_tell: arguments.dry_run,
    })?;
    let text = if arguments.json {
        print::json("the list", &render::pruned_json(&pruned, !arguments.dry_run))?
    } else {
        render::pruned(&pruned, arguments.dry_run)
    };
    print::result("the list", &text)?;
    Ok(0)
}
