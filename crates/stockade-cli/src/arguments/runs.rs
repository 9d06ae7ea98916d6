//! Arguments of the commands about a single run: `run`, what it would do, the policies that it obeys, and the machine.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use stockade::Endpoint;

use super::options::SandboxOptions;
use super::values::endpoint;

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) sandbox: SandboxOptions,

    /// Leave the workspace as it is, and keep what would have changed for `diff`, `apply` and `discard`
    #[arg(long, conflicts_with = "events", help_heading = "Files and environment")]
    pub(crate) review: bool,

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
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    #[command(flatten)]
    pub(crate) sandbox: SandboxOptions,

    /// Print the plan as JSON
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,

    /// Say which rule decides about an endpoint instead of printing the plan; exits with 0 if it may be reached, else 1
    #[arg(long, value_name = "HOST:PORT", help_heading = "Output", conflicts_with = "json", value_parser = endpoint)]
    pub(crate) check: Vec<Endpoint>,

    /// The command and its arguments; without one, your shell
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

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

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// Print the findings as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
