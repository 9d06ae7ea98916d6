//! Receiving with an address: programs compare where an answer came from with the server that they asked.
//!
//! What is there is received on behalf, and given with that address. What would wait is left to the kernel, which gives no
//! address of the Internet then; programs that look at addresses wait by `poll(2)`, since answers get lost.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::super::asker::Asker;
use super::super::{Answer, Observer};
use super::table::Known;
use super::{known, names};

/// Longest message that is received on behalf: those of UDP are not longer.
const MAX_MESSAGE: u64 = 65_535;

/// Flags that change nothing about one message that is there.
const PLAIN: u32 = (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL | libc::MSG_CMSG_CLOEXEC).cast_unsigned();

/// `struct msghdr` of both 64-bit architectures (`include/linux/socket.h`), and `struct iovec`, in bytes.
const HEADER: usize = 56;
const VECTOR: usize = 16;

/// A socket whose messages come from a server that it was aimed at.
struct Source {
    socket: OwnedFd,
    known: Known,
    from: SocketAddr,
}

/// Answers `recvfrom(2)` with an address.
pub(in super::super) fn receive(observer: &Observer, asker: &Asker<'_>) -> Answer {
    let Some(source) = source(observer, asker, 3) else { return Answer::Continue };
    take(&source, asker, 3, (asker.argument(1), asker.argument(2)), || {
        names::put(asker, source.known, source.from, asker.argument(4), asker.argument(5))
    })
}

/// Answers `recvmsg(2)`.
pub(in super::super) fn receive_message(observer: &Observer, asker: &Asker<'_>) -> Answer {
    let Some(source) = source(observer, asker, 2) else { return Answer::Continue };
    let at = asker.argument(1);
    let Ok(header) = asker.bytes(at, HEADER) else { return Answer::Continue };
    let [name, vectors, count] = [word(&header, 0), word(&header, 16), word(&header, 24)];
    // Nobody asks where it came from, or it is spread over several buffers, as no resolver's is.
    if name == 0 || count != 1 {
        return Answer::Continue;
    }
    let Ok(vector) = asker.bytes(vectors, VECTOR) else { return Answer::Continue };
    take(&source, asker, 2, (word(&vector, 0), word(&vector, 8)), || {
        names::put(asker, source.known, source.from, name, at.wrapping_add(8))?;
        // The length of control data, and flags.
        asker.put(at.wrapping_add(40), &[0; 12])
    })
}

/// Eight bytes of a structure as a number.
fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u64::from_ne_bytes(*word))
}

/// The socket of the first argument, if it is one of UDP that has been aimed, and the flags ask for nothing special.
fn source(observer: &Observer, asker: &Asker<'_>, flags: usize) -> Option<Source> {
    let (_, socket, known) = known(observer, asker).ok()??;
    let from = known.remote.filter(|_| !known.is_stream && asker.bits(flags) & !PLAIN == 0)?;
    Some(Source { socket, known, from })
}

/// Receives one message into a buffer of the program, and then has the address be written.
fn take(
    source: &Source,
    asker: &Asker<'_>,
    flags: usize,
    (into, room): (u64, u64),
    address: impl FnOnce() -> Result<(), Errno>,
) -> Answer {
    let room = usize::try_from(room.min(MAX_MESSAGE)).unwrap_or(usize::MAX);
    let mut message = vec![0; room];
    let length = match recv(&source.socket, message.as_mut_slice(), RecvFlags::DONTWAIT) {
        Ok((length, _)) => length.min(room),
        Err(Errno::AGAIN) if waits(asker, flags, &source.socket) => return Answer::Continue,
        Err(error) => return Answer::Fail(error),
    };
    match asker.put(into, &message[..length]).and_then(|()| address()) {
        Ok(()) => Answer::Value(i64::try_from(length).unwrap_or(0)),
        Err(error) => Answer::Fail(error),
    }
}

/// Whether a call that finds nothing waits for something.
fn waits(asker: &Asker<'_>, flags: usize, socket: &OwnedFd) -> bool {
    let nonblocking = fcntl_getfl(socket).is_ok_and(|flags| flags.contains(OFlags::NONBLOCK));
    !nonblocking && asker.bits(flags) & libc::MSG_DONTWAIT.cast_unsigned() == 0
}
