//! One caller at the control socket.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::SendFlags;
use stockade_linux::StreamKind;
use stockade_linux::relay::{InnerStdio, InnerStream};

use crate::sandbox::ask::{Answer, Ask, MAX_LINE};
use crate::sandbox::conversation::{Conversation, line, send_some};

/// A caller.
#[derive(Debug)]
pub(super) struct Connection {
    conversation: Conversation,
    /// What could not be sent yet. With more than one line may have, the caller is let go.
    waiting: Vec<u8>,
    /// What holds every process still.
    frozen: Option<Box<dyn std::fmt::Debug>>,
}

/// What a caller said.
#[derive(Debug)]
pub(super) enum Said {
    Nothing,
    Ask(Box<Ask>),
    /// It is gone, or cannot be understood.
    Over,
}

impl Connection {
    pub(super) const fn new(socket: OwnedFd) -> Self {
        Self { conversation: Conversation::new(socket), waiting: Vec::new(), frozen: None }
    }

    pub(super) fn hear(&mut self) -> Said {
        match self.conversation.next() {
            Ok(Some(ask)) => Said::Ask(Box::new(ask)),
            Ok(None) => Said::Nothing,
            Err(_) => Said::Over,
        }
    }

    /// Keeps what holds every process still, until the connection ends.
    pub(super) fn hold(&mut self, frozen: Box<dyn std::fmt::Debug>) {
        self.frozen = Some(frozen);
    }

    /// Lets go of what is held.
    pub(super) fn thaw(&mut self) {
        self.frozen = None;
    }

    /// The command's streams; `None` where a descriptor is missing.
    pub(super) fn take_streams(&mut self, kinds: [StreamKind; 3]) -> Option<InnerStdio> {
        let mut stream = |kind| match kind {
            StreamKind::Null => Some(InnerStream::Null),
            StreamKind::Terminal => Some(InnerStream::Terminal),
            StreamKind::Descriptor => self.conversation.take_descriptor().map(InnerStream::Descriptor),
        };
        let [stdin, stdout, stderr] = kinds;
        Some(InnerStdio { stdin: stream(stdin)?, stdout: stream(stdout)?, stderr: stream(stderr)? })
    }

    /// Sends an answer as far as there is room for it; the rest waits.
    ///
    /// # Errors
    /// When the caller is gone, or has too much to read already.
    pub(super) fn tell(&mut self, answer: &Answer, descriptor: Option<OwnedFd>) -> io::Result<()> {
        let line = line(answer)?;
        if !self.waiting.is_empty() || line.len() > MAX_LINE {
            // A descriptor goes along with its own line only.
            if descriptor.is_some() || self.waiting.len() + line.len() > MAX_LINE {
                return Err(io::Error::other("the caller does not read"));
            }
            self.waiting.extend_from_slice(&line);
            return Ok(());
        }
        let along: Vec<BorrowedFd<'_>> = descriptor.iter().map(AsFd::as_fd).collect();
        let sent = match self.send(&line, &along) {
            Err(Errno::AGAIN) if along.is_empty() => 0,
            sent => sent?,
        };
        self.waiting.extend_from_slice(line.get(sent..).unwrap_or_default());
        Ok(())
    }

    /// Sends what waits; whether the caller is still there.
    pub(super) fn flush(&mut self) -> bool {
        match self.send(&self.waiting, &[]) {
            Ok(sent) => {
                self.waiting.drain(..sent);
                true
            }
            Err(Errno::AGAIN | Errno::INTR) => true,
            Err(_) => false,
        }
    }

    pub(super) const fn wants_to_write(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn send(&self, bytes: &[u8], along: &[BorrowedFd<'_>]) -> rustix::io::Result<usize> {
        send_some(self.conversation.socket(), bytes, along, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.conversation.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::time::{Duration, Instant};

    use stockade_linux::denials::{Attempt, DenialLog};
    use stockade_spec::report::{Area, MAX_DENIALS, Outcome, Usage};

    use super::*;
    use crate::sandbox::ask::Ended;

    /// As many denials as there may be, each about the longest path, of which JSON writes every byte as six.
    fn longest() -> Ended {
        let mut log = DenialLog::new(Instant::now(), |_| {});
        for n in 0..MAX_DENIALS {
            let target = format!("/{n}{}", "\u{1}".repeat(4096));
            log.record(Attempt::new(Area::Files, "read", &target).rule("**/secret*").suggestion(target));
        }
        let (outcome, usage) = (Outcome::Exited { status: 0 }, Usage::default());
        Ended { outcome, usage, denials: log.denials().to_vec(), denials_dropped: log.dropped() }
    }

    #[test]
    fn the_longest_report_gets_through() {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        ours.set_nonblocking(true).expect("it does not block");
        let (mut connection, mut caller) = (Connection::new(ours.into()), Conversation::new(theirs.into()));
        connection.tell(&Answer::Ended(Box::new(longest())), None).expect("it is taken");
        let started = Instant::now();
        let answer = loop {
            assert!(connection.flush());
            if let Some(answer) = caller.next().expect("it can be read") {
                break answer;
            }
        };
        assert!(matches!(answer, Answer::Ended(ended) if ended.denials.len() == MAX_DENIALS));
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    }
}
