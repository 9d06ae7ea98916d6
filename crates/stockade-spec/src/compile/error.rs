//! Why a policy cannot be carried out, in words that say what to do.

use std::path::PathBuf;

use thiserror::Error;

use crate::glob::GlobError;
use crate::plan::{Degradation, Shown};
use crate::policy::endpoint::EndpointError;
use crate::report::Protection;
use crate::tier::Tier;

/// Why a policy cannot be carried out here. Paths are shown with control characters escaped.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The request names no program.
    #[error("there is no command to run")]
    NoCommand,
    /// A path of the request is not absolute, or has `.`, `..` or doubled slashes.
    #[error("the {what} {path:?} is not an absolute path without `.` and `..`")]
    UnclearPath {
        /// Which path of the request.
        what: &'static str,
        /// The path.
        path: PathBuf,
    },
    /// The run's name has other characters than letters, digits and `-`, or none.
    #[error("the run's name {0:?} has other characters than letters, digits and `-`")]
    BadRunId(String),
    /// The workspace does not exist or is not a directory.
    #[error("the workspace {0:?} is not a directory; name an existing one with --workspace")]
    WorkspaceMissing(PathBuf),
    /// The workspace is so broad that nothing would be protected.
    #[error(
        "the workspace cannot be {workspace:?}: it is {reason}; work in a directory of its own below it, or name one with --workspace"
    )]
    WorkspaceTooBroad {
        /// The workspace.
        workspace: PathBuf,
        /// What it is.
        reason: &'static str,
    },
    /// The command would start in a directory that is not seen inside.
    #[error(
        "the directory {directory:?} is not seen inside; start in the workspace {workspace:?} or below it, or allow it with --read"
    )]
    DirectoryNotSeen {
        /// Where the command would start.
        directory: PathBuf,
        /// The workspace.
        workspace: PathBuf,
    },
    /// A rule of the policy cannot be understood or obeyed.
    #[error("rule {rule:?} of `{list}`: {problem}")]
    Rule {
        /// The list of the policy, as written there: `filesystem.read`.
        list: &'static str,
        /// The rule, as written.
        rule: String,
        /// What is wrong, and what to do.
        problem: RuleProblem,
    },
    /// A limit is too small for any program to start.
    #[error("`limits.{limit}` is {given}, and no program can run with less than {least}; raise it to at least that")]
    LimitTooSmall {
        /// The limit, as written in the policy.
        limit: &'static str,
        /// What the policy says.
        given: String,
        /// The least that makes sense.
        least: String,
    },
    /// More protected files exist than can be held read-only.
    #[error(
        "the workspace has {found} protected files, and at most {most} can be held read-only; choose a smaller workspace"
    )]
    TooManyProtected {
        /// How many there are.
        found: usize,
        /// How many are possible.
        most: usize,
    },
    /// No tier works here, or not the one that was asked for, or the policy accepts another only.
    #[error("tier `{tier}` cannot be used: {reason}")]
    TierUnavailable {
        /// The tier.
        tier: Tier,
        /// Why, and what would help.
        reason: String,
    },
    /// A sandbox that lasts in a tier without mounts.
    #[error(
        "a sandbox that keeps its changes apart needs tier `namespaces`, since its layers are mounts; run directly in the \
         workspace with `stockade run`, or see `stockade doctor` for what makes that tier work"
    )]
    LayersNeedMounts,
    /// File operations are to be traced, and nobody can be asked about them.
    #[error(
        "file operations cannot be traced: another sandbox around this one has the only listener for system calls that a \
         process can have; run without --trace, or outside of that sandbox"
    )]
    TraceUnavailable,
    /// A name in `enforcement.accept_degraded` is not a protection.
    #[error("`{0}` in `enforcement.accept_degraded` is not the name of a protection")]
    UnknownProtection(String),
    /// The tier leaves protections weaker, and the policy does not accept that.
    #[error("{}", degraded_text(*tier, missing))]
    Degraded {
        /// The tier.
        tier: Tier,
        /// What is weaker, each with its reason.
        missing: Vec<Degradation>,
    },
}

