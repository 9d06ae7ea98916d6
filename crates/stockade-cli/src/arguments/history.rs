//! Arguments of the commands about what a sandbox was and what happened in it: checkpoints and the record.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct CheckpointArguments {
    /// The sandbox
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// What to call it: one line, by which it can be named later
    #[arg(short, long, value_name = "LABEL")]
    pub(crate) label: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct LogArguments {
    /// The sandbox
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Print the checkpoints as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArguments {
    /// The sandbox
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// The checkpoint, by its name or label
    #[arg(value_name = "CHECKPOINT")]
    pub(crate) checkpoint: String,
}

#[derive(Debug, Args)]
pub(crate) struct ForkArguments {
    /// The sandbox to go on from
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// The new sandbox's name; by default that of the workspace, with a number
    #[arg(value_name = "NEW")]
    pub(crate) new: Option<String>,

    /// The checkpoint to go on from; by default the state now
    #[arg(long, value_name = "CHECKPOINT")]
    pub(crate) at: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct EventsArguments {
    /// The sandbox
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Go on as long as the sandbox exists
    #[arg(short, long)]
    pub(crate) follow: bool,
}

#[derive(Debug, Args)]
#[command(disable_help_subcommand = true)]
pub(crate) struct AuditArguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: AuditCommand,
}

/// The commands about records.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Find every edit, gap, cut and change of order in a sandbox's record, and every change of its layers from outside
    Verify {
        /// The sandbox
        #[arg(value_name = "NAME")]
        name: String,
        /// Print the findings as JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a sandbox's record as one document, which can be checked on any machine
    Export {
        /// The sandbox
        #[arg(value_name = "NAME")]
        name: String,
        /// The document; `-`, or none, is standard output
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Check a document that `export` wrote
    Check {
        /// The document; `-` is standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Print the findings as JSON
        #[arg(long)]
        json: bool,
    },
}

impl AuditCommand {
    /// Whether findings are told as JSON.
    pub(crate) const fn tells_json(&self) -> bool {
        match self {
            Self::Verify { json, .. } | Self::Check { json, .. } => *json,
            Self::Export { .. } => false,
        }
    }
}
