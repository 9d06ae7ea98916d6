//! Internet sockets where there is no network namespace but a gate: Unix sockets in their place.
//!
//! A program that asks for a socket of TCP gets one end of a pair of Unix sockets, and the supervisor keeps the other end. When
//! the program connects it to an address, the gatekeeper is asked, and gets the supervisor's end if the program may: so the
//! "connection" is the very socket that the program has had from the start, with everything that it has set or watched on it.
//! A socket of UDP is one end of a pair too (`SOCK_SEQPACKET`, which keeps messages apart and whose `sendmsg(2)` looks at no
//! address); once it is aimed at a name server, whichever, the other end is the gate's resolver's.
//!
//! What makes this safe is not what is decided here, but that no program holds an Internet socket: whatever it does to its
//! socket, and however it races the supervisor, the socket leads to the supervisor or nowhere. No call of an Internet socket is
//! ever carried on by the kernel, and Landlock refuses those of TCP once more.

mod names;
mod options;
mod receive;
mod table;

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::sockopt::socket_cookie;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use stockade_spec::plan::gate::NAME_SERVER_PORT;
use stockade_spec::report::Area;

use super::address::is_local;
use super::asker::Asker;
use super::gatekeeper::{Admission, Gatekeeper};
use super::network::{Keeper, record_internet, refused};
use super::{Answer, Observer};
use crate::denials::{Attempt, DenialLog};
pub(super) use names::name;
pub(super) use options::option;
pub(super) use receive::{receive, receive_message};
use table::Known;
pub(super) use table::StandIns;

/// `SOCK_NONBLOCK` and `SOCK_CLOEXEC` in the second argument of `socket(2)`.
const NONBLOCK: u32 = libc::SOCK_NONBLOCK.cast_unsigned();
const CLOEXEC: u32 = libc::SOCK_CLOEXEC.cast_unsigned();

/// Answers `socket(2)`.
pub(super) fn make(observer: &Observer, asker: &Asker<'_>, is_ipv6: bool, is_stream: bool) -> Answer {
    match pair(asker.bits(1) & NONBLOCK != 0, is_stream) {
        Ok((cookie, near, far)) => {
            let known = Known { is_ipv6, is_stream, remote: None };
            match observer.stand_ins.borrow_mut().add(cookie, known, far) {
                Ok(()) => Answer::Descriptor { file: near, close_on_exec: asker.bits(1) & CLOEXEC != 0 },
                Err(error) => Answer::Fail(error),
            }
        }
        Err(error) => Answer::Fail(error),
    }
}

/// The program's end with its cookie, and the supervisor's.
fn pair(nonblocking: bool, is_stream: bool) -> Result<(u64, OwnedFd, OwnedFd), Errno> {
    let kind = if is_stream { SocketType::STREAM } else { SocketType::SEQPACKET };
    let (near, far) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    ioctl_fionbio(&far, true)?;
    ioctl_fionbio(&near, nonblocking)?;
    Ok((socket_cookie(&near)?, near, far))
}

/// The socket that the first argument names, by its cookie, if it is a stand-in.
fn known(observer: &Observer, asker: &Asker<'_>) -> Result<Option<(u64, OwnedFd, Known)>, Errno> {
    let socket = asker.duplicate(asker.number(0))?;
    let cookie = socket_cookie(&socket)?;
    let known = observer.stand_ins.borrow().get(cookie);
    Ok(known.map(|known| (cookie, socket, known)))
}

/// Connects a stand-in to an Internet address.
pub(super) fn connect(
    observer: &Observer,
    keeper: Keeper<'_>,
    asker: &Asker<'_>,
    to: SocketAddr,
    log: &mut DenialLog<'_>,
) -> Answer {
    let (cookie, known) = match known(observer, asker) {
        Ok(Some((cookie, _, known))) => (cookie, known),
        Ok(None) => {
            record_internet(asker, "connect", to, log);
            return Answer::Fail(Errno::ACCESS);
        }
        Err(error) => return Answer::Fail(error),
    };
    if to.is_ipv6() && !known.is_ipv6 {
        return Answer::Fail(Errno::AFNOSUPPORT);
    }
    let Some(keeper) = keeper else {
        record_internet(asker, "connect", to, log);
        return Answer::Fail(Errno::ACCESS);
    };
    if known.is_stream {
        connect_stream(observer, keeper, asker, (cookie, to), log)
    } else {
        aim(observer, keeper, asker, "connect", (cookie, to), log)
    }
}

