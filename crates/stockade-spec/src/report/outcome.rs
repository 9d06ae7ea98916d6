//! How a run ended and what it used.

use serde::{Deserialize, Serialize};

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Outcome {
    /// The command ended by itself.
    Exited {
        /// Its exit status.
        status: u8,
    },
    /// A signal ended the command.
    Signaled {
        /// The signal's number.
        signal: i32,
    },
    /// The command was not found.
    NotFound,
    /// The command was found but cannot be executed.
    CannotExecute {
        /// The system's error number.
        errno: i32,
    },
    /// The time limit was reached.
    TimeLimit,
    /// The memory limit was reached.
    MemoryLimit,
    /// The processes limit was reached, and the run was ended for it.
    ProcessLimit,
    /// The disk limit was reached, and the run was ended for it.
    DiskLimit,
    /// The output limit was reached.
    OutputLimit,
}

impl Outcome {
    /// The exit status that the `stockade` command has for it.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Exited { status } => *status,
            Self::Signaled { signal } => u8::try_from(128 + (signal & 0x7f)).unwrap_or(255),
            Self::NotFound => 127,
            Self::CannotExecute { .. } => 126,
            Self::TimeLimit => 124,
            Self::MemoryLimit | Self::ProcessLimit | Self::DiskLimit | Self::OutputLimit => 137,
        }
    }
}

/// What a run used, as far as the system tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Wall-clock time in milliseconds.
    pub wall_ms: u64,
    /// Processor time in user mode, milliseconds.
    pub user_ms: u64,
    /// Processor time in the kernel, milliseconds.
    pub system_ms: u64,
    /// Largest resident size of any one process, bytes.
    pub peak_resident: u64,
}
