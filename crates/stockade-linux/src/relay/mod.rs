//! Connects the command's standard streams with the caller's.
//!
//! The command never gets a descriptor of the caller: each stream that is not a terminal becomes a pipe of its own, and
//! those that are terminals become one pseudo-terminal. The relay has no thread and waits for nothing by itself: it
//! says what it waits for ([`Relay::interests`]), its owner polls, and [`Relay::ready`] moves what can be moved. A caller
//! that reads slowly slows the command down, and nothing else.
//!
//! The process must ignore `SIGPIPE` (programs in Rust do), and the command must get the default action back.
//!
//! Bytes are passed on unchanged, escape sequences for the caller's terminal included, as without a sandbox.

mod budget;
mod error;
mod input;
mod output;
mod sink;
mod stdio;
mod tail;

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use stockade_spec::report::OutputSizes;
use stockade_spec::request::Terminal;

use budget::Budget;
pub use error::{RelayError, Stream};
use input::Input;
use output::Output;
use sink::Sink;
pub use stdio::{HostStdio, InnerStdio, InnerStream};
use stdio::{examine, is_null, joined};
pub use tail::TAIL_BYTES;

/// What happened besides bytes being moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayEvent {
    /// Nothing.
    Nothing,
    /// The command wrote more than the output limit. Told once; what exceeds the limit is discarded.
    OutputLimit,
}

/// The streams of one run.
#[derive(Debug)]
pub struct Relay {
    input: Option<Input>,
    outputs: Vec<Output>,
    budget: Budget,
}

/// One of the things that the relay waits for.
#[derive(Clone, Copy, Debug)]
enum Role {
    Input,
    Output(usize),
}

impl Relay {
    /// Prepares the streams and makes what the command gets. `limit` bounds the bytes of all output together.
    ///
    /// # Errors
    ///
    /// [`RelayError::Examine`] if a descriptor of the caller is unusable, [`RelayError::Pipe`] if no pipe can be made.
    pub fn new(host: HostStdio, terminal: Terminal, limit: Option<u64>) -> Result<(Self, InnerStdio), RelayError> {
        let mut relay = Self { input: None, outputs: Vec::with_capacity(2), budget: Budget::new(limit) };
        let (out_stat, err_stat) = (examine(&host.stdout, Stream::Stdout)?, examine(&host.stderr, Stream::Stderr)?);
        let one_pipe = !terminal.stdout && !terminal.stderr && joined(&host, &out_stat, &err_stat);
        let stdin = relay.connect_input(host.stdin, terminal.stdin)?;
        let (stdout, stderr) = if one_pipe {
            let stdout = relay.connect_output(Stream::Stdout, Sink::new(host.stdout, &out_stat), true)?;
            let stderr = stdout.try_clone().map_err(|source| RelayError::Pipe { stream: Stream::Stderr, source })?;
            (InnerStream::Descriptor(stdout), InnerStream::Descriptor(stderr))
        } else {
            let mut connect = |stream, fd, stat, terminal| {
                if terminal {
                    return Ok(InnerStream::Terminal);
                }
                let sink = Sink::new(fd, stat);
                relay.connect_output(stream, sink, stream == Stream::Stderr).map(InnerStream::Descriptor)
            };
            (
                connect(Stream::Stdout, host.stdout, &out_stat, terminal.stdout)?,
                connect(Stream::Stderr, host.stderr, &err_stat, terminal.stderr)?,
            )
        };
        Ok((relay, InnerStdio { stdin, stdout, stderr }))
    }

    fn connect_input(&mut self, host: OwnedFd, terminal: bool) -> Result<InnerStream, RelayError> {
        if terminal {
            return Ok(InnerStream::Terminal);
        }
        let stat = examine(&host, Stream::Stdin)?;
        if is_null(&stat) {
            return Ok(InnerStream::Null);
        }
        let (input, command) = Input::new(host, &stat)?;
        self.input = Some(input);
        Ok(InnerStream::Descriptor(command))
    }

    fn connect_output(&mut self, stream: Stream, sink: Sink, keep_tail: bool) -> Result<OwnedFd, RelayError> {
        let failed = |error: Errno| RelayError::Pipe { stream, source: error.into() };
        let (source, command) = pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
        fcntl_setfl(&source, OFlags::NONBLOCK).map_err(failed)?;
        self.outputs.push(Output::new(stream, source, sink, keep_tail));
        Ok(command)
    }

