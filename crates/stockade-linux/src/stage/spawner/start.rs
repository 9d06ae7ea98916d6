//! Starting one command.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;

use rustix::process::Pid;
use stockade_spec::plan;

use super::leader;
use super::message::{FromSpawner, StreamKind};
use crate::relay::{InnerStdio, InnerStream};
use crate::stage::channel::Channel;
use crate::stage::command::Command;
use crate::stage::streams::{StreamError, Streams};
use crate::sys::clone::{Memory, exit_now, spawn};
use crate::sys::signals::Mask;

/// Starts a command: the new child, and whether that is the leader of a session that starts it.
pub(super) fn start(
    channel: &Channel,
    mask: Mask,
    id: u32,
    streams: [StreamKind; 3],
    descriptors: Vec<OwnedFd>,
) -> io::Result<(Pid, bool)> {
    let mut descriptors = descriptors.into_iter();
    let command = Command::prepare(&read(descriptors.next())?)?;
    let streams = Streams::open(connect(streams, descriptors)?).map_err(system_error)?;
    let controller = streams.controller();
    if let Some(controller) = controller {
        channel.send(&FromSpawner::Terminal { id }.encode(), &[controller])?;
    }
    let led = controller.is_some();
    let task = Task { channel, mask, id, command, streams };
    // A leader goes on beside the spawner; what becomes a program at once needs no memory of its own.
    let pid =
        if led { spawn(&task, leader::run, Memory::Own)? } else { spawn(&task, Task::become_program, Memory::Shared)? };
    Ok((pid, led))
}

/// What a new process works with.
pub(super) struct Task<'a> {
    pub(super) channel: &'a Channel,
    pub(super) mask: Mask,
    pub(super) id: u32,
    pub(super) command: Command,
    pub(super) streams: Streams,
}

impl Task<'_> {
    /// Becomes the program, or tells why not.
    pub(super) fn become_program(&self) -> ! {
        let error = self.command.become_program(&self.streams, self.mask);
        let errno = error.raw_os_error().unwrap_or(libc::EINVAL);
        // Where the supervisor is gone, so is this process in a moment.
        drop(self.channel.send(&FromSpawner::ExecFailed { id: self.id, errno }.encode(), &[]));
        exit_now(127)
    }
}

/// The command, from the file that the supervisor wrote.
fn read(file: Option<OwnedFd>) -> io::Result<plan::Command> {
    let mut file = File::from(file.ok_or(io::ErrorKind::InvalidInput)?);
    file.seek(SeekFrom::Start(0))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

fn connect(kinds: [StreamKind; 3], mut descriptors: impl Iterator<Item = OwnedFd>) -> io::Result<InnerStdio> {
    let mut stream = |kind| match kind {
        StreamKind::Null => Ok(InnerStream::Null),
        StreamKind::Terminal => Ok(InnerStream::Terminal),
        StreamKind::Descriptor => {
            descriptors.next().map(InnerStream::Descriptor).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
        }
    };
    let [stdin, stdout, stderr] = kinds;
    Ok(InnerStdio { stdin: stream(stdin)?, stdout: stream(stdout)?, stderr: stream(stderr)? })
}

/// The system's error number is what crosses to the supervisor.
fn system_error(error: StreamError) -> io::Error {
    let causes = std::iter::successors(Some(&error as &(dyn std::error::Error + 'static)), |cause| cause.source());
    let errno = causes.filter_map(|cause| cause.downcast_ref::<io::Error>()?.raw_os_error()).last();
    io::Error::from_raw_os_error(errno.unwrap_or(libc::EIO))
}
