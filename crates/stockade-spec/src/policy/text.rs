//! Reads one policy text: TOML in, a checked [`Layer`] and everything that is wrong with it out.
//!
//! The document is walked by hand instead of being deserialised, since a person who wrote three mistakes wants to hear of
//! three mistakes, each at its place.

mod problems;
mod sections;
mod values;

use toml::de::DeTable;

use super::diagnostic::{Diagnostic, Fault, Source};
use super::layer::Layer;

pub(super) use problems::Problems;
#[cfg(test)]
pub(super) use sections::SECTIONS;

/// Most bytes of one policy text. Whatever a person writes fits.
pub const MAX_TEXT: usize = 256 << 10;

/// Most entries of one list.
pub const MAX_ENTRIES: usize = 1024;

/// Reads a text. The layer holds what could be read; it may be used only where nothing is wrong.
pub(super) fn parse(source: Source<'_>) -> (Layer, Vec<Diagnostic>) {
    let mut problems = Problems::new(source);
    let mut layer = Layer::default();
    if source.text.len() > MAX_TEXT {
        let message = format!("a policy of {} bytes is too large", source.text.len());
        problems.report(0..0, Fault::new(message, format!("at most {MAX_TEXT} bytes are read")));
        return (layer, problems.finish());
    }
    let (document, errors) = DeTable::parse_recoverable(source.text);
    let mut last = None;
    for error in &errors {
        // Every bracket that is not closed is told at the same place, the end of the text.
        if last.replace((error.span(), error.message())) == Some((error.span(), error.message())) {
            continue;
        }
        let fault = Fault::new(
            error.message().to_owned(),
            "a policy is TOML: text in quotes, lists in brackets, `key = value` on one line",
        );
        problems.report(error.span().unwrap_or(0..0), fault);
    }
    if errors.is_empty() {
        sections::document(document.get_ref(), &mut layer, &mut problems);
    }
    (layer, problems.finish())
}

#[cfg(test)]
#[path = "text/tests.rs"]
mod tests;
