//! Runs a job from a process with several threads, by way of the `stockade` program, which has one.

use std::io::{BufReader, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use stockade_linux::relay::HostStdio;
use stockade_spec::Report;

use crate::error::Error;
use crate::event::Event;
use crate::job::{Job, Work};
use crate::run::policy;
use crate::wire::{self, Message, Order};

/// As [`crate::run()`], for a process with several threads: `program`, a `stockade` of this version, supervises the run. The
/// policy is merged here; the program is given that, and reads no policy files and no environment.
///
/// When this process ends before the run does, the program ends the run. Nobody is asked about endpoints that no rule names:
/// they are refused.
///
/// # Errors
/// As [`crate::run()`]; and when the program cannot be started or is of another version. What fails over there arrives as
/// [`Error::Supervised`].
pub fn run_by(
    program: &Path,
    job: &Job<'_>,
    stdio: HostStdio,
    mut observe: impl FnMut(Event<'_>),
) -> Result<Report, Error> {
    let policy = policy(job)?;
    let (ours, theirs) = UnixStream::pair().map_err(Error::Conversation)?;
    let child = Command::new(program)
        .arg("supervise")
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .spawn()
        .map_err(|source| Error::Program { program: program.to_owned(), source })?;
    let _reaped = Reaped(child);
    send_streams(&ours, stdio).map_err(|error| Error::Conversation(error.into()))?;
    wire::write(&ours, &Order::new(Work::of(job, &policy))).map_err(Error::Conversation)?;
    let mut input = BufReader::new(ours);
    loop {
        match wire::read(&mut input).map_err(Error::Conversation)? {
            Some(Message::Ended(report)) => {
                observe(Event::Ended(&report));
                return Ok(*report);
            }
            Some(Message::Failed { message, causes, hint }) => return Err(Error::Supervised { message, causes, hint }),
            Some(other) => observe_one(&other, &mut observe),
            None => return Err(Error::Conversation(std::io::ErrorKind::UnexpectedEof.into())),
        }
    }
}

fn observe_one(message: &Message, observe: &mut impl FnMut(Event<'_>)) {
    match message {
        Message::Recovered { workspace, quarantined, failures } => {
            observe(Event::Recovered { workspace: workspace.as_deref().map(Path::new), quarantined, failures });
        }
        Message::Started(plan) => observe(Event::Started(plan)),
        Message::Denied(denial) => observe(Event::Denied(denial)),
        Message::Connected(connection) => observe(Event::Connected(connection)),
        Message::Ended(_) | Message::Failed { .. } => {}
    }
}

/// Sends the streams along with one byte; they are closed here.
fn send_streams(socket: &UnixStream, stdio: HostStdio) -> rustix::io::Result<()> {
    let streams = [stdio.stdin.as_fd(), stdio.stdout.as_fd(), stdio.stderr.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fits = control.push(SendAncillaryMessage::ScmRights(&streams));
    debug_assert!(fits, "the space is made for three descriptors");
    sendmsg(socket, &[IoSlice::new(b"\n")], &mut control, SendFlags::NOSIGNAL).map(|_one_byte| ())
}

/// A child that leaves no zombie behind. It ends by itself when the conversation does.
#[derive(Debug)]
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // There is nothing to learn from its status: what it had to say came through the socket.
        let _status = self.0.wait();
    }
}
