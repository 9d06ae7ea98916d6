//! What the stage and init tell the supervisor, and what it tells them: small messages over a `SOCK_SEQPACKET` pair.
//!
//! The supervisor decodes what comes from a process that stands next to hostile code. Decoding is total, every length is
//! bounded by the packet, and an unknown or malformed packet is an error that ends the run.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The largest packet: a path of `PATH_MAX` and its tag.
pub const MAX_PACKET: usize = 4096 + 1;

/// The longest detail of a failed step, in bytes.
pub const MAX_DETAIL: usize = 1024;

/// The most addresses at which a name server listens: one in each of the gate's ranges, and loopback's.
pub const MAX_NAME_SERVERS: u8 = 4;

/// The most sockets for notices of undelivered datagrams: one for each family.
pub const MAX_NOTICES: u8 = 2;

/// From the stage or init.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromStage {
    /// A step failed; the stage has given up.
    StepFailed {
        /// Index into the plan's steps.
        step: u32,
        /// The system's error number.
        errno: i32,
        /// Where in the step it failed, in words; may be empty, and is cut at [`MAX_DETAIL`] bytes.
        detail: String,
    },
    /// A degradable step failed; the stage goes on.
    StepDegraded {
        /// Index into the plan's steps.
        step: u32,
        /// The system's error number.
        errno: i32,
        /// As in [`FromStage::StepFailed`].
        detail: String,
    },
    /// Every step was carried out. Descriptors may accompany it.
    Ready {
        /// The first descriptor is the listener of the system-call filter.
        listener: bool,
        /// The next descriptor is the sandbox's `/proc`.
        proc: bool,
        /// The next descriptor is the root of the private store.
        store: bool,
        /// The next descriptor is the controlling side of the command's pseudo-terminal.
        terminal: bool,
        /// The next descriptors are the name server's sockets: for each address a UDP socket and a TCP socket. At most
        /// [`MAX_NAME_SERVERS`] addresses.
        name_servers: u8,
        /// The last descriptors are sockets for notices of undelivered datagrams, at most [`MAX_NOTICES`].
        notices: u8,
    },
    /// The command could not be executed.
    ExecFailed {
        /// The system's error number.
        errno: i32,
    },
    /// The command was stopped by a signal.
    Stopped {
        /// The signal.
        signal: i32,
    },
    /// A file that was written into a private directory.
    Discarded {
        /// Its path inside.
        path: PathBuf,
    },
    /// The command has ended, and everything that it started.
    Ended {
        /// How.
        status: Status,
        /// User time in microseconds.
        user_us: u64,
        /// System time in microseconds.
        system_us: u64,
        /// Largest resident size of one process, in bytes.
        peak_resident: u64,
    },
}

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// With an exit status.
    Exited(u8),
    /// By a signal.
    Signaled(i32),
}

impl Status {
    /// As two fields of a packet.
    pub(super) fn code(self) -> (u8, i32) {
        match self {
            Self::Exited(status) => (0, i32::from(status)),
            Self::Signaled(signal) => (1, signal),
        }
    }

    pub(super) fn of(kind: u8, value: i32) -> Result<Self, MessageError> {
        match (kind, value) {
            (0, value) => u8::try_from(value).map(Self::Exited).map_err(|_| MessageError::Impossible),
            (1, signal @ 1..=64) => Ok(Self::Signaled(signal)),
            _ => Err(MessageError::Impossible),
        }
    }
}

/// To init.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToInit {
    /// Send a signal to the command's process group.
    Signal(i32),
    /// End every process now.
    End,
    /// Go on: the bounds that need the first process are set up.
    Proceed,
}

/// A packet that is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MessageError {
    /// No message has that tag.
    #[error("a message from inside has the unknown tag {0}")]
    UnknownTag(u8),
    /// The packet is shorter or longer than its message.
    #[error("a message from inside has a wrong length ({0} bytes)")]
    WrongLength(usize),
    /// A field has a value that it cannot have.
    #[error("a message from inside has an impossible value")]
    Impossible,
}

