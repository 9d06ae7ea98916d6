//! The standard streams at both ends.

use std::os::fd::OwnedFd;

use rustix::fs::{FileType, OFlags, SeekFrom, Stat, fcntl_getfl, fstat, major, minor, seek};

use super::error::{RelayError, Stream};

/// The caller's standard streams. The descriptors are duplicates that the relay may close; what lies behind them is
/// shared with the caller.
#[derive(Debug)]
pub struct HostStdio {
    /// Standard input.
    pub stdin: OwnedFd,
    /// Standard output.
    pub stdout: OwnedFd,
    /// Standard error.
    pub stderr: OwnedFd,
}

/// What the command gets as its standard streams.
#[derive(Debug)]
pub struct InnerStdio {
    /// Standard input.
    pub stdin: InnerStream,
    /// Standard output.
    pub stdout: InnerStream,
    /// Standard error.
    pub stderr: InnerStream,
}

impl InnerStdio {
    /// Whether a pseudo-terminal is needed: one has to be opened ([`super::open_terminal`]) and attached
    /// ([`super::Relay::attach_terminal`]).
    #[must_use]
    pub fn terminal(&self) -> bool {
        [&self.stdin, &self.stdout, &self.stderr].iter().any(|stream| matches!(stream, InnerStream::Terminal))
    }
}

/// What the command gets as one standard stream.
#[derive(Debug)]
pub enum InnerStream {
    /// This descriptor: an end of a pipe that leads to nothing but the relay.
    Descriptor(OwnedFd),
    /// The sandbox's own `/dev/null`, to be opened inside: programs tell it from a pipe (`rg` searches the directory if
    /// its input is no pipe), and through a descriptor from outside root could change the host's device.
    Null,
    /// The pseudo-terminal.
    Terminal,
}

/// Describes a descriptor of the caller.
pub(super) fn examine(fd: &OwnedFd, stream: Stream) -> Result<Stat, RelayError> {
    fstat(fd).map_err(|error| RelayError::Examine { stream, source: error.into() })
}

/// Whether it is `/dev/null`: the device 1:3 (Documentation/admin-guide/devices.txt of the kernel).
pub(super) fn is_null(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && (major(stat.st_rdev), minor(stat.st_rdev)) == (1, 3)
}

/// Whether standard output and standard error are one open file, as after `2>&1`, so that the order of what is written
/// to them matters. For files, the same position tells it; two separate descriptions of one file that are at the same
/// position would overwrite each other, and no caller wants that.
pub(super) fn joined(host: &HostStdio, stdout: &Stat, stderr: &Stat) -> bool {
    if (stdout.st_dev, stdout.st_ino) != (stderr.st_dev, stderr.st_ino) {
        return false;
    }
    if FileType::from_raw_mode(stdout.st_mode) != FileType::RegularFile {
        return true;
    }
    let appends = |fd| fcntl_getfl(fd).is_ok_and(|flags| flags.contains(OFlags::APPEND));
    let position = |fd| seek(fd, SeekFrom::Current(0)).ok();
    appends(&host.stdout) == appends(&host.stderr) && position(&host.stdout) == position(&host.stderr)
}
