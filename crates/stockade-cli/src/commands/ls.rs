//! `stockade ls`.

use crate::arguments::LsArguments;
use crate::failure::Failure;
use crate::{print, render, sandboxes};

pub(super) fn execute(arguments: &LsArguments) -> Result<u8, Failure> {
    let all = sandboxes::all()?;
    sandboxes::tidy(&all);
    let rows: Vec<_> = all
        .list()?
        .into_iter()
        .map(|(name, summary)| {
            let look = all.look(&name);
            (name, summary.map_err(Failure::from), look.map_err(Failure::from))
        })
        .collect();
    let text = if arguments.json {
        print::json("the list", &render::sandboxes_json(&rows))?
    } else {
        render::sandboxes(&rows)
    };
    print::result("the list", &text)?;
    Ok(0)
}
