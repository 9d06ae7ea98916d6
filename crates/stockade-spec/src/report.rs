//! What was enforced and what happened: one JSON document for each run.

mod denial;
mod network;
mod outcome;
mod protection;

use serde::{Deserialize, Serialize};

pub use denial::{Area, Denial, Known, ProcessRef};
pub use network::{
    Connection, Direction, EndpointTotal, MAX_CONNECTIONS, MAX_ENDPOINTS, NetworkReport, Protocol, Traffic,
    allow_option,
};
pub use outcome::{Outcome, Usage};
pub use protection::{Enforcement, Level, Protection};

use crate::tier::Tier;

/// Version of the report's JSON form.
pub const REPORT_VERSION: u32 = 1;

/// Distinct denials that one report holds; further ones are only counted, in [`Report::denials_dropped`].
pub const MAX_DENIALS: usize = 1_000;

/// The account of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`REPORT_VERSION`].
    pub version: u32,
    /// The tier that isolated.
    pub tier: Tier,
    /// The policy's profile.
    pub profile: String,
    /// The command, as text; bytes that are not Unicode are replaced.
    pub command: Vec<String>,
    /// When it started: milliseconds since 1970-01-01T00:00:00Z.
    pub started_ms: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// What it used.
    pub usage: Usage,
    /// Every protection with its mechanism and level.
    pub enforcement: Vec<Enforcement>,
    /// Every operation of the plan with its result, in the plan's order.
    pub operations: Vec<OperationResult>,
    /// What was refused, in order of first occurrence.
    pub denials: Vec<Denial>,
    /// Denials beyond [`MAX_DENIALS`] distinct ones.
    pub denials_dropped: u64,
    /// What went through the gate; `None` where the plan opened none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkReport>,
    /// Files that the command wrote into private directories, which are gone; at most [`MAX_DENIALS`].
    pub discarded: Vec<String>,
    /// Protected files that were moved to quarantine.
    pub quarantined: Vec<Quarantined>,
    /// Whether protected files may still be where the command left them: what was left could not be looked through, or not
    /// be put away. The operations say why.
    #[serde(default)]
    pub unswept: bool,
    /// Bytes passed on.
    pub output: OutputSizes,
    /// Streams of the caller that could not be read or written (a full disk), in words; what they missed is lost.
    pub stream_failures: Vec<String>,
}

/// The exit status of a run that leaves protected files where they should not be: whatever the command says of itself, what
/// was asked of Stockade was not done.
const UNSWEPT: u8 = 125;

impl Report {
    /// The exit status that the `stockade` command has: 125 when protected files may still be where the command left them,
    /// or else the outcome's, or 1 when the command succeeded and a stream of the caller missed some of its output.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self.outcome.exit_status() {
            _ if self.unswept => UNSWEPT,
            0 if !self.stream_failures.is_empty() => 1,
            status => status,
        }
    }
}

/// What became of one operation of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationResult {
    /// The operation, in words.
    pub operation: String,
    /// The protection that it serves.
    pub protection: Protection,
    /// `None` when it was carried out; otherwise why it was not.
    pub failed: Option<String>,
}

/// One protected file that appeared or changed, and where it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Where it was, relative to the workspace.
    pub path: String,
    /// The glob that protects it.
    pub rule: String,
    /// Where it is kept.
    pub kept_at: String,
    /// Whether the file as it was when the run started lies there again.
    #[serde(default)]
    pub put_back: bool,
}

/// Bytes of output that were passed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputSizes {
    /// Standard output (and everything of a pseudo-terminal).
    pub stdout: u64,
    /// Standard error.
    pub stderr: u64,
}
