//! What crosses between the supervisor of a sandbox that lasts and its spawner.
//!
//! The spawner runs beside hostile code of the same user, in the same Landlock domain: the supervisor takes what it says as
//! what that code might have made it say. Every message is short, and decoding is total.

use crate::stage::message::{Fields, MessageError, Status, put_number};

/// What one standard stream of a command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// The sandbox's own `/dev/null`.
    Null,
    /// The pseudo-terminal, which the spawner opens.
    Terminal,
    /// A descriptor that accompanies the message.
    Descriptor,
}

/// To the spawner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToSpawner {
    /// Start a command. The first descriptor is a file with the command as JSON (`stockade_spec::plan::Command`); one for
    /// each stream of kind [`StreamKind::Descriptor`] follows.
    Start {
        /// The command's number, which every message about it bears.
        id: u32,
        /// Its standard streams.
        streams: [StreamKind; 3],
    },
    /// Send a signal to the command's process group.
    Signal {
        /// The command.
        id: u32,
        /// The signal.
        signal: i32,
    },
    /// Kill the command, what descends from it, and what is in its session.
    End {
        /// The command.
        id: u32,
    },
}

/// From the spawner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromSpawner {
    /// The command could not be started; it has ended thereby.
    NotStarted {
        /// The command.
        id: u32,
        /// The system's error number.
        errno: i32,
    },
    /// The descriptor is the controlling side of the command's pseudo-terminal.
    Terminal {
        /// The command.
        id: u32,
    },
    /// The program could not be executed; its end is told too.
    ExecFailed {
        /// The command.
        id: u32,
        /// The system's error number.
        errno: i32,
    },
    /// The command was stopped by a signal.
    Stopped {
        /// The command.
        id: u32,
        /// The signal.
        signal: i32,
    },
    /// The command has ended.
    Ended {
        /// The command.
        id: u32,
        /// How.
        status: Status,
        /// User time in microseconds, of it and of its descendants that were waited for.
        user_us: u64,
        /// System time likewise.
        system_us: u64,
        /// Largest resident size of one of them, in bytes.
        peak_resident: u64,
    },
}

const START: u8 = 1;
const SIGNAL: u8 = 2;
const END: u8 = 3;
const NOT_STARTED: u8 = 1;
const TERMINAL: u8 = 2;
const EXEC_FAILED: u8 = 3;
const STOPPED: u8 = 4;
const ENDED: u8 = 5;

impl StreamKind {
    const fn code(self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Terminal => 1,
            Self::Descriptor => 2,
        }
    }

    const fn of(code: u8) -> Result<Self, MessageError> {
        match code {
            0 => Ok(Self::Null),
            1 => Ok(Self::Terminal),
            2 => Ok(Self::Descriptor),
            _ => Err(MessageError::Impossible),
        }
    }
}

fn head(tag: u8, id: u32) -> Vec<u8> {
    let mut packet = Vec::with_capacity(40);
    packet.push(tag);
    packet.extend(id.to_le_bytes());
    packet
}

impl ToSpawner {
    /// The packet.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        match self {
            Self::Start { id, streams } => {
                let mut packet = head(START, id);
                packet.extend(streams.map(StreamKind::code));
                packet
            }
            Self::Signal { id, signal } => {
                let mut packet = head(SIGNAL, id);
                packet.extend(signal.to_le_bytes());
                packet
            }
            Self::End { id } => head(END, id),
        }
    }

    /// The message in a packet.
    ///
    /// # Errors
    /// When the packet is no message.
    pub fn decode(packet: &[u8]) -> Result<Self, MessageError> {
        let mut fields = Fields::of(packet);
        let (tag, id) = (fields.byte()?, u32::from_le_bytes(fields.take()?));
        match tag {
            START => {
                let [one, two, three] = fields.take()?.map(StreamKind::of);
                fields.end(Self::Start { id, streams: [one?, two?, three?] })
            }
            SIGNAL => {
                let signal = fields.signal()?;
                fields.end(Self::Signal { id, signal })
            }
            END => fields.end(Self::End { id }),
            tag => Err(MessageError::UnknownTag(tag)),
        }
    }
}

