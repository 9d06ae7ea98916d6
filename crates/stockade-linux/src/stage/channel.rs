//! The pair of sockets between the supervisor and what is inside.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use super::message::{MAX_NAME_SERVERS, MAX_NOTICES, MAX_PACKET};

/// Descriptors that may accompany one message.
const MAX_DESCRIPTORS: usize = 4 + 2 * MAX_NAME_SERVERS as usize + MAX_NOTICES as usize;

/// One end.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

/// What came out of a channel.
#[derive(Debug)]
pub(crate) enum Received {
    /// A packet, with its descriptors.
    Packet(Vec<u8>, Vec<OwnedFd>),
    /// Nothing is there now.
    Nothing,
    /// The other side is gone.
    Closed,
}

impl Channel {
    /// Both ends, closed on exec. Packets keep their boundaries, and the end of the peer is noticed.
    pub(crate) fn pair() -> io::Result<(Self, Self)> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self(ours), Self(theirs)))
    }

    /// The same end once more.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Sends one packet, and waits until there is room for it. For whoever may wait: the inside, for the supervisor.
    pub(crate) fn send(&self, packet: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.send_with(packet, descriptors, SendFlags::NOSIGNAL)
    }

    /// Sends one packet if there is room for it; `WouldBlock` where there is none. For the supervisor: what runs inside can
    /// keep the other side from reading, and must not stop it thereby.
    pub(crate) fn try_send(&self, packet: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.send_with(packet, descriptors, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
    }

    fn send_with(&self, packet: &[u8], descriptors: &[BorrowedFd<'_>], flags: SendFlags) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        sendmsg(&self.0, &[io::IoSlice::new(packet)], &mut ancillary, flags)?;
        Ok(())
    }

    /// Says that nothing more will be sent: the other side comes to the end when it has read what is there.
    pub(crate) fn finish(&self) -> io::Result<()> {
        Ok(rustix::net::shutdown(&self.0, rustix::net::Shutdown::Write)?)
    }

    /// Takes one packet without waiting.
    pub(crate) fn receive(&self) -> io::Result<Received> {
        let mut buffer = [0; MAX_PACKET];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let received = loop {
            match recvmsg(&self.0, &mut [io::IoSliceMut::new(&mut buffer)], &mut ancillary, flags) {
                Ok(received) => break received,
                Err(rustix::io::Errno::AGAIN) => return Ok(Received::Nothing),
                // The other side ended without reading all that it was sent. This is told once, before what it sent
                // itself, which is still there to be read (`unix_release_sock` and `__skb_try_recv_datagram`).
                Err(rustix::io::Errno::CONNRESET) => {}
                Err(error) => return Err(error.into()),
            }
        };
        let mut descriptors = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        if received.bytes == 0 && descriptors.is_empty() {
            return Ok(Received::Closed);
        }
        Ok(Received::Packet(buffer[..received.bytes].to_vec(), descriptors))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
