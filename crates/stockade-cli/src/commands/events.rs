//! `stockade events`.

use std::time::Duration;

use stockade::sandbox::record::Reader;

use crate::arguments::EventsArguments;
use crate::failure::Failure;
use crate::render::escaped_json;
use crate::{print, sandboxes};

/// How long to wait before looking whether the sandbox is still there.
const PAUSE: Duration = Duration::from_millis(500);

const WHAT: &str = "the events";

/// Bytes that are written at once, about.
const BATCH: usize = 64 << 10;

pub(super) fn execute(arguments: &EventsArguments) -> Result<u8, Failure> {
    let sandbox = sandboxes::open(&arguments.name)?;
    let mut reader = sandbox.events()?;
    loop {
        while let Some(lines) = some_lines(&mut reader)? {
            if !print::part(WHAT, &lines)? {
                return Ok(0);
            }
        }
        if !arguments.follow {
            return Ok(0);
        }
        let grown = reader.wait(PAUSE).map_err(stockade::Error::from)?;
        if !grown && !sandbox.path().exists() {
            return Ok(0);
        }
    }
}

/// The next lines, as far as there are any by now.
fn some_lines(reader: &mut Reader) -> Result<Option<Vec<u8>>, Failure> {
    let mut lines = Vec::new();
    while lines.len() < BATCH
        && let Some(entry) = reader.next()
    {
        let entry = entry.map_err(stockade::Error::from)?;
        let written = serde_json::to_string(&entry);
        let line = written.map_err(|error| Failure::Write { what: WHAT.to_owned(), source: error.into() })?;
        lines.extend(escaped_json(&line).into_bytes());
        lines.push(b'\n');
    }
    Ok((!lines.is_empty()).then_some(lines))
}
