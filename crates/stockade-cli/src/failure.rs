//! Everything that can keep a command from doing what was asked, with the exit status and the remedy of each.

use std::io;
use std::path::PathBuf;

use stockade::LaunchError;
use stockade::policy::Diagnostic;
use stockade::report::Outcome;
use stockade::sandbox::SandboxError;
use stockade::sandbox::applying::ApplyError;
use stockade::sandbox::record::Broken;
use thiserror::Error;

use crate::exit_codes;

/// Why a command failed. The text says what failed; [`std::error::Error::source`] says why, [`Failure::hint`] what to do.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// `getcwd(2)` failed.
    #[error("cannot tell the current directory")]
    CurrentDirectory(#[source] io::Error),
    /// The standard streams cannot be duplicated.
    #[error("cannot use the standard streams")]
    Streams(#[source] io::Error),
    /// This program does not know where it lies.
    #[error("cannot find the program itself, which supervises sandboxes")]
    OwnProgram(#[source] io::Error),
    /// A sandbox has no command of that number in the background.
    #[error(
        "the sandbox `{sandbox}` has had no command {number} in the background; `stockade logs {sandbox}` lists them"
    )]
    NoLog { sandbox: String, number: u32 },
    /// What a command has printed cannot be read.
    #[error("cannot read {}", .path.display())]
    ReadLog {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A path that was named does not lie in a sandbox's workspace.
    #[error("{} does not lie in the workspace {} of the sandbox", .path.display(), .workspace.display())]
    OutsideWorkspace { path: PathBuf, workspace: PathBuf },
    /// A text cannot be the label of a checkpoint.
    #[error(transparent)]
    Label(SandboxError),
    /// An option of `run` means nothing to a sandbox that lasts.
    #[error("{0} is not for sandboxes that last")]
    NotForSandboxes(&'static str),
    /// Some of what was asked for could not be read, which was told.
    #[error("some changes could not be shown")]
    Incomplete,
    /// A record is broken.
    #[error("the record is broken, and was not exported: {0}")]
    BrokenRecord(Broken),
    /// A document cannot be read.
    #[error("cannot read {}", .path.display())]
    Document {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// `--workspace` does not lead to a directory.
    #[error("cannot use the workspace {}", .path.display())]
    Workspace {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A path given with an option does not exist.
    #[error("cannot use {option} {}", .path.display())]
    OptionPath {
        option: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A path given with an option is not Unicode, which policies are.
    #[error("cannot use {option} {}: its name is not Unicode", .path.display())]
    OptionPathNotUnicode { option: &'static str, path: PathBuf },
    /// A policy file cannot be read.
    #[error("cannot read the policy {}", .path.display())]
    PolicyFile {
        path: PathBuf,
        #[source]
        problem: FileProblem,
    },
    /// Policies are wrong.
    #[error("{}", diagnostics(.0))]
    Policy(Vec<Diagnostic>),
    /// The library could not do it.
    #[error(transparent)]
    Library(stockade::Error),
    /// A trial of `doctor` ended in another way than it should.
    #[error("the command `true` did not succeed in it: {0:?}")]
    Trial(Outcome),
    /// A result cannot be written.
    #[error("cannot write {what}")]
    Write {
        what: String,
        #[source]
        source: io::Error,
    },
}

/// What is wrong with a policy file, before its text is looked at.
#[derive(Debug, Error)]
pub(crate) enum FileProblem {
    #[error(transparent)]
    Unreadable(io::Error),
    #[error("it is not a regular file")]
    NotRegular,
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    #[error("it is not UTF-8 text")]
    NotText,
    #[error(
        "the way to it leads through a symbolic link in the workspace, which what runs inside could turn elsewhere"
    )]
    BehindLink,
}

impl From<stockade::Error> for Failure {
    fn from(error: stockade::Error) -> Self {
        match error {
            stockade::Error::Policy(mistakes) => Self::Policy(mistakes),
            other => Self::Library(other),
        }
    }
}

impl Failure {
    /// What to do about it, where the text does not say so itself.
    pub(crate) fn hint(&self) -> Option<&str> {
        match self {
            Self::CurrentDirectory(_) => {
                Some("it was removed or closed to you; change to another one, or name it with -C")
            }
            Self::Workspace { .. } => Some("-C names an existing directory"),
            Self::OutsideWorkspace { .. } => Some("name a path in the workspace, or one relative to it"),
            Self::NotForSandboxes(_) => Some("leave it out, or use it with `stockade run`, without --review"),
            Self::Library(stockade::Error::Sandbox(SandboxError::Running(_))) => {
                Some("`stockade stop` ends what runs, and so does `stockade rm --force`")
            }
            Self::Library(stockade::Error::Apply(ApplyError::NothingAt(_))) => {
                Some("`stockade diff NAME --names` prints what has changed")
            }
            Self::Library(stockade::Error::OutsideWorkspace { .. }) => Some("-C names a directory in the workspace"),
            Self::PolicyFile { problem: FileProblem::Unreadable(_), .. } => {
                Some("a policy that is there is never passed over: make it readable, or remove it")
            }
            Self::PolicyFile { problem: FileProblem::NotRegular, .. } => {
                Some("put a file in its place; in a workspace neither links nor devices are followed")
            }
            Self::PolicyFile { problem: FileProblem::BehindLink, .. } => Some("name the file itself"),
            Self::Library(error) => error.hint(),
            _ => None,
        }
    }

    /// The exit status: whatever fails here, the command was not run. Whoever ended it with a signal is told as by any
    /// program that a signal ends.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Library(stockade::Error::Launch(LaunchError::Interrupted(signal))) => {
                u8::try_from(signal + 128).unwrap_or(exit_codes::FAILED)
            }
            _ => exit_codes::FAILED,
        }
    }
}

/// Every mistake in a policy, as the library renders it, an empty line apart.
fn diagnostics(mistakes: &[Diagnostic]) -> String {
    let texts: Vec<String> = mistakes.iter().map(|mistake| mistake.to_string().trim_end().to_owned()).collect();
    texts.join("\n\n")
}
