//! The `stockade` command: arguments, policy files, rendering and exit statuses around the [`stockade`] library.
//!
//! The library is silent and reads no environment; everything that does either lives here. [`main`] is the whole
//! program; [`command`] is its command line as data, from which manual pages and completions are generated.

#![forbid(unsafe_code)]

mod arguments;
mod ask;
mod caller;
mod commands;
mod doctor;
mod events;
pub mod exit_codes;
mod failure;
mod job;
mod policy_files;
mod print;
mod render;
mod resolve;
mod result_file;
mod sandboxes;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

/// The command line as data.
#[must_use]
pub fn command() -> clap::Command {
    arguments::Arguments::command()
}

/// Runs the program: the process's arguments in, its exit status out.
///
/// Standard streams that are closed need no care here: Rust's runtime opens `/dev/null` in their place before `main`
/// (`library/std/src/sys/pal/unix/mod.rs`), so that no file that is opened later can be mistaken for one of them.
#[must_use]
pub fn main() -> ExitCode {
    if let Some(status) = commands::for_the_library() {
        return status.into();
    }
    match arguments::Arguments::try_parse() {
        Ok(arguments) => commands::execute(arguments.command).into(),
        Err(error) => usage(&error).into(),
    }
}

/// Prints help, the version, or what is wrong with the arguments.
fn usage(error: &clap::Error) -> u8 {
    // Nobody is left to tell when the stream that carries the message is gone.
    let _gone = error.print();
    if error.use_stderr() { exit_codes::FAILED } else { 0 }
}
