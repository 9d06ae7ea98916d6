//! Writes to standard output and standard error, or to a file that was named, without panicking when they are gone.

use std::io::{self, Write};

use serde::Serialize;

use crate::failure::Failure;
use crate::render::escaped_json;

/// Writes a result to standard output. A reader that went away has what it wanted, so that is no failure.
///
/// # Errors
/// When it cannot be written, for example because the disk is full.
pub(crate) fn result(what: &str, text: &str) -> Result<(), Failure> {
    part(what, text.as_bytes()).map(drop)
}

/// Writes a part of a result to standard output. Whether anybody wants more of it.
///
/// # Errors
/// As [`result`].
pub(crate) fn part(what: &str, bytes: &[u8]) -> Result<bool, Failure> {
    let mut output = io::stdout().lock();
    match output.write_all(bytes).and_then(|()| output.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(source) => Err(Failure::Write { what: what.to_owned(), source }),
        Ok(()) => Ok(true),
    }
}

/// Writes a message to standard error, in colour only where that is a terminal. Where it is gone, the exit status is all
/// that is left to tell.
pub(crate) fn message(text: &str) {
    if text.is_empty() {
        return;
    }
    let mut output = anstream::stderr().lock();
    let _gone = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}

/// Passes on to standard error what a command wrote there. Where it is gone, nobody misses it.
pub(crate) fn passed_on(bytes: &[u8]) {
    let mut output = io::stderr().lock();
    let _gone = output.write_all(bytes).and_then(|()| output.flush());
}

/// A result as JSON, readable by people too, with a line break at the end.
///
/// # Errors
/// When it holds something that JSON cannot.
pub(crate) fn json(what: &str, value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value);
    text.map(|text| escaped_json(&text) + "\n")
        .map_err(|error| Failure::Write { what: what.to_owned(), source: error.into() })
}
