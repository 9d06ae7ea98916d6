//! Doors: the listening sockets inside, one for each address and port that a program may connect to.
//!
//! A door is made when a program first connects there, because a socket that listens on an address takes its port from the
//! program's own servers. The supervisor's thread makes doors and looks them up; the gate's thread accepts from them. A door is
//! closed soon after it was last used, or when the table is full and another one is needed. Connections go on without it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::event::Process;
use crate::rules::Host;

/// Doors at once.
pub(crate) const MOST: usize = 1024;

/// How long a door is kept after a program was told to connect to it: it may still be on its way.
const EXPECTED: Duration = Duration::from_secs(1);

/// As many passes as anyone wants.
const UNCOUNTED: u32 = u32::MAX;

/// One address and port inside that leads to a host.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    pub(crate) host: Host,
    pub(crate) rule: String,
    /// Connections that may still pass, where they are allowed one by one.
    passes: AtomicU32,
    last: Mutex<(Instant, Option<Process>)>,
}

/// How many connections a door lets pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// One more.
    Once,
    /// All, for this run.
    Always,
}

impl Door {
    pub(crate) fn new(address: SocketAddr, host: Host, rule: String) -> Self {
        Self { address, host, rule, passes: AtomicU32::new(0), last: Mutex::new((Instant::now(), None)) }
    }

    /// Notes that a process is about to connect.
    pub(crate) fn expect(&self, pass: Pass, process: Option<Process>, now: Instant) {
        *self.last() = (now, process);
        let more = |passes: u32| match pass {
            Pass::Always => UNCOUNTED,
            Pass::Once => passes.saturating_add(1),
        };
        // Fails never: the closure always gives a value.
        if let Err(passes) = self.passes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |passes| Some(more(passes)))
        {
            debug_assert_eq!(passes, UNCOUNTED);
        }
    }

    /// Whether everyone may pass.
    pub(crate) fn is_open(&self) -> bool {
        self.passes.load(Ordering::Relaxed) == UNCOUNTED
    }

    /// Lets a connection pass, or not. A program that changes the address after the supervisor has looked at it, or opens
    /// connections that the supervisor does not see (`MSG_FASTOPEN`), finds no pass here.
    pub(crate) fn pass(&self) -> bool {
        let one_less = |passes: u32| match passes {
            UNCOUNTED => Some(UNCOUNTED),
            _ => passes.checked_sub(1),
        };
        self.passes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
    }

    /// The process that most recently asked for this door.
    pub(crate) fn process(&self) -> Option<Process> {
        self.last().1.clone()
    }

    fn last(&self) -> MutexGuard<'_, (Instant, Option<Process>)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All doors.
#[derive(Debug, Default)]
pub(crate) struct Doors {
    table: Mutex<HashMap<SocketAddr, Held>>,
}

/// A door, and what closes its socket when it is dropped.
#[derive(Debug)]
struct Held {
    door: Arc<Door>,
    _open: oneshot::Sender<()>,
}

impl Doors {
    pub(crate) fn at(&self, address: &SocketAddr) -> Option<Arc<Door>> {
        self.table().get(address).map(|held| Arc::clone(&held.door))
    }

    /// Makes sure that there is room for one more, by closing the door that has been unused longest. False where all were
    /// used within the last second.
    pub(crate) fn make_room(&self, now: Instant) -> bool {
        let mut table = self.table();
        if table.len() < MOST {
            return true;
        }
        let used = |held: &Held| held.door.last().0;
        let oldest = table.iter().min_by_key(|(_, held)| used(held)).map(|(address, held)| (*address, used(held)));
        match oldest {
            Some((address, used)) if now.saturating_duration_since(used) >= EXPECTED => {
                table.remove(&address).is_some()
            }
            _ => false,
        }
    }

    /// Closes the doors to which nobody was told to connect within the last second, so that a server inside can have the port.
    pub(crate) fn close_unused(&self, now: Instant) {
        self.table().retain(|_, held| now.saturating_duration_since(held.door.last().0) < EXPECTED);
    }

    /// Whether there is no door.
    pub(crate) fn is_empty(&self) -> bool {
        self.table().is_empty()
    }

    /// Adds a door. The result completes when the door is to be closed.
    pub(crate) fn add(&self, door: &Arc<Door>) -> oneshot::Receiver<()> {
        let (open, closed) = oneshot::channel();
        self.table().insert(door.address, Held { door: Arc::clone(door), _open: open });
        closed
    }

    /// Closes a door.
    pub(crate) fn remove(&self, address: &SocketAddr) {
        self.table().remove(address);
    }

    fn table(&self) -> MutexGuard<'_, HashMap<SocketAddr, Held>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn door(number: u16) -> Arc<Door> {
        let ip: IpAddr = "198.18.0.5".parse().unwrap();
        Arc::new(Door::new(SocketAddr::new(ip, number), ip.into(), "rule".into()))
    }

    #[test]
    fn the_door_that_was_unused_longest_makes_room_and_no_door_in_use_does() {
        let doors = Doors::default();
        let now = Instant::now();
        let mut closing = Vec::new();
        for number in 1..=1024 {
            assert!(doors.make_room(now));
            let door = door(number);
            door.expect(Pass::Always, None, now + Duration::from_millis(u64::from(number)));
            closing.push(doors.add(&door));
        }
        assert!(!doors.make_room(now + Duration::from_millis(900)));
        assert!(doors.make_room(now + Duration::from_secs(3)));
        assert!(doors.at(&door(1).address).is_none() && doors.at(&door(2).address).is_some());
        assert!(closing[0].try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed));
        assert!(closing[1].try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty));
        doors.close_unused(now + Duration::from_millis(1900));
        assert!(doors.at(&door(899).address).is_none() && doors.at(&door(901).address).is_some());
        doors.close_unused(now + Duration::from_secs(9));
        assert!(doors.is_empty());
    }

    #[test]
    fn passes_are_used_up_unless_the_door_is_open() {
        let door = door(1);
        assert!(!door.pass());
        door.expect(Pass::Once, None, Instant::now());
        door.expect(Pass::Once, None, Instant::now());
        assert!(door.pass() && door.pass() && !door.pass() && !door.is_open());
        door.expect(Pass::Always, None, Instant::now());
        door.expect(Pass::Once, None, Instant::now());
        assert!((0..10).all(|_| door.pass()) && door.is_open());
    }
}
