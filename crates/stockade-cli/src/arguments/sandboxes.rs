//! Arguments of the commands about sandboxes that last: their lives, and their changes.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use stockade::units::{ByteSize, Span};

use super::options::SandboxOptions;
use super::values::{self, Variable};

#[derive(Debug, Args)]
pub(crate) struct CreateArguments {
    /// The sandbox's name; by default that of the workspace, with a number
    #[arg(short, long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// How long it stays ready, with what is in memory, when nothing runs in it any more; by default as policies say, or 30s
    #[arg(long, value_name = "DURATION", value_parser = values::span)]
    pub(crate) linger: Option<Span>,

    /// Take a checkpoint before each command
    #[arg(long)]
    pub(crate) checkpoint_each: bool,

    #[command(flatten)]
    pub(crate) sandbox: SandboxOptions,

    /// Say how to use it
    #[arg(short, long, help_heading = "Output")]
    pub(crate) verbose: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExecArguments {
    /// The sandbox
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Pass a variable on, or set it to a value, for this command; repeatable
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = values::variable)]
    pub(crate) env: Vec<Variable>,

    /// Where the command starts, in the workspace; by default the current directory if it is there, else the workspace
    #[arg(short = 'C', long, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,

    /// Take a checkpoint first
    #[arg(long)]
    pub(crate) checkpoint: bool,

    /// Let it go on in the background, with what it prints kept for `logs`; prints its number
    #[arg(short, long, conflicts_with_all = ["report", "json", "quiet", "verbose"])]
    pub(crate) detach: bool,

    /// Write the report, one JSON document, to FILE when the command ends; `-` is standard output, after the command's own
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) report: Option<PathBuf>,

    /// Print the closing lines and errors on standard error as one JSON object
    #[arg(long, help_heading = "Output", conflicts_with = "quiet")]
    pub(crate) json: bool,

    /// Print nothing but errors
    #[arg(short, long, help_heading = "Output", conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Print every denial
    #[arg(short, long, help_heading = "Output")]
    pub(crate) verbose: bool,

    /// The command and its arguments; without one, your shell
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArguments {
    /// The sandbox
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// The command's number; without one, the commands are listed
    #[arg(value_name = "NUMBER")]
    pub(crate) number: Option<u32>,

    /// Print what is known of the commands as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LsArguments {
    /// Print the list as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StopArguments {
    /// The sandboxes
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RmArguments {
    /// The sandboxes
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,

    /// End first what runs in them
    #[arg(short, long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DiffArguments {
    /// The sandbox
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Files and directories, as seen from the current directory if that lies in the workspace; by default all
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,

    /// What had changed at this checkpoint
    #[arg(long, value_name = "CHECKPOINT")]
    pub(crate) at: Option<String>,

    /// Print how many lines of each file changed
    #[arg(long, conflicts_with = "names")]
    pub(crate) stat: bool,

    /// Print only names, and how each changed: A added, D deleted, M modified, T another kind, P permissions, R renamed
    #[arg(long)]
    pub(crate) names: bool,

    /// Print the changes as JSON: with numbers of lines, unless with --names
    #[arg(long, conflicts_with = "stat")]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ApplyArguments {
    /// The sandbox
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Files and directories, as seen from the current directory if that lies in the workspace; by default all
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,

    /// Take the sandbox's version here though the workspace's has changed as well; repeatable
    #[arg(long, value_name = "PATH")]
    pub(crate) take: Vec<PathBuf>,

    /// Apply this though it is protected: your own tools execute or obey it later; repeatable
    #[arg(long, value_name = "PATH")]
    pub(crate) protected: Vec<PathBuf>,

    /// Print what was done as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DiscardArguments {
    /// The sandbox
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true))]
pub(crate) struct PruneArguments {
    /// Those that were not used for so long: 30d, 12h
    #[arg(long, value_name = "DURATION", value_parser = values::span, group = "which")]
    pub(crate) older_than: Option<Span>,

    /// Those that take more of the disk: 5GB
    #[arg(long, value_name = "SIZE", value_parser = values::size, group = "which")]
    pub(crate) larger_than: Option<ByteSize>,

    /// Say which these are, and remove none
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print them as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