const STEP_FAILED: u8 = 1;
const STEP_DEGRADED: u8 = 2;
const READY: u8 = 3;
const EXEC_FAILED: u8 = 4;
const STOPPED: u8 = 5;
const DISCARDED: u8 = 6;
const ENDED: u8 = 7;
const SIGNAL: u8 = 1;
const END: u8 = 2;
const PROCEED: u8 = 3;

/// Takes fixed-size fields off a packet.
pub(super) struct Fields<'p> {
    rest: &'p [u8],
    length: usize,
}

impl<'p> Fields<'p> {
    pub(super) const fn of(packet: &'p [u8]) -> Self {
        Self { rest: packet, length: packet.len() }
    }

    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N], MessageError> {
        let (field, rest) = self.rest.split_first_chunk().ok_or(MessageError::WrongLength(self.length))?;
        self.rest = rest;
        Ok(*field)
    }

    pub(super) fn byte(&mut self) -> Result<u8, MessageError> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn flag(&mut self) -> Result<bool, MessageError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(MessageError::Impossible),
        }
    }

    fn count(&mut self, most: u8) -> Result<u8, MessageError> {
        let count = self.byte()?;
        if count <= most { Ok(count) } else { Err(MessageError::Impossible) }
    }

    pub(super) fn number(&mut self) -> Result<i32, MessageError> {
        self.take().map(i32::from_le_bytes)
    }

    pub(super) fn signal(&mut self) -> Result<i32, MessageError> {
        let signal = self.number()?;
        if (1..=64).contains(&signal) { Ok(signal) } else { Err(MessageError::Impossible) }
    }

    fn step(&mut self) -> Result<(u32, i32, String), MessageError> {
        let (step, errno) = (u32::from_le_bytes(self.take()?), self.number()?);
        let detail = std::mem::take(&mut self.rest);
        if detail.len() > MAX_DETAIL {
            return Err(MessageError::WrongLength(self.length));
        }
        Ok((step, errno, String::from_utf8_lossy(detail).into_owned()))
    }

    pub(super) const fn end<T>(&self, value: T) -> Result<T, MessageError>
    where
        T: Copy,
    {
        if self.rest.is_empty() { Ok(value) } else { Err(MessageError::WrongLength(self.length)) }
    }
}

impl FromStage {
    /// The packet.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut packet = Vec::with_capacity(32);
        match self {
            Self::StepFailed { step, errno, detail } => put_step(&mut packet, STEP_FAILED, *step, *errno, detail),
            Self::StepDegraded { step, errno, detail } => put_step(&mut packet, STEP_DEGRADED, *step, *errno, detail),
            Self::Ready { listener, proc, store, terminal, name_servers, notices } => {
                packet.push(READY);
                packet.extend([listener, proc, store, terminal].map(|flag| u8::from(*flag)));
                packet.extend([name_servers, notices]);
            }
            Self::ExecFailed { errno } => put_number(&mut packet, EXEC_FAILED, *errno),
            Self::Stopped { signal } => put_number(&mut packet, STOPPED, *signal),
            Self::Discarded { path } => {
                packet.push(DISCARDED);
                let bytes = path.as_os_str().as_bytes();
                packet.extend_from_slice(&bytes[..bytes.len().min(MAX_PACKET - 1)]);
            }
            Self::Ended { status, user_us, system_us, peak_resident } => {
                let (kind, value) = status.code();
                packet.extend([ENDED, kind]);
                packet.extend(value.to_le_bytes());
                for field in [user_us, system_us, peak_resident] {
                    packet.extend(field.to_le_bytes());
                }
            }
        }
        packet
    }

    /// The message in a packet.
    ///
    /// # Errors
    /// When the packet is no message.
    pub fn decode(packet: &[u8]) -> Result<Self, MessageError> {
        let mut fields = Fields::of(packet);
        let message = match fields.byte()? {
            STEP_FAILED => {
                let (step, errno, detail) = fields.step()?;
                Self::StepFailed { step, errno, detail }
            }
            STEP_DEGRADED => {
                let (step, errno, detail) = fields.step()?;
                Self::StepDegraded { step, errno, detail }
            }
            READY => Self::Ready {
                listener: fields.flag()?,
                proc: fields.flag()?,
                store: fields.flag()?,
                terminal: fields.flag()?,
                name_servers: fields.count(MAX_NAME_SERVERS)?,
                notices: fields.count(MAX_NOTICES)?,
            },
            EXEC_FAILED => Self::ExecFailed { errno: fields.number()? },
            STOPPED => Self::Stopped { signal: fields.number()? },
            DISCARDED if packet.len() <= MAX_PACKET => {
                let path = OsString::from_vec(fields.rest.to_vec());
                fields.rest = &[];
                Self::Discarded { path: PathBuf::from(path) }
            }
            ENDED => Self::Ended {
                status: Status::of(fields.byte()?, fields.number()?)?,
                user_us: u64::from_le_bytes(fields.take()?),
                system_us: u64::from_le_bytes(fields.take()?),
                peak_resident: u64::from_le_bytes(fields.take()?),
            },
            tag => return Err(MessageError::UnknownTag(tag)),
        };
        fields.end(())?;
        Ok(message)
    }

    /// A [`FromStage::Discarded`] for a path, cut to what a packet holds.
    #[must_use]
    pub fn discarded(path: &Path) -> Self {
        Self::Discarded { path: path.to_path_buf() }
    }
}

