//! Runs a command in a network of its own: `internet BASE PROGRAM [ARGUMENT]...`.
//!
//! What is where is said in `e2e::internet`. `BASE` is the directory of a scene; what came to the hosts outside is written
//! down there. Everything ends with the command. Exit status: the command's, or 2 where the network could not be made.

#![allow(clippy::print_stderr, reason = "a program talks to its caller")]

mod hosts;
mod names;
mod namespace;
mod other;
mod postgres;
mod record;
mod web;

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::mpsc;
use std::thread;

use record::Record;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [base, program, rest @ ..] = &arguments[..] else {
        eprintln!("usage: internet BASE PROGRAM [ARGUMENT]...");
        return ExitCode::from(2);
    };
    let made = make(Path::new(base)).and_then(|()| Command::new(program).args(rest).status());
    match made {
        Ok(status) => {
            let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
            let memory = e2e::sys::peak_memory_of_children();
            drop(std::fs::write(Path::new(base).join("outside/peak-memory"), memory.to_string()));
            ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
        }
        Err(error) => {
            eprintln!("internet: not tried: {error}");
            ExitCode::from(2)
        }
    }
}

/// Makes both sides of the network. When it returns, every host listens.
fn make(base: &Path) -> io::Result<()> {
    let record = Record::new(base);
    namespace::enter()?;
    namespace::replace_files(base)?;
    let (to_main, from_outside) = mpsc::channel();
    let (to_outside, from_main) = mpsc::channel::<()>();
    let own = record.clone();
    let outside = thread::spawn(move || {
        let told = outside(&own, &to_main, &from_main);
        if let Err(error) = told {
            drop(to_main.send(Err(error)));
        }
        // Programs that this thread starts are to end with it, so it stays until the process ends.
        loop {
            thread::park();
        }
    });
    let next = || from_outside.recv().map_err(io::Error::other)?;
    namespace::join(&next()?)?;
    to_outside.send(()).map_err(io::Error::other)?;
    next()?;
    drop(outside);
    hosts::own(&record)?;
    namespace::give_up_ambient()
}

/// The life of the thread that is everything outside: it says which thread it is, waits for its end of the cable, and serves.
fn outside(record: &Record, tell: &mpsc::Sender<io::Result<String>>, proceed: &mpsc::Receiver<()>) -> io::Result<()> {
    namespace::leave()?;
    let id = std::fs::read_link("/proc/thread-self")?;
    let id = id.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    tell.send(Ok(id)).map_err(io::Error::other)?;
    proceed.recv().map_err(io::Error::other)?;
    namespace::furnish()?;
    namespace::give_up_ambient()?;
    hosts::outside(record)?;
    tell.send(Ok(String::new())).map_err(io::Error::other)
}
