//! A new pseudo-terminal.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};

use super::error::RelayError;

/// Both ends of a pseudo-terminal.
#[derive(Debug)]
pub struct TerminalPair {
    /// The relay's end, for [`super::Relay::attach_terminal`].
    pub master: OwnedFd,
    /// The command's end: its standard streams, and its controlling terminal.
    pub slave: OwnedFd,
}

/// Opens a pseudo-terminal with the multiplexer at `ptmx`.
///
/// In tier `namespaces` this is called inside, with the sandbox's own `/dev/ptmx`, and the master is passed out: only then
/// has the slave a name inside (`tty`, `ttyname(3)`, tmux and gpg need it), and the host's terminals stay out of sight. In
/// tier `landlock`, which sees the host's `/dev/pts`, it is called outside.
///
/// The slave comes from the master (`TIOCGPTPEER`, `ioctl_tty(2)`), not by its name, so whatever is mounted at
/// `/dev/pts` cannot put another file in its place.
///
/// # Errors
///
/// [`RelayError::Terminal`]: there is no usable `ptmx`, or no terminal is left (`/proc/sys/kernel/pty/max`).
pub fn open_terminal(ptmx: &Path) -> Result<TerminalPair, RelayError> {
    let failed = |operation| move |error| RelayError::Terminal { operation, source: io::Error::from(error) };
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master = open(ptmx, flags, Mode::empty()).map_err(failed("open a new pseudo-terminal"))?;
    unlockpt(&master).map_err(failed("unlock the new pseudo-terminal"))?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = ioctl_tiocgptpeer(&master, flags).map_err(failed("open the other end of the new pseudo-terminal"))?;
    Ok(TerminalPair { master, slave })
}
