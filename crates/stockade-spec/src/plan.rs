//! The compiled form of a policy: an ordered, printable list of operations for one run on one host.
//!
//! A plan is complete. Whoever launches it reads no policy, looks up no data and takes no decision: launching is a loop
//! over [`Plan::steps`]. A step that fails aborts the launch, unless it is marked degradable.

mod enforcement;
pub mod gate;
mod landlock;
mod notes;
mod operation;
mod render;
mod shown;
mod system_calls;

use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use enforcement::enforcement;
pub use landlock::{LandlockAccess, LandlockRule, LandlockRuleset};
pub use operation::{BindAccess, LimitMechanism, Operation, Resource, Side};
pub use shown::Shown;
pub use system_calls::{FileObservation, NetworkFilter, SystemCallFilter};

use crate::os_text;
use crate::report::Protection;
use crate::request::Terminal;
use crate::tier::Tier;

/// Version of the plan's JSON form.
pub const PLAN_VERSION: u32 = 1;

/// One run, compiled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// [`PLAN_VERSION`].
    pub version: u32,
    /// The tier that isolates.
    pub tier: Tier,
    /// The policy's built-in profile.
    pub profile: String,
    /// The command.
    pub command: Command,
    /// The workspace.
    #[serde(with = "os_text::one")]
    pub workspace: PathBuf,
    /// The home directory, as seen inside.
    #[serde(with = "os_text::one")]
    pub home: PathBuf,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// Protections that are weaker than the strongest tier's; the policy accepted each by name.
    pub degraded: Vec<Degradation>,
    /// Rules about files, from which denials are explained.
    pub explanations: Explanations,
}

/// The command that a plan runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The program and its arguments; the program is looked up in the `PATH` below.
    #[serde(with = "os_text::list")]
    pub arguments: Vec<OsString>,
    /// The whole environment.
    #[serde(with = "os_text::pairs")]
    pub environment: Vec<(OsString, OsString)>,
    /// The directory in which it starts.
    #[serde(with = "os_text::one")]
    pub directory: PathBuf,
    /// Streams that are connected to a pseudo-terminal; the others are connected to pipes.
    pub terminal: Terminal,
}

/// One operation with what it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What is done.
    pub operation: Operation,
    /// The protection that it serves, under which the report answers for it.
    pub protection: Protection,
    /// Whether the run goes on, with a degraded protection, when it fails.
    pub degradable: bool,
}

/// One protection that this plan enforces less strictly than the strongest tier would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Degradation {
    /// The protection.
    pub protection: Protection,
    /// What is weaker, in words.
    pub reason: String,
}

/// What the plan knows about paths, so that a failed command's error text can be matched against it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanations {
    /// Host paths that are visible and may be written.
    #[serde(with = "os_text::list")]
    pub writable: Vec<PathBuf>,
    /// Host paths that are visible and may only be read.
    #[serde(with = "os_text::list")]
    pub readable: Vec<PathBuf>,
    /// Host paths and globs that the policy denies.
    pub denied: Vec<String>,
    /// Protected files: globs below the workspace.
    pub protected: Vec<String>,
}

impl Plan {
    /// The operations of one side, in order.
    pub fn steps_of(&self, side: Side) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(move |step| step.operation.side() == side)
    }

    /// What the gate lets through; `None` where the plan has none.
    #[must_use]
    pub fn gate(&self) -> Option<&gate::GateRules> {
        self.steps.iter().find_map(|step| match &step.operation {
            Operation::Gate { rules } => Some(rules),
            _ => None,
        })
    }

    /// What a network namespace leads to the gate; `None` where the plan has no gate, or no network namespace.
    #[must_use]
    pub fn gate_routes(&self) -> Option<&gate::GateRoutes> {
        self.steps.iter().find_map(|step| match &step.operation {
            Operation::GateRoutes { routes } => Some(routes),
            _ => None,
        })
    }
}
