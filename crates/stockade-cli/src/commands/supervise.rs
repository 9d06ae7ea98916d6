//! `stockade supervise`: for the library, which starts it with a socket as standard input.

use std::os::fd::{AsFd, OwnedFd};

use crate::failure::Failure;

pub(super) fn execute() -> Result<(), Failure> {
    let socket = std::io::stdin().as_fd().try_clone_to_owned().map_err(Failure::Streams)?;
    Ok(stockade::serve(socket)?)
}

/// `stockade keep`: the supervisor of a sandbox, with the caller's socket as standard input.
pub(super) fn keep() -> Result<(), Failure> {
    Ok(stockade::sandbox::keep(take_socket()?)?)
}

/// `stockade attend`: the attendant of a detached command, with the caller's socket as standard input.
pub(super) fn attend() -> Result<(), Failure> {
    Ok(stockade::sandbox::attend(take_socket()?)?)
}

/// Standard input, in whose place nothing stays: the caller waits for the socket's end.
fn take_socket() -> Result<OwnedFd, Failure> {
    let socket = std::io::stdin().as_fd().try_clone_to_owned().map_err(Failure::Streams)?;
    let nothing = std::fs::File::open("/dev/null").map_err(Failure::Streams)?;
    rustix::stdio::dup2_stdin(nothing).map_err(|error| Failure::Streams(error.into()))?;
    Ok(socket)
}
