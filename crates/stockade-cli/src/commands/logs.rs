//! `stockade logs`.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use stockade::sandbox::Log;

use crate::arguments::LogsArguments;
use crate::failure::Failure;
use crate::{print, render, sandboxes};

/// Bytes that are passed on at once.
const PIECE: usize = 64 << 10;

pub(super) fn execute(arguments: &LogsArguments) -> Result<u8, Failure> {
    let sandbox = sandboxes::open(&arguments.name)?;
    let mut logs = sandbox.logs()?;
    if let Some(number) = arguments.number {
        logs.retain(|log| log.number == number);
        if logs.is_empty() {
            return Err(Failure::NoLog { sandbox: arguments.name.clone(), number });
        }
    }
    if arguments.json {
        print::result("the list", &print::json("the list", &logs)?)?;
    } else if let (Some(_), [log]) = (arguments.number, logs.as_slice()) {
        show(log)?;
    } else {
        let lines: String = logs.iter().map(line).collect();
        print::result("the list", &lines)?;
    }
    Ok(0)
}

fn line(log: &Log) -> String {
    let state = match &log.outcome {
        None => "runs".to_owned(),
        Some(outcome) => format!("ended with {}", outcome.exit_status()),
    };
    format!("{}  {state}  {}\n", log.number, render::escaped(&log.command.join(" ")))
}

/// What it printed, to standard output and standard error.
fn show(log: &Log) -> Result<(), Failure> {
    copy(&log.stdout, &mut |part| print::part("what it printed", part))?;
    copy(&log.stderr, &mut |part| {
        print::passed_on(part);
        Ok(true)
    })
}

/// Passes a file on, for as long as somebody reads.
fn copy(path: &Path, write: &mut dyn FnMut(&[u8]) -> Result<bool, Failure>) -> Result<(), Failure> {
    let failed = |source| Failure::ReadLog { path: path.to_owned(), source };
    let mut file = match File::open(path) {
        Ok(file) => file,
        // It has not begun.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let mut buffer = vec![0; PIECE];
    loop {
        let count = file.read(&mut buffer).map_err(failed)?;
        if count == 0 || !write(buffer.get(..count).unwrap_or_default())? {
            return Ok(());
        }
    }
}