impl FromSpawner {
    /// The packet.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let numbered = |tag, id, number: i32| {
            let mut packet = head(tag, id);
            packet.extend(number.to_le_bytes());
            packet
        };
        match self {
            Self::NotStarted { id, errno } => numbered(NOT_STARTED, id, errno),
            Self::Terminal { id } => head(TERMINAL, id),
            Self::ExecFailed { id, errno } => numbered(EXEC_FAILED, id, errno),
            Self::Stopped { id, signal } => numbered(STOPPED, id, signal),
            Self::Ended { id, status, user_us, system_us, peak_resident } => {
                let mut packet = head(ENDED, id);
                let (kind, value) = status.code();
                put_number(&mut packet, kind, value);
                for field in [user_us, system_us, peak_resident] {
                    packet.extend(field.to_le_bytes());
                }
                packet
            }
        }
    }

    /// The message in a packet.
    ///
    /// # Errors
    /// When the packet is no message.
    pub fn decode(packet: &[u8]) -> Result<Self, MessageError> {
        let mut fields = Fields::of(packet);
        let (tag, id) = (fields.byte()?, u32::from_le_bytes(fields.take()?));
        let message = match tag {
            NOT_STARTED => Self::NotStarted { id, errno: fields.number()? },
            TERMINAL => Self::Terminal { id },
            EXEC_FAILED => Self::ExecFailed { id, errno: fields.number()? },
            STOPPED => Self::Stopped { id, signal: fields.signal()? },
            ENDED => Self::Ended {
                id,
                status: Status::of(fields.byte()?, fields.number()?)?,
                user_us: u64::from_le_bytes(fields.take()?),
                system_us: u64::from_le_bytes(fields.take()?),
                peak_resident: u64::from_le_bytes(fields.take()?),
            },
            tag => return Err(MessageError::UnknownTag(tag)),
        };
        fields.end(message)
    }

    /// The command that the message is about.
    #[must_use]
    pub const fn id(&self) -> u32 {
        match self {
            Self::NotStarted { id, .. }
            | Self::Terminal { id }
            | Self::ExecFailed { id, .. }
            | Self::Stopped { id, .. }
            | Self::Ended { id, .. } => *id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_way() {
        let streams = [StreamKind::Null, StreamKind::Terminal, StreamKind::Descriptor];
        for message in [
            ToSpawner::Start { id: 7, streams },
            ToSpawner::Signal { id: u32::MAX, signal: 15 },
            ToSpawner::End { id: 0 },
        ] {
            assert_eq!(ToSpawner::decode(&message.encode()), Ok(message));
        }
        for message in [
            FromSpawner::NotStarted { id: 1, errno: 11 },
            FromSpawner::Terminal { id: 2 },
            FromSpawner::ExecFailed { id: 3, errno: 2 },
            FromSpawner::Stopped { id: 4, signal: 20 },
            FromSpawner::Ended { id: 5, status: Status::Exited(3), user_us: 1, system_us: 2, peak_resident: 3 },
            FromSpawner::Ended {
                id: 6,
                status: Status::Signaled(9),
                user_us: 0,
                system_us: 0,
                peak_resident: u64::MAX,
            },
        ] {
            assert_eq!(FromSpawner::decode(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn malformed_packets_are_errors() {
        for packet in
            [&[][..], &[1, 0, 0, 0, 0], &[1, 0, 0, 0, 0, 3, 0, 0], &[2, 0, 0, 0, 0, 65, 0, 0, 0], &[9, 0, 0, 0, 0]]
        {
            assert!(ToSpawner::decode(packet).is_err(), "{packet:?}");
        }
        for packet in
            [&[][..], &[1, 0, 0], &[2, 0, 0, 0, 0, 0], &[4, 0, 0, 0, 0, 0, 0, 0, 0], &[5, 0, 0, 0, 0, 2, 0, 0, 0, 0]]
        {
            assert!(FromSpawner::decode(packet).is_err(), "{packet:?}");
        }
    }
}
