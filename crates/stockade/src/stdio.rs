//! The standard streams that a command is connected to.

use std::io;
use std::os::fd::AsFd;

use stockade_linux::relay::HostStdio;

/// Duplicates of this process's own standard streams.
///
/// # Errors
/// When one is closed, or no descriptor is free.
pub fn inherited() -> io::Result<HostStdio> {
    let duplicate = |stream: &dyn AsFd| stream.as_fd().try_clone_to_owned();
    Ok(HostStdio {
        stdin: duplicate(&io::stdin())?,
        stdout: duplicate(&io::stdout())?,
        stderr: duplicate(&io::stderr())?,
    })
}

/// Once more the same streams.
pub(crate) fn duplicate(stdio: &HostStdio) -> io::Result<HostStdio> {
    let HostStdio { stdin, stdout, stderr } = stdio;
    Ok(HostStdio { stdin: stdin.try_clone()?, stdout: stdout.try_clone()?, stderr: stderr.try_clone()? })
}

/// Streams that lead nowhere.
pub(crate) fn nowhere() -> io::Result<HostStdio> {
    let open = || std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").map(Into::into);
    Ok(HostStdio { stdin: open()?, stdout: open()?, stderr: open()? })
}
