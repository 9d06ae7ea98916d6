//! The caller's end of a control socket.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recvmsg, sendmsg, socket_with,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ask::MAX_LINE;

/// Descriptors that come with one line: those of three streams.
pub(super) const MAX_DESCRIPTORS: usize = 3;
/// How long a supervisor may take to let a caller in, to answer a question, and to end. All that takes milliseconds where nothing
/// holds it up; what holds its sandbox up at the end, it waits a few seconds for.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes read at a time.
const PIECE: usize = 16 << 10;

/// Lines and descriptors over a stream socket.
#[derive(Debug)]
pub(super) struct Conversation {
    socket: OwnedFd,
    /// What was read and is no whole line yet.
    partial: Vec<u8>,
    /// How much of that holds no end of a line.
    searched: usize,
    descriptors: VecDeque<OwnedFd>,
    over: bool,
}

impl Conversation {
    pub(super) const fn new(socket: OwnedFd) -> Self {
        Self { socket, partial: Vec::new(), searched: 0, descriptors: VecDeque::new(), over: false }
    }

    /// Connects to the socket `name` in a directory. The length of the directory's path does not matter.
    pub(super) fn connect(directory: BorrowedFd<'_>, name: &str) -> io::Result<Self> {
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        // Where nobody lets callers in, connecting takes its time once enough of them wait. Sending waits longer, below.
        set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
        connect(&socket, &address(directory, name)?)?;
        Ok(Self::new(socket))
    }

    pub(super) const fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Sends one line, waiting as long as it takes.
    pub(super) fn send(&self, value: &impl Serialize, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let line = line(value)?;
        let (mut rest, mut along) = (line.as_slice(), descriptors);
        while !rest.is_empty() {
            match send_some(&self.socket, rest, along, SendFlags::NOSIGNAL) {
                Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
                Err(Errno::AGAIN) => wait(&self.socket, PollFlags::OUT, None)?,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            along = &[];
        }
        Ok(())
    }

    /// The next line, if a whole one is there. `UnexpectedEof` when there will be none any more.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        loop {
            let unseen = self.partial.get(self.searched..).unwrap_or_default();
            if let Some(end) = unseen.iter().position(|byte| *byte == b'\n') {
                let rest = self.partial.split_off(self.searched + end + 1);
                self.searched = 0;
                let line = std::mem::replace(&mut self.partial, rest);
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            self.searched = self.partial.len();
            if self.over {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if self.partial.len() > MAX_LINE {
                return Err(io::Error::other("a line at the control socket is too long"));
            }
            if !self.read()? {
                return Ok(None);
            }
        }
    }

    /// The next line, however long it takes.
    pub(super) fn wait<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        loop {
            if let Some(value) = self.next()? {
                return Ok(value);
            }
            wait(&self.socket, PollFlags::IN, None)?;
        }
    }

    /// The next line, if it comes within this time; `TimedOut` otherwise.
    pub(super) fn wait_within<T: DeserializeOwned>(&mut self, patience: Duration) -> io::Result<T> {
        let until = Instant::now() + patience;
        loop {
            if let Some(value) = self.next()? {
                return Ok(value);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            wait(&self.socket, PollFlags::IN, Some(left))?;
        }
    }

    /// The next descriptor that came along.
    pub(super) fn take_descriptor(&mut self) -> Option<OwnedFd> {
        self.descriptors.pop_front()
    }

    /// Reads what is there; whether there was anything.
    fn read(&mut self) -> io::Result<bool> {
        let mut buffer = [0; PIECE];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let count = match recvmsg(&self.socket, &mut [IoSliceMut::new(&mut buffer)], &mut control, flags) {
            Ok(received) => received.bytes,
            Err(Errno::AGAIN) => return Ok(false),
            Err(Errno::INTR) => return Ok(true),
            Err(Errno::CONNRESET) => 0,
            Err(error) => return Err(error.into()),
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                self.descriptors.extend(rights);
                self.descriptors.truncate(MAX_DESCRIPTORS);
            }
        }
        self.over = count == 0;
        self.partial.extend_from_slice(&buffer[..count]);
        Ok(true)
    }
}

impl AsFd for Conversation {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// One value as a line.
pub(super) fn line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

/// Sends as much as there is room for.
pub(super) fn send_some(
    socket: &OwnedFd,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> rustix::io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::INVAL);
    }
    sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags)
}

/// The address of a socket in an open directory: paths of sockets have 107 bytes at most (`unix(7)`), and state directories
/// may lie deeper.
pub(super) fn address(directory: BorrowedFd<'_>, name: &str) -> io::Result<SocketAddrUnix> {
    use std::os::fd::AsRawFd;
    Ok(SocketAddrUnix::new(format!("/proc/self/fd/{}/{name}", directory.as_raw_fd()))?)
}

/// Waits for an event, at most for a while.
fn wait(socket: &OwnedFd, flags: PollFlags, most: Option<Duration>) -> io::Result<()> {
    // Rounded up, so that the time has really come when poll returns.
    let most = most.and_then(|most| Timespec::try_from(most + Duration::from_micros(100)).ok());
    match poll(&mut [PollFd::new(socket, flags)], most.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
