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
mod caller;
mod connect;
mod error;
mod input;
mod keyboard;
mod output;
mod pair;
mod sink;
mod source;
mod stdio;
mod tail;
mod ticker;

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;
use stockade_spec::report::OutputSizes;
use stockade_spec::request::Terminal;

use budget::Budget;
use connect::connect;
pub use error::{RelayError, Stream};
use input::Input;
use keyboard::Keyboard;
use output::Output;
pub use pair::{TerminalPair, open_terminal};
use sink::Sink;
pub use stdio::{HostStdio, InnerStdio, InnerStream};
pub use tail::TAIL_BYTES;

/// What happened besides bytes being moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayEvent {
    /// Nothing.
    Nothing,
    /// The command wrote more than the output limit. Told once; what exceeds the limit is discarded.
    OutputLimit,
}

/// The streams of one run. When it is dropped, the caller's terminal is as it was.
#[derive(Debug)]
pub struct Relay {
    input: Option<Input>,
    keyboard: Option<Keyboard>,
    /// Where the output of the pseudo-terminal will go, until that is attached.
    screen: Option<Sink>,
    outputs: Vec<Output>,
    budget: Budget,
}

/// One of the things that the relay waits for.
#[derive(Clone, Copy, Debug)]
enum Role {
    Input,
    Keyboard,
    Output(usize),
}

impl Relay {
    /// Prepares the streams and says what the command gets. `limit` bounds the bytes of all output together. Streams
    /// that `terminal` marks wait for [`Relay::attach_terminal`].
    ///
    /// # Errors
    ///
    /// [`RelayError::Examine`] if a descriptor of the caller is unusable, [`RelayError::Pipe`] if no pipe can be made.
    pub fn new(host: HostStdio, terminal: Terminal, limit: Option<u64>) -> Result<(Self, InnerStdio), RelayError> {
        let connected = connect(host, terminal)?;
        let relay = Self {
            input: connected.input,
            keyboard: connected.keyboard,
            screen: connected.screen,
            outputs: connected.outputs,
            budget: Budget::new(limit),
        };
        Ok((relay, connected.inner))
    }

    /// Connects the master of the command's pseudo-terminal ([`open_terminal`]) with the caller's terminal, which is
    /// made raw if this process is in the foreground.
    ///
    /// # Errors
    ///
    /// [`RelayError::Terminal`]; the caller's terminal is as it was.
    pub fn attach_terminal(&mut self, master: OwnedFd) -> Result<(), RelayError> {
        let failed = |operation| move |source| RelayError::Terminal { operation, source };
        let (Some(keyboard), Some(screen)) = (&mut self.keyboard, self.screen.take()) else { return Ok(()) };
        fcntl_setfl(&master, OFlags::RDWR | OFlags::NONBLOCK)
            .map_err(|error| failed("use the pseudo-terminal")(error.into()))?;
        let source = master.try_clone().map_err(failed("use the pseudo-terminal"))?;
        keyboard.attach(master)?;
        let keep_tail = self.outputs.iter().all(|output| output.tail().is_none());
        self.outputs.push(Output::new(Stream::Terminal, source, screen, keep_tail));
        Ok(())
    }

    /// Whether the command has a pseudo-terminal, connected with the caller's.
    pub(crate) const fn has_terminal(&self) -> bool {
        self.keyboard.is_some()
    }

    /// The caller's window has another size (`SIGWINCH`): so gets the command's.
    ///
    /// # Errors
    ///
    /// [`RelayError::Terminal`].
    pub fn window_changed(&self) -> Result<(), RelayError> {
        self.keyboard.as_ref().map_or(Ok(()), Keyboard::window_changed)
    }

    /// Leaves the caller's terminal as it was found. To be called before this process stops itself.
    ///
    /// # Errors
    ///
    /// [`RelayError::Terminal`].
    pub fn suspend(&mut self) -> Result<(), RelayError> {
        self.keyboard.as_mut().map_or(Ok(()), Keyboard::suspend)
    }

    /// Uses the caller's terminal again, if this process is in its foreground; otherwise as soon as it is. To be called
    /// on every `SIGCONT`.
    ///
    /// # Errors
    ///
    /// [`RelayError::Terminal`].
    pub fn resume(&mut self) -> Result<(), RelayError> {
        self.keyboard.as_mut().map_or(Ok(()), Keyboard::resume)
    }

    /// Appends the descriptors that the relay waits for.
    pub fn interests<'a>(&'a self, set: &mut Vec<PollFd<'a>>) {
        set.extend(self.roles().filter_map(|role| {
            let (fd, flags) = match role {
                Role::Input => self.input.as_ref()?.interest()?,
                Role::Keyboard => self.keyboard.as_ref()?.interest()?,
                Role::Output(index) => self.outputs.get(index)?.interest()?,
            };
            Some(PollFd::from_borrowed_fd(fd, flags))
        }));
    }

    /// Who waits for something, in the order of [`Relay::interests`].
    fn roles(&self) -> impl Iterator<Item = Role> {
        let input = self.input.as_ref().and_then(Input::interest).map(|_| Role::Input);
        let keyboard = self.keyboard.as_ref().and_then(Keyboard::interest).map(|_| Role::Keyboard);
        let outputs = self.outputs.iter().enumerate().filter(|(_, output)| output.interest().is_some());
        input.into_iter().chain(keyboard).chain(outputs.map(|(index, _)| Role::Output(index)))
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
        for (role, &flags) in roles.into_iter().zip(revents).filter(|(_, flags)| !flags.is_empty()) {
            failed = failed.or(self.serve(role, flags).err());
        }
        failed.map_or_else(|| Ok(self.news()), Err)
    }

    fn serve(&mut self, role: Role, flags: PollFlags) -> Result<(), RelayError> {
        match role {
            Role::Input => self.input.as_mut().map_or(Ok(()), Input::pump),
            Role::Keyboard => self.keyboard.as_mut().map_or(Ok(()), |keyboard| keyboard.pump(flags)),
            Role::Output(index) => {
                let Some(output) = self.outputs.get_mut(index) else { return Ok(()) };
                output.pump(&mut self.budget)?;
                match &mut self.keyboard {
                    Some(keyboard) if output.stream() == Stream::Terminal => keyboard.follow_modes(),
                    _ => Ok(()),
                }
            }
        }
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
        if let Some(keyboard) = &mut self.keyboard {
            keyboard.end();
        }
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
        self.suspend()?;
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