/// What is wrong with one rule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RuleProblem {
    /// It is not a glob.
    #[error("{0}")]
    Glob(#[source] GlobError),
    /// It is empty.
    #[error("it is empty; remove it")]
    Empty,
    /// It has a control character.
    #[error("it has a control character; no path that a policy names may have one")]
    ControlCharacter,
    /// `~name`.
    #[error("only `~` and `~/…` are understood; write the other user's home out")]
    OtherHome,
    /// `..` leads above the root.
    #[error("its `..` lead above the root directory")]
    AboveRoot,
    /// A glob in a list of paths.
    #[error("it is a glob, and only a path can be shown; name the directory that holds the files")]
    GlobShown,
    /// Nothing is there.
    #[error("nothing is there; make it first, or remove the rule")]
    Missing,
    /// The caller cannot read it.
    #[error("you have no permission to read it; remove the rule")]
    Sealed,
    /// It is a FIFO or device.
    #[error("it is a FIFO or device; only files and directories can be shown")]
    Special,
    /// It is a Unix socket, in a list of files.
    #[error("it is a Unix socket; allow connecting to it with --unix, or in `unix.allow`")]
    IsSocket,
    /// It is in the workspace or another directory that may be written, and a symbolic link there leads elsewhere.
    #[error(
        "a symbolic link leads it to `{}`, out of a directory that the command may write, where it can make links; name that path itself if it is meant",
        Shown::new(.0)
    )]
    LeadsOut(PathBuf),
    /// It is the root, home, or a directory of the system.
    #[error("it is {0}; name the directories below it that are needed")]
    TooBroad(&'static str),
    /// It is a protected file, which cannot be written.
    #[error("it is a protected file of the workspace, which can be read but not written; change it outside")]
    Protected,
    /// It needs a network namespace.
    #[error(
        "it needs tier `namespaces`: in tier `landlock` programs can be connected to the outside, but have no network that \
         connections could come into, and no sockets of the host; remove the rule to run without, or see `stockade doctor` for \
         what makes the stronger tier work"
    )]
    NeedsNamespaces,
    /// It needs the gate, and nobody can be asked.
    #[error(
        "the gate of tier `landlock` is asked about by the only seccomp listener that a process can have, and another sandbox \
         around this one has that; remove the rule to run without, or run outside of that sandbox"
    )]
    GateNeedsListener,
    /// It is not an endpoint rule.
    #[error("{0}; {hint}", hint = .0.hint())]
    Endpoint(#[source] EndpointError),
    /// `localhost`.
    #[error(
        "inside, that name is the sandbox's own loopback, which is always open; for a service on the host's, name its address \
         and port: `127.0.0.1:5432`"
    )]
    OwnLoopback,
    /// It lies in the range of fake addresses.
    #[error(
        "addresses of {range} stand for names inside, so that hosts that have one cannot be reached by it; name such a host"
    )]
    StandsForNames {
        /// The range.
        range: String,
    },
    /// A multicast or broadcast address.
    #[error("no connection can be made to multicast and broadcast addresses; remove the rule")]
    ManyReceivers,
    /// Port 0.
    #[error("0 is no port; name one from 1 to 65535")]
    NoPort,
    /// A rule denies it.
    #[error("`filesystem.deny` covers it by the rule {0:?}, and deny wins; remove one of the two")]
    Denied(String),
    /// It is something else than a socket.
    #[error("it is no Unix socket; only those can be connected to, and files are shown with --read")]
    NotASocket,
    /// It denies a part of what is allowed, and nobody can be asked.
    #[error(
        "it denies a part of the allowed directory {allowed:?}, where each access would have to be decided, and another \
         sandbox around this one has the only listener for system calls that a process can have; remove the rule, keep such \
         files out of that directory, or run outside of that sandbox"
    )]
    NeedsListener {
        /// The directory.
        allowed: PathBuf,
    },
    /// It is not a name of an environment variable.
    #[error("it is not a name of an environment variable: those are not empty and have no `=` and no NUL")]
    NotAVariable,
    /// A value with a NUL.
    #[error("its value has a NUL, which no environment variable can hold")]
    NulInValue,
}

fn degraded_text(tier: Tier, missing: &[Degradation]) -> String {
    let weaker: String =
        missing.iter().map(|Degradation { protection, reason }| format!("  {protection}: {reason}\n")).collect();
    let names: Vec<_> = missing.iter().map(|degradation| degradation.protection.name()).collect();
    format!(
        "tier `{tier}` leaves protections weaker than the strongest tier:\n{weaker}\
         accept them with `--accept-degraded {}`, or in the policy:\n  \
         [enforcement]\n  accept_degraded = [\"{}\"]\n\
         `stockade doctor` says what would make the stronger tier work",
        names.join(","),
        names.join("\", \"")
    )
}

impl CompileError {
    /// The protections that it is about, where it is [`CompileError::Degraded`].
    #[must_use]
    pub fn protections(&self) -> Vec<Protection> {
        match self {
            Self::Degraded { missing, .. } => missing.iter().map(|degradation| degradation.protection).collect(),
            _ => Vec::new(),
        }
    }
}
