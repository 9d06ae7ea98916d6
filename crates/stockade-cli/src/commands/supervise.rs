//! `stockade supervise`: for the library, which starts it with a socket as standard input.

use std::os::fd::AsFd;

use crate::failure::Failure;

pub(super) fn execute() -> Result<u8, Failure> {
    let socket = std::io::stdin().as_fd().try_clone_to_owned().map_err(Failure::Streams)?;
    stockade::serve(socket)?;
    Ok(0)
}