pub(super) fn put_number(packet: &mut Vec<u8>, tag: u8, number: i32) {
    packet.push(tag);
    packet.extend(number.to_le_bytes());
}

fn put_step(packet: &mut Vec<u8>, tag: u8, step: u32, errno: i32, detail: &str) {
    packet.push(tag);
    packet.extend(step.to_le_bytes());
    packet.extend(errno.to_le_bytes());
    packet.extend(&detail.as_bytes()[..detail.floor_char_boundary(MAX_DETAIL)]);
}

impl ToInit {
    /// The packet.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let mut packet = Vec::with_capacity(5);
        match self {
            Self::Signal(signal) => put_number(&mut packet, SIGNAL, signal),
            Self::End => packet.push(END),
            Self::Proceed => packet.push(PROCEED),
        }
        packet
    }

    /// The message in a packet.
    ///
    /// # Errors
    /// When the packet is no message.
    pub fn decode(packet: &[u8]) -> Result<Self, MessageError> {
        let mut fields = Fields::of(packet);
        match fields.byte()? {
            SIGNAL => {
                let signal = fields.signal()?;
                fields.end(Self::Signal(signal))
            }
            END => fields.end(Self::End),
            PROCEED => fields.end(Self::Proceed),
            tag => Err(MessageError::UnknownTag(tag)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_way() {
        let messages = [
            FromStage::StepFailed { step: 7, errno: 13, detail: "at /x".to_owned() },
            FromStage::StepDegraded { step: 0, errno: 1, detail: String::new() },
            FromStage::Ready { listener: true, proc: false, store: true, terminal: false, name_servers: 4, notices: 2 },
            FromStage::ExecFailed { errno: 2 },
            FromStage::Stopped { signal: 20 },
            FromStage::discarded(Path::new("/home/u/.bashrc")),
            FromStage::Ended { status: Status::Exited(3), user_us: 1, system_us: 2, peak_resident: 3 },
            FromStage::Ended { status: Status::Signaled(9), user_us: 0, system_us: 0, peak_resident: u64::MAX },
        ];
        for message in messages {
            assert_eq!(FromStage::decode(&message.encode()), Ok(message));
        }
        for message in [ToInit::Signal(2), ToInit::End, ToInit::Proceed] {
            assert_eq!(ToInit::decode(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn malformed_packets_are_errors() {
        for packet in [
            &[][..],
            &[0],
            &[99, 1],
            &[1, 0, 0],
            &[3, 2, 0, 0, 0, 0, 0],
            &[3, 0, 0, 0, 0, 5, 0],
            &[4, 0, 0, 0, 0, 0],
            &[7, 2, 0, 0, 0, 0],
        ] {
            assert!(FromStage::decode(packet).is_err(), "{packet:?}");
        }
        for packet in [&[][..], &[1, 0, 0, 0, 0], &[1, 65, 0, 0, 0], &[2, 0], &[9]] {
            assert!(ToInit::decode(packet).is_err(), "{packet:?}");
        }
    }
}
