//! Real work, done natively and in a sandbox with equal results.
//!
//! Each job is a directory of `jobs`: `fetch.sh` gets what it needs, with a network, once; `run.sh` does the work, without one,
//! first natively, then boxed, and then in a sandbox that lasts. Their exit statuses and what they print on standard output have
//! to be equal; what the boxed run wrote to the caches of the home has to be gone; and the sandbox that lasts has to leave the
//! home and the workspace as they were until its changes are applied. Every job is run as an ordinary user; where root runs the
//! tests, as root as well. A job whose tools are not installed is listed as ignored, with the reason.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a program that lists and runs tests tells of them")]

mod arguments;
mod demo;
mod job;
mod place;
mod snapshot;
mod trial;
mod user;

use std::process::ExitCode;

use arguments::Arguments;
use trial::Trial;

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(unknown) => {
            eprintln!("real: unknown argument `{unknown}`");
            return ExitCode::FAILURE;
        }
    };
    let users = user::all();
    let jobs = job::JOBS.iter().flat_map(|job| users.iter().map(move |user| Trial::job(job, user)));
    let demos = users.iter().flat_map(|user| demo::Mode::ALL.map(|mode| Trial::demo(mode, user)));
    let trials: Vec<Trial> = jobs.chain(demos).collect();
    trial::run(&trials, &arguments)
}
