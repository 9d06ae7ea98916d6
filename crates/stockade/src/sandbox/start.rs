//! Starts the supervisor of a sandbox that has none.

use std::io::BufReader;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::job::Work;
use crate::wire::{self, Message, Order};

/// The one argument with which the program is started as a supervisor.
const KEEP: &str = "keep";

/// What a supervisor is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Keep {
    pub(super) order: Order,
    /// The sandbox.
    pub(super) name: String,
    /// How long it stays when nothing runs in it, in milliseconds.
    pub(super) linger_ms: u64,
}

/// How a supervisor answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Kept {
    /// It listens at the control socket.
    Ready,
    /// Another one has the sandbox.
    Busy,
    /// It could not start.
    Failed(Message),
}

/// Starts `program`, a `stockade` of this version, as supervisor; it goes on when this process ends. Whether it listens now:
/// if not, another one was there before.
pub(super) fn start(program: &Path, work: Work<'_>, name: &str, linger_ms: u64) -> Result<bool, Error> {
    let (ours, theirs) = UnixStream::pair().map_err(Error::Conversation)?;
    let mut child = background(program, KEEP, OwnedFd::from(theirs))?;
    let keep = Keep { order: Order::new(work), name: name.to_owned(), linger_ms };
    wire::write(&ours, &keep).map_err(Error::Conversation)?;
    let answer = wire::read(&mut BufReader::new(ours)).map_err(Error::Conversation);
    // What was started ends at once, having made the supervisor; there is nothing to learn from its status.
    let _status = child.wait();
    match answer? {
        Some(Kept::Ready) => Ok(true),
        Some(Kept::Busy) => Ok(false),
        Some(Kept::Failed(message)) => Err(supervised(message)),
        None => Err(Error::Conversation(std::io::ErrorKind::UnexpectedEof.into())),
    }
}

/// Starts the program with one argument, and a socket as standard input, for work in the background.
pub(super) fn background(program: &Path, argument: &str, socket: OwnedFd) -> Result<Child, Error> {
    Command::new(program)
        .arg(argument)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|source| Error::Program { program: PathBuf::from(program), source })
}

/// What failed over there.
pub(super) fn supervised(message: Message) -> Error {
    match message {
        Message::Failed { message, causes, hint } => Error::Supervised { message, causes, hint },
        _ => Error::Conversation(std::io::ErrorKind::InvalidData.into()),
    }
}
