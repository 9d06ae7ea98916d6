//! The options that shape a sandbox: the same for every command that has one.

use std::path::PathBuf;

use clap::Args;
use stockade::Tier;
use stockade::report::Protection;
use stockade::request::Trace;
use stockade::units::{ByteSize, Span};

use super::values::{self, Variable};

/// Everything that says what a sandbox may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub(crate) struct SandboxOptions {
    /// The directory that the work is about; by default the current one
    #[arg(short = 'C', long, value_name = "DIR", help_heading = "Policy")]
    pub(crate) workspace: Option<PathBuf>,

    /// Start from a built-in profile: default, read-only, research, hardened
    #[arg(short, long, value_name = "NAME", help_heading = "Policy")]
    pub(crate) profile: Option<String>,

    /// Add the rules of a policy file to the machine's and your own
    #[arg(long, value_name = "FILE", help_heading = "Policy")]
    pub(crate) policy: Option<PathBuf>,

    /// Take this tier or refuse to run: namespaces, landlock
    #[arg(long, value_name = "TIER", value_parser = values::isolation, help_heading = "Policy")]
    pub(crate) isolation: Option<Tier>,

    /// Run although these protections are weaker than they should be; separated by commas, repeatable
    #[arg(
        long,
        value_name = "PROTECTION",
        value_parser = values::protection,
        value_delimiter = ',',
        help_heading = "Policy"
    )]
    pub(crate) accept_degraded: Vec<Protection>,

    /// Let a file or directory outside the workspace be read; repeatable
    #[arg(short, long, value_name = "PATH", help_heading = "Files and environment")]
    pub(crate) read: Vec<PathBuf>,

    /// Let a file or directory outside the workspace be read and written; repeatable
    #[arg(short, long, value_name = "PATH", help_heading = "Files and environment")]
    pub(crate) write: Vec<PathBuf>,

    /// Hide every file that matches, in the workspace too; wins over all else; repeatable
    #[arg(long, value_name = "GLOB", help_heading = "Files and environment")]
    pub(crate) deny: Vec<String>,

    /// Pass a variable on, or set it to a value; repeatable
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = values::variable, help_heading = "Files and environment")]
    pub(crate) env: Vec<Variable>,

    /// Let a host be reached: a name, `*.suffix`, an address or a network, on ports 80 and 443 or those given; repeatable
    #[arg(long, value_name = "HOST[:PORT]", help_heading = "Network")]
    pub(crate) allow: Vec<String>,

    /// Make a port inside reachable from this machine's loopback, and from nowhere else; repeatable
    #[arg(long, value_name = "PORT", help_heading = "Network")]
    pub(crate) publish: Vec<String>,

    /// Let a Unix socket of this machine be connected to; repeatable
    #[arg(long, value_name = "PATH", help_heading = "Network")]
    pub(crate) unix: Vec<PathBuf>,

    /// Memory of all processes together: 512MiB, 4GB
    #[arg(long, value_name = "SIZE", value_parser = values::size, help_heading = "Limits")]
    pub(crate) memory: Option<ByteSize>,

    /// Processors: 2, 0.5
    #[arg(long = "cpus", value_name = "NUMBER", value_parser = values::milli_cpus, help_heading = "Limits")]
    pub(crate) milli_cpus: Option<u32>,

    /// Processes and threads at once
    #[arg(long, value_name = "NUMBER", help_heading = "Limits")]
    pub(crate) processes: Option<u32>,

    /// Open files of each process
    #[arg(long, value_name = "NUMBER", help_heading = "Limits")]
    pub(crate) files: Option<u32>,

    /// Bytes written outside the workspace, and the size of any one file
    #[arg(long, value_name = "SIZE", value_parser = values::size, help_heading = "Limits")]
    pub(crate) disk: Option<ByteSize>,

    /// Wall-clock time: 90s, 10m, 1h30m
    #[arg(long, value_name = "DURATION", value_parser = values::span, help_heading = "Limits")]
    pub(crate) time: Option<Span>,

    /// Bytes printed
    #[arg(long, value_name = "SIZE", value_parser = values::size, help_heading = "Limits")]
    pub(crate) output: Option<ByteSize>,

    /// Report every refused file operation exactly: those that write, or all; slower
    #[arg(
        long,
        value_name = "writes|all",
        value_parser = values::trace,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "writes",
        help_heading = "Output"
    )]
    pub(crate) trace: Option<Trace>,
}
