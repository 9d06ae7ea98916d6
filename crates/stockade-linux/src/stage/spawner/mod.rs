//! The spawner of a sandbox that lasts: the child of init that starts commands whenever the supervisor asks.
//!
//! It has installed the Landlock domain and the system-call filter once, for itself and all that it starts: a command costs a
//! fork and an exec, and commands can signal and trace each other as processes of one sandbox. In return it shares domain and
//! user with hostile code, which may kill it; then init ends the sandbox. It is not dumpable, so nothing inside can look into
//! it or trace it.

mod leader;
pub mod message;
mod session;
mod start;

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal};

use self::message::{FromSpawner, ToSpawner};
use super::channel::{Channel, Received};
use super::message::Status;
use crate::sys::signals::{Mask, Signals};
use crate::sys::wait::{self, Change};

/// What the spawner works with.
#[derive(Debug)]
struct Spawner {
    channel: Channel,
    /// The signal mask that commands start with.
    mask: Mask,
    children: Signals,
    /// The process of each command that has not ended: itself, or the leader of its terminal's session.
    commands: HashMap<Pid, Running>,
}

/// One command.
#[derive(Clone, Copy, Debug)]
struct Running {
    id: u32,
    /// Whether the process is the leader of a session, which tells of the command itself.
    led: bool,
}

/// Starts commands until the supervisor is gone. Never returns.
pub(super) fn run(channel: Channel, mask: Mask) -> ! {
    let ended = Signals::block(&[libc::SIGCHLD]).and_then(|children| {
        let mut spawner = Spawner { channel, mask, children, commands: HashMap::new() };
        spawner.serve()
    });
    crate::sys::clone::exit_now(i32::from(ended.is_err()))
}

impl Spawner {
    fn serve(&mut self) -> io::Result<()> {
        loop {
            while self.children.next()?.is_some() {}
            self.reap()?;
            if !self.take_orders()? {
                return Ok(());
            }
            let mut set = [
                PollFd::from_borrowed_fd(self.channel.as_fd(), PollFlags::IN),
                PollFd::new(self.children.descriptor(), PollFlags::IN),
            ];
            match poll(&mut set, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether the supervisor is still there.
    fn take_orders(&mut self) -> io::Result<bool> {
        loop {
            let (packet, descriptors) = match self.channel.receive()? {
                Received::Packet(packet, descriptors) => (packet, descriptors),
                Received::Nothing => return Ok(true),
                Received::Closed => return Ok(false),
            };
            let order =
                ToSpawner::decode(&packet).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            match order {
                ToSpawner::Start { id, streams } => self.start(id, streams, descriptors)?,
                ToSpawner::Signal { id, signal } => self.signal(id, signal),
                ToSpawner::End { id } => {
                    if let Some((pid, _)) = self.find(id) {
                        session::kill(pid);
                    }
                }
            }
        }
    }

    fn start(
        &mut self,
        id: u32,
        streams: [message::StreamKind; 3],
        descriptors: Vec<std::os::fd::OwnedFd>,
    ) -> io::Result<()> {
        match start::start(&self.channel, self.mask, id, streams, descriptors) {
            Ok((pid, led)) => {
                self.commands.insert(pid, Running { id, led });
                Ok(())
            }
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(libc::EIO);
                self.tell(FromSpawner::NotStarted { id, errno })
            }
        }
    }

    fn find(&self, id: u32) -> Option<(Pid, Running)> {
        self.commands.iter().find(|(_, running)| running.id == id).map(|(&pid, &running)| (pid, running))
    }

    fn signal(&self, id: u32, signal: i32) {
        let Some((pid, running)) = self.find(id) else { return };
        let signal = if running.led && signal == libc::SIGSTOP { leader::STOP } else { signal };
        let Some(signal) = Signal::from_named_raw(signal) else { return };
        // A leader passes it on. A command without a terminal leads its own process group. Either may have ended meanwhile;
        // then there is nothing to signal.
        if running.led || rustix::process::kill_process_group(pid, signal).is_err() {
            rustix::process::kill_process(pid, signal).ok();
        }
    }

    /// Tells of every child that has ended or was stopped.
    fn reap(&mut self) -> io::Result<()> {
        loop {
            let (pid, change, usage) = match wait::next() {
                Ok(Some(child)) => child,
                Ok(None) => return Ok(()),
                Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Ok(()),
                Err(error) => return Err(error),
            };
            let Some(&Running { id, led }) = self.commands.get(&pid) else { continue };
            let status = match change {
                // Only code inside stops a leader. Nobody would hear of its command any more, and what has stopped it once can do
                // it again: it ends, of which there is news then.
                Change::Stopped(_) if led => {
                    session::kill(pid);
                    continue;
                }
                Change::Stopped(signal) => {
                    self.tell(FromSpawner::Stopped { id, signal })?;
                    continue;
                }
                Change::Exited(status) => exited(status),
                Change::Signaled(signal) => Status::Signaled(signal),
            };
            self.commands.remove(&pid);
            // A leader that came to its own end has told how the command ended.
            if led && status == Status::Exited(0) {
                continue;
            }
            // With any other its command may go on, which is not to be told as an end.
            if led {
                session::kill_rest(pid);
            }
            self.tell(ended(id, status, usage))?;
        }
    }

    fn tell(&self, message: FromSpawner) -> io::Result<()> {
        self.channel.send(&message.encode(), &[])
    }
}

fn exited(status: i32) -> Status {
    Status::Exited(u8::try_from(status & 0xff).unwrap_or(u8::MAX))
}

fn ended(id: u32, status: Status, usage: crate::sys::usage::ChildUsage) -> FromSpawner {
    let crate::sys::usage::ChildUsage { user_us, system_us, peak_resident } = usage;
    FromSpawner::Ended { id, status, user_us, system_us, peak_resident }
}
