//! What was typed. Parsing touches neither files nor the environment; [`crate::caller`] and the commands resolve it.

mod options;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use options::SandboxOptions;
pub(crate) use values::Variable;

/// Runs code that nobody has read yet, and says what was kept out
#[derive(Debug, Parser)]
#[command(name = "stockade", version, long_about = include_str!("help/stockade.txt"))]
#[command(after_long_help = include_str!("help/stockade-examples.txt"))]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a command in a sandbox
    #[command(long_about = include_str!("help/run.txt"), after_long_help = include_str!("help/run-examples.txt"))]
    Run(Box<RunArguments>),
    /// Show what `run` would do, without doing it
    #[command(long_about = include_str!("help/plan.txt"), after_long_help = include_str!("help/plan-examples.txt"))]
    Plan(Box<PlanArguments>),
    /// Check, show or describe policies
    #[command(long_about = include_str!("help/policy.txt"), after_long_help = include_str!("help/policy-examples.txt"))]
    Policy(PolicyArguments),
    /// Say what this machine can enforce, and how it could enforce more
    #[command(long_about = include_str!("help/doctor.txt"), after_long_help = include_str!("help/doctor-examples.txt"))]
    Doctor(DoctorArguments),
}

/// `stockade run`.
#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) sandbox: SandboxOptions,

    /// Write the report, one JSON document, to FILE when the run ends; `-` is standard output, after the command's own
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) report: Option<PathBuf>,

    /// Write events to FILE as they happen, one JSON object a line; `-` is standard output
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) events: Option<PathBuf>,

    /// Print the closing lines and errors on standard error as one JSON object
    #[arg(long, help_heading = "Output", conflicts_with = "quiet")]
    pub(crate) json: bool,

    /// Print nothing but errors
    #[arg(short, long, help_heading = "Output", conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Print the tier, how each protection was enforced, and every denial
    #[arg(short, long, help_heading = "Output")]
    pub(crate) verbose: bool,

    /// The command and its arguments; without one, your shell
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// `stockade plan`.
#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    #[command(flatten)]
    pub(crate) sandbox: SandboxOptions,

    /// Print the plan as JSON
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,

    /// The command and its arguments; without one, your shell
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// `stockade policy`.
#[derive(Debug, Args)]
#[command(disable_help_subcommand = true)]
pub(crate) struct PolicyArguments {
    /// What to do with policies.
    #[command(subcommand)]
    pub(crate) command: PolicyCommand,
}

/// The commands about policies.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Check policy files, without running anything
    Check {
        /// The policy files; `-` is standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Check them as a workspace's `.stockade.toml`, which may only narrow
        #[arg(long)]
        workspace_file: bool,
    },
    /// Print the JSON Schema of policy files
    Schema,
    /// Show the policy that `run` would use here, with every layer merged
    Show {
        #[command(flatten)]
        sandbox: Box<SandboxOptions>,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
}

/// `stockade doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// Print the findings as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
