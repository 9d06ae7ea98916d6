//! What is typed: from the caller's terminal to the command's pseudo-terminal.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::PollFlags;
use rustix::io::Errno;

use super::caller::{CallerTerminal, collects_lines, end_of_input};
use super::error::RelayError;
use super::ticker::Ticker;

/// Bytes that are read from the terminal at once. A line has at most 4096 (`N_TTY_BUF_SIZE` of the kernel).
const CHUNK: usize = 4096;

/// How the caller's terminal is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Every key goes to the command: input and output are a terminal's, or the output goes to a file.
    Keys,
    /// Lines go to the command, and the terminal is left as it is: the output goes to another program, which may be a
    /// pager that wants the keys. (Both terminals then translate the ends of lines; a second carriage return does
    /// nothing. And the caller's terminal shows all that is typed, be it a password.)
    Lines,
    /// Nothing is read, since the command's input comes from elsewhere.
    Nothing,
}

/// The caller's terminal as an input.
#[derive(Debug)]
pub(super) struct Keyboard {
    terminal: CallerTerminal,
    usage: Use,
    /// Whether keys are passed on for now, though `usage` says otherwise.
    full_screen: bool,
    /// The relay's end of the pseudo-terminal.
    master: Option<OwnedFd>,
    /// What was read and not yet taken by the pseudo-terminal.
    pending: Vec<u8>,
    /// Whether the terminal may be read: it is ours, and neither hung up nor taken over by another program.
    open: bool,
    /// Ticks while this process is in the background. A shell that brings a running job to the foreground sends it no
    /// signal, so it has to look.
    background: Option<Ticker>,
}

impl Keyboard {
    pub(super) const fn new(terminal: CallerTerminal, usage: Use) -> Self {
        Self { terminal, usage, full_screen: false, master: None, pending: Vec::new(), open: false, background: None }
    }

    /// Connects the pseudo-terminal: it gets the modes and the size of the caller's.
    pub(super) fn attach(&mut self, master: OwnedFd) -> Result<(), RelayError> {
        self.terminal.copy_modes_to(&master, self.usage != Use::Lines)?;
        self.terminal.copy_size_to(&master)?;
        self.master = Some(master);
        self.resume()
    }

    const fn current(&self) -> Use {
        if self.full_screen { Use::Keys } else { self.usage }
    }

    /// Starts to use the terminal, if it is ours for now.
    pub(super) fn resume(&mut self) -> Result<(), RelayError> {
        let Some(master) = &self.master else { return Ok(()) };
        self.terminal.copy_size_to(master)?;
        if self.current() == Use::Keys {
            self.terminal.make_raw()?;
        }
        let ours = self.terminal.is_ours();
        self.open = self.current() != Use::Nothing && ours;
        match (&self.background, ours || self.current() == Use::Nothing) {
            (_, true) => self.background = None,
            (None, false) => self.background = Some(Ticker::start()?),
            (Some(_), false) => {}
        }
        Ok(())
    }

    /// Leaves the terminal as it was found.
    pub(super) fn suspend(&mut self) -> Result<(), RelayError> {
        self.open = false;
        self.background = None;
        self.terminal.restore()
    }

    pub(super) fn window_changed(&self) -> Result<(), RelayError> {
        self.master.as_ref().map_or(Ok(()), |master| self.terminal.copy_size_to(master))
    }

    /// The command ended: nothing more is read.
    pub(super) fn end(&mut self) {
        self.open = false;
        self.background = None;
        self.master = None;
        self.pending.clear();
    }

    /// What to wait for.
    pub(super) fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let master = self.master.as_ref()?;
        if !self.pending.is_empty() {
            return Some((master.as_fd(), PollFlags::OUT));
        }
        let input = if self.open { Some(self.terminal.as_fd()) } else { self.background.as_ref().map(AsFd::as_fd) };
        input.map(|fd| (fd, PollFlags::IN))
    }

    /// Passes on what was typed.
    pub(super) fn pump(&mut self, flags: PollFlags) -> Result<(), RelayError> {
        self.follow_modes()?;
        if self.pending.is_empty() {
            if let Some(ticker) = &self.background {
                ticker.take();
                return self.resume();
            }
            self.read(flags);
        }
        self.write();
        Ok(())
    }

    /// Called when the command has written to its terminal: a full-screen program that has taken that terminal out of
    /// line mode wants keys, and gets them until it ends, unless another program uses the caller's terminal likewise.
    pub(super) fn follow_modes(&mut self) -> Result<(), RelayError> {
        let Some(master) = &self.master else { return Ok(()) };
        if self.usage == Use::Keys {
            return Ok(());
        }
        let wanted = !collects_lines(master);
        if wanted == self.full_screen || (wanted && !self.terminal.collects_lines()) {
            return Ok(());
        }
        self.full_screen = wanted;
        if !wanted {
            self.terminal.restore()?;
        }
        self.resume()
    }

    fn read(&mut self, flags: PollFlags) {
        let lines = self.current() == Use::Lines;
        // Another program has taken the terminal over, so what is typed is not for the command; or it was hung up, which
        // the command learns from the SIGHUP that this process gets as well.
        if (lines && !self.terminal.collects_lines()) || flags.intersects(PollFlags::HUP | PollFlags::ERR) {
            self.open = false;
        }
        if !self.open {
            return;
        }
        let mut keys = [0; CHUNK];
        match rustix::io::read(&self.terminal, &mut keys) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            Ok(read) if read > 0 || lines => {
                self.pending.extend_from_slice(&keys[..read]);
                // In line mode, only `Ctrl-D` ends what was read otherwise than with a newline.
                if lines && keys[..read].last() != Some(&b'\n') {
                    self.pending.extend(self.master.as_ref().and_then(end_of_input));
                }
            }
            Ok(_) | Err(_) => self.open = false,
        }
    }

    fn write(&mut self) {
        let Some(master) = &self.master else { return };
        match rustix::io::write(master, &self.pending) {
            Ok(written) => drop(self.pending.drain(..written)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            // Nobody has the pseudo-terminal open any more.
            Err(_) => self.pending.clear(),
        }
    }
}