fn connect_stream(
    observer: &Observer,
    keeper: &mut (dyn Gatekeeper + 'static),
    asker: &Asker<'_>,
    (cookie, to): (u64, SocketAddr),
    log: &mut DenialLog<'_>,
) -> Answer {
    let mut all = observer.stand_ins.borrow_mut();
    let Some(far) = all.far(cookie) else { return Answer::Fail(Errno::ISCONN) };
    let process = asker.process();
    match keeper.carry(to, process.as_ref(), far.as_fd()) {
        Admission::Continue => {
            all.connected(cookie, to);
            Answer::Done
        }
        Admission::Refuse(refusal) => refused(refusal, "connect", process, log),
        Admission::Later => Answer::Later,
    }
}

/// Aims a stand-in for UDP at an address, by connecting it or by sending there.
///
/// Connecting to an address that stands for a name sends nothing: `getaddrinfo(3)` does it to sort addresses.
fn aim(
    observer: &Observer,
    keeper: &mut (dyn Gatekeeper + 'static),
    asker: &Asker<'_>,
    operation: &'static str,
    (cookie, to): (u64, SocketAddr),
    log: &mut DenialLog<'_>,
) -> Answer {
    let mut all = observer.stand_ins.borrow_mut();
    if to.port() == NAME_SERVER_PORT {
        // Where it has been aimed at a name server already, the resolver has the other end.
        if let Some(far) = all.take_far(cookie)
            && let Err(error) = keeper.answer_names(far)
        {
            return Answer::Fail(super::asker::errno(&error));
        }
        all.aimed(cookie, Some(to));
        return Answer::Done;
    }
    let stands_for_name = observer.context.ranges.is_some_and(|ranges| ranges.contain(to.ip()));
    if operation == "connect" && stands_for_name {
        all.aimed(cookie, Some(to));
        return Answer::Done;
    }
    log.record(Attempt::new(Area::Network, operation, keeper.describe(to)).by(asker.process()));
    Answer::Fail(Errno::ACCESS)
}

/// `connect(2)` with `AF_UNSPEC`: takes a datagram socket's aim away. `None` where the socket is no stand-in.
pub(super) fn dissolve(observer: &Observer, asker: &Asker<'_>) -> Option<Answer> {
    match known(observer, asker) {
        Ok(Some((_, _, known))) if known.is_stream => Some(Answer::Fail(Errno::OPNOTSUPP)),
        Ok(Some((cookie, _, _))) => {
            observer.stand_ins.borrow_mut().aimed(cookie, None);
            Some(Answer::Done)
        }
        Ok(None) => None,
        Err(error) => Some(Answer::Fail(error)),
    }
}

/// Sending to an Internet address. `None` where the socket is no stand-in.
///
/// The kernel carries a call on that is aimed at a name server, since its address does not matter any more: it looks at none
/// for this kind of socket, and of streams it takes none.
pub(super) fn send_to(
    observer: &Observer,
    keeper: Keeper<'_>,
    asker: &Asker<'_>,
    to: SocketAddr,
    log: &mut DenialLog<'_>,
) -> Option<Answer> {
    match (known(observer, asker), keeper) {
        (Err(error), _) => Some(Answer::Fail(error)),
        (Ok(Some((cookie, _, known))), Some(keeper)) if !known.is_stream => {
            match aim(observer, keeper, asker, "sendto", (cookie, to), log) {
                Answer::Done => Some(Answer::Continue),
                answer => Some(answer),
            }
        }
        _ => None,
    }
}

/// Binding to an Internet address: any port of any address is what a socket has anyway, and no other can be had.
pub(super) fn bind(observer: &Observer, asker: &Asker<'_>, at: SocketAddr, log: &mut DenialLog<'_>) -> Answer {
    match known(observer, asker) {
        Ok(Some(_)) if at.port() == 0 && is_local(at.ip()) => Answer::Done,
        Ok(_) => {
            record_internet(asker, "bind", at, log);
            Answer::Fail(Errno::ACCESS)
        }
        Err(error) => Answer::Fail(error),
    }
}
