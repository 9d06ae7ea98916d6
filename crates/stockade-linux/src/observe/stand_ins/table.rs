//! Which sockets are stand-ins, and the ends that nobody has yet.
//!
//! A socket is known by its cookie (`SO_COOKIE`), which no other socket has or will have, whoever holds the socket and under
//! whatever number.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::observe::share;

/// Stand-ins that are remembered; the oldest is forgotten first, and is a Unix socket to its program from then on.
const MOST_KNOWN: usize = 16 << 10;
/// Ends that are kept for sockets which are not connected.
const MOST_KEPT: usize = 1024;
/// How large a part of what the supervisor may open they are at most.
const PARTS: usize = 2;

/// One stand-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) is_ipv6: bool,
    /// Of TCP; else of UDP.
    pub(super) is_stream: bool,
    /// What it is connected to, as its program sees it.
    pub(super) remote: Option<SocketAddr>,
}

/// All stand-ins of a run.
#[derive(Debug, Default)]
pub(in super::super) struct StandIns {
    known: HashMap<u64, Known>,
    order: VecDeque<u64>,
    far: HashMap<u64, OwnedFd>,
}

impl StandIns {
    /// Adds one, with the end that is kept. `EMFILE` where too many sockets are open and not connected.
    pub(super) fn add(&mut self, cookie: u64, known: Known, far: OwnedFd) -> Result<(), Errno> {
        let most = share::of_descriptors(PARTS, MOST_KEPT);
        if self.far.len() >= most {
            self.far.retain(|_, far| !is_abandoned(far));
        }
        if self.far.len() >= most {
            return Err(Errno::MFILE);
        }
        if self.order.len() >= MOST_KNOWN
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
            self.far.remove(&oldest);
        }
        self.order.push_back(cookie);
        self.known.insert(cookie, known);
        self.far.insert(cookie, far);
        Ok(())
    }

    pub(super) fn get(&self, cookie: u64) -> Option<Known> {
        self.known.get(&cookie).copied()
    }

    /// The end that is kept; `None` once the socket is connected.
    pub(super) fn far(&self, cookie: u64) -> Option<BorrowedFd<'_>> {
        self.far.get(&cookie).map(std::os::fd::AsFd::as_fd)
    }

    /// Gives the end that is kept away.
    pub(super) fn take_far(&mut self, cookie: u64) -> Option<OwnedFd> {
        self.far.remove(&cookie)
    }

    /// Somebody else has the other end now.
    pub(super) fn connected(&mut self, cookie: u64, to: SocketAddr) {
        self.far.remove(&cookie);
        self.aimed(cookie, Some(to));
    }

    /// Notes what it is connected to.
    pub(super) fn aimed(&mut self, cookie: u64, to: Option<SocketAddr>) {
        if let Some(known) = self.known.get_mut(&cookie) {
            known.remote = to;
        }
    }
}

/// Whether the program's end is closed.
fn is_abandoned(far: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(far, PollFlags::empty())];
    poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok() && polled[0].revents().contains(PollFlags::HUP)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    const KNOWN: Known = Known { is_ipv6: false, is_stream: true, remote: None };

    #[test]
    fn abandoned_ends_make_room_and_the_oldest_are_forgotten() {
        let mut all = StandIns::default();
        let mut near = Vec::new();
        for cookie in 0..MOST_KEPT as u64 {
            let (ours, theirs) = UnixStream::pair().unwrap();
            near.push(ours);
            all.add(cookie, KNOWN, theirs.into()).unwrap();
        }
        let one = || OwnedFd::from(UnixStream::pair().unwrap().0);
        assert_eq!(all.add(5000, KNOWN, one()), Err(Errno::MFILE));
        near.remove(7);
        let (_held, theirs) = UnixStream::pair().unwrap();
        all.add(5000, KNOWN, theirs.into()).unwrap();
        assert!(all.far(7).is_none() && all.far(6).is_some() && all.get(7).is_some());
        near.clear();
        for cookie in 10_000..10_000 + MOST_KNOWN as u64 {
            all.add(cookie, KNOWN, one()).unwrap_or_else(|_| panic!("abandoned ones make room"));
        }
        assert!(all.get(5000).is_none() && all.far(5000).is_none());
        assert_eq!(all.known.len(), MOST_KNOWN);
    }
}