    /// Appends the descriptors that the relay waits for.
    pub fn interests<'a>(&'a self, set: &mut Vec<PollFd<'a>>) {
        set.extend(self.roles().filter_map(|role| {
            let (fd, flags) = match role {
                Role::Input => self.input.as_ref()?.interest()?,
                Role::Output(index) => self.outputs.get(index)?.interest()?,
            };
            Some(PollFd::from_borrowed_fd(fd, flags))
        }));
    }

    /// Who waits for something, in the order of [`Relay::interests`].
    fn roles(&self) -> impl Iterator<Item = Role> {
        let input = self.input.as_ref().and_then(Input::interest).map(|_| Role::Input);
        let outputs = self.outputs.iter().enumerate().filter(|(_, output)| output.interest().is_some());
        input.into_iter().chain(outputs.map(|(index, _)| Role::Output(index)))
    }

    /// Moves what can be moved. `revents` has what `poll(2)` returned for the descriptors that [`Relay::interests`]
    /// appended last, in their order and number.
    ///
    /// # Errors
    ///
    /// One stream failed and is closed; the others go on, so the caller may go on too.
    pub fn ready(&mut self, revents: &[PollFlags]) -> Result<RelayEvent, RelayError> {
        let mut failed = None;
        let roles: Vec<Role> = self.roles().collect();
        for role in roles.into_iter().zip(revents).filter(|(_, flags)| !flags.is_empty()).map(|(role, _)| role) {
            let result = match role {
                Role::Input => self.input.as_mut().map_or(Ok(()), Input::pump),
                Role::Output(index) => match self.outputs.get_mut(index) {
                    Some(output) => output.pump(&mut self.budget),
                    None => Ok(()),
                },
            };
            failed = failed.or(result.err());
        }
        failed.map_or_else(|| Ok(self.news()), Err)
    }

    fn news(&mut self) -> RelayEvent {
        if self.budget.report() { RelayEvent::OutputLimit } else { RelayEvent::Nothing }
    }

    /// The command ended: gives back what it left of the input, and passes on what it left in its pipes as far as the
    /// caller takes it at once. Until [`Relay::is_done`], the owner goes on polling; a process that outlived the command
    /// and still writes delays nothing.
    ///
    /// # Errors
    ///
    /// One stream failed and is closed; the others are served all the same.
    pub fn end(&mut self) -> Result<RelayEvent, RelayError> {
        let mut failed = self.input.take().and_then(|mut input| input.end().err());
        for output in &mut self.outputs {
            failed = failed.or(output.end(&mut self.budget).err());
        }
        failed.map_or_else(|| Ok(self.news()), Err)
    }

    /// Whether all output was passed on that will be.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.outputs.iter().all(Output::is_done)
    }

    /// [`Relay::end`], and then waits until all is passed on: as long as the caller takes to read it.
    ///
    /// # Errors
    ///
    /// As [`Relay::end`], and [`RelayError::Wait`].
    pub fn finish(&mut self) -> Result<RelayEvent, RelayError> {
        let mut event = self.end()?;
        while !self.is_done() {
            let mut set = Vec::with_capacity(2);
            self.interests(&mut set);
            match poll(&mut set, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(RelayError::Wait(error.into())),
            }
            let revents: Vec<PollFlags> = set.iter().map(PollFd::revents).collect();
            if self.ready(&revents)? == RelayEvent::OutputLimit {
                event = RelayEvent::OutputLimit;
            }
        }
        Ok(event)
    }

    /// Bytes passed on so far. Where the caller joined standard output and standard error, all count as the former.
    #[must_use]
    pub fn sizes(&self) -> OutputSizes {
        let mut sizes = OutputSizes::default();
        for output in &self.outputs {
            match output.stream() {
                Stream::Stderr => sizes.stderr += output.passed(),
                _ => sizes.stdout += output.passed(),
            }
        }
        sizes
    }

    /// The last [`TAIL_BYTES`] of standard error, or of the stream or pseudo-terminal that it is part of.
    #[must_use]
    pub fn stderr_tail(&self) -> &[u8] {
        self.outputs.iter().find_map(Output::tail).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
