//! Commands in a sandbox, from the caller's side.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stockade_linux::relay::{HostStdio, InnerStdio, InnerStream};
use stockade_linux::{Attached, Peer, PeerNews};
use stockade_spec::os_text;
use stockade_spec::plan::Command;
use stockade_spec::report::{Denial, Outcome, OutputSizes, Usage};
use stockade_spec::request::Terminal;

use super::ask::{Answer, Ask, Ended, Stream};
use super::conversation::Conversation;
use crate::error::Error;

/// A command for a sandbox.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Exec {
    /// The program and its arguments; never empty.
    #[serde(with = "os_text::list")]
    pub command: Vec<OsString>,
    /// Where it starts: absolute; by default the workspace.
    #[serde(with = "os_text::option")]
    pub directory: Option<PathBuf>,
    /// Variables on top of the sandbox's environment.
    #[serde(with = "os_text::pairs")]
    pub variables: Vec<(OsString, OsString)>,
    /// Which of the caller's streams are terminals; those become a pseudo-terminal of the sandbox.
    pub terminal: Terminal,
    /// Bytes of output that are passed on at most; the command is killed when it prints more.
    pub output: Option<u64>,
    /// Whether signals to this process go to the command instead, and its stops stop this process. For programs that do
    /// nothing else.
    pub take_signals: bool,
}

/// What came of a command.
#[derive(Clone, Debug)]
pub struct Executed {
    /// How it ended.
    pub outcome: Outcome,
    /// What it used, its descendants included that were waited for.
    pub usage: Usage,
    /// What was refused in the sandbox while it ran.
    pub denials: Vec<Denial>,
    /// How many attempts beyond the bound on distinct denials were only counted.
    pub denials_dropped: u64,
    /// Bytes passed on.
    pub output: OutputSizes,
    /// The end of what it printed to standard error.
    pub stderr_tail: Vec<u8>,
    /// Streams of the caller that could not be read or written.
    pub stream_failures: Vec<String>,
}

/// Runs a command by way of the supervisor at the other end, which can take another one then. `None` where it has ended before
/// it took the command.
pub(super) fn run(
    conversation: Conversation,
    exec: &Exec,
    directory: PathBuf,
    stdio: HostStdio,
    started: &mut dyn FnMut(),
) -> Result<Option<(Executed, Conversation)>, Error> {
    let (attached, inner) = Attached::new(stdio, exec.terminal, exec.output, exec.take_signals)?;
    let (streams, descriptors) = split(inner);
    let mut environment = vec![("PWD".into(), directory.clone().into_os_string())];
    environment.extend(exec.variables.iter().cloned());
    let command = Command { arguments: exec.command.clone(), environment, directory, terminal: exec.terminal };
    let along: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
    let ask = Ask::Run { command: Box::new(command), streams };
    if let Err(error) = conversation.send(&ask, &along) {
        return if is_gone(&error) { Ok(None) } else { Err(Error::Control(error)) };
    }
    drop(descriptors);
    let mut supervisor = Supervisor { conversation, told: false, started, end: None };
    let passed = match attached.follow(&mut supervisor) {
        Ok(passed) => passed,
        Err(stockade_linux::AttachError::Peer(error)) if is_gone(&error) && !supervisor.told => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let ended = match supervisor.end {
        Some(Ok(ended)) => ended,
        Some(Err(message)) => return Err(Error::Refused(message)),
        None => return Err(Error::Conversation(io::ErrorKind::UnexpectedEof.into())),
    };
    let Ended { outcome, usage, denials, denials_dropped } = ended;
    let outcome = if passed.exceeded { Outcome::OutputLimit } else { outcome };
    let stream_failures = passed.failures.iter().map(crate::account::with_causes).collect();
    let (output, stderr_tail) = (passed.output, passed.stderr_tail);
    let executed = Executed { outcome, usage, denials, denials_dropped, output, stderr_tail, stream_failures };
    Ok(Some((executed, supervisor.conversation)))
}

pub(super) fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

/// The kinds of the command's streams, and the descriptors of those that have one.
fn split(inner: InnerStdio) -> ([Stream; 3], Vec<OwnedFd>) {
    let all = [inner.stdin, inner.stdout, inner.stderr];
    let kinds = all.each_ref().map(|stream| match stream {
        InnerStream::Descriptor(_) => Stream::Descriptor,
        InnerStream::Null => Stream::Null,
        InnerStream::Terminal => Stream::Terminal,
    });
    let descriptors = all.into_iter().filter_map(|stream| match stream {
        InnerStream::Descriptor(descriptor) => Some(descriptor),
        _ => None,
    });
    (kinds, descriptors.collect())
}

/// The supervisor, as the streams' relay sees it.
struct Supervisor<'s> {
    conversation: Conversation,
    /// Whether it has said anything: the command is its then.
    told: bool,
    /// Called when it has taken the command.
    started: &'s mut dyn FnMut(),
    end: Option<Result<Ended, String>>,
}

impl Peer for Supervisor<'_> {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.conversation.as_fd()
    }

    fn next(&mut self) -> io::Result<Option<PeerNews>> {
        let Some(answer) = self.conversation.next()? else { return Ok(None) };
        self.told = true;
        match answer {
            Answer::Terminal => {
                let master = self.conversation.take_descriptor();
                master.map(PeerNews::Terminal).map(Some).ok_or_else(|| io::Error::other("no terminal came along"))
            }
            Answer::Started { .. } => {
                (self.started)();
                Ok(Some(PeerNews::Nothing))
            }
            Answer::Stopped => Ok(Some(PeerNews::Stopped)),
            Answer::Ended(ended) => {
                self.end = Some(Ok(*ended));
                Ok(Some(PeerNews::Ended))
            }
            Answer::Failed { message } => {
                self.end = Some(Err(message));
                Ok(Some(PeerNews::Ended))
            }
            Answer::Frozen { .. } | Answer::Status(_) | Answer::Stopping => {
                Err(io::Error::other("an answer out of place"))
            }
        }
    }

    fn signal(&mut self, signal: i32) -> io::Result<()> {
        self.conversation.send(&Ask::Signal { signal }, &[])
    }

    fn end(&mut self) -> io::Result<()> {
        self.conversation.send(&Ask::End, &[])
    }
}
