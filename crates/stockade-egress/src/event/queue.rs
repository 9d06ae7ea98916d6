//! The queue of events between the gate's thread and the supervisor.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::event::{EventfdFlags, eventfd};

use super::Event;

/// Events that wait at most, but for those that are never lost; about 512 KiB.
const LONGEST: usize = 1024;

/// A bounded queue with an `eventfd(2)` that is readable while something waits.
#[derive(Debug)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    bell: OwnedFd,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<Event>,
    /// How many of them are connections.
    connections: usize,
    lost: u64,
}

impl Queue {
    pub(crate) fn new() -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { waiting: Mutex::default(), bell })
    }

    /// Adds an event, or counts it as lost where the queue is full. Only denials are lost. [`Event::Failed`] and
    /// [`Event::Answered`], of which there are few, are kept beyond the bound, because the supervisor acts on them; and so is
    /// what went over a connection, since a run could hide it among others. Nothing new is accepted while the queue
    /// [is full](Self::is_full), so that these are no more than there are connections at once.
    pub(crate) fn push(&self, event: Event) {
        let mut waiting = self.lock();
        let is_needed = !matches!(event, Event::Denied(_));
        if waiting.events.len() >= LONGEST && !is_needed {
            waiting.lost += 1;
            return;
        }
        waiting.connections += usize::from(matches!(event, Event::Connection(_)));
        waiting.events.push_back(event);
        if waiting.events.len() == 1 {
            self.ring();
        }
    }

    /// Takes everything that waits.
    pub(crate) fn drain(&self) -> Vec<Event> {
        let mut waiting = self.lock();
        self.silence();
        waiting.connections = 0;
        waiting.events.drain(..).collect()
    }

    /// Whether as many connections wait to be told of as should. Denials, which may be lost, hold nothing up.
    pub(crate) fn is_full(&self) -> bool {
        self.lock().connections >= LONGEST
    }

    /// How many events were not kept.
    pub(crate) fn lost(&self) -> u64 {
        self.lock().lost
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the descriptor readable. The only error that an `eventfd` of our own can give is that its counter is full
    /// (eventfd(2)), and then it is readable.
    fn ring(&self) {
        if let Err(error) = rustix::io::write(&self.bell, &1_u64.to_ne_bytes()) {
            debug_assert_eq!(error, rustix::io::Errno::AGAIN);
        }
    }

    /// Makes the descriptor unreadable; it already is where nothing waited.
    fn silence(&self) {
        let mut count = [0_u8; 8];
        if let Err(error) = rustix::io::read(&self.bell, &mut count) {
            debug_assert_eq!(error, rustix::io::Errno::AGAIN);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;
    use crate::event::Direction;
    use crate::flow::record::Record;

    fn is_readable(queue: &Queue) -> bool {
        let mut polled = [PollFd::from_borrowed_fd(queue.descriptor(), PollFlags::IN)];
        let at_once = Timespec::try_from(Duration::ZERO).unwrap();
        poll(&mut polled, Some(&at_once)).unwrap() == 1
    }

    #[test]
    fn the_descriptor_is_readable_exactly_while_events_wait() {
        let queue = Queue::new().unwrap();
        assert!(!is_readable(&queue));
        queue.push(Event::Failed("first".into()));
        queue.push(Event::Failed("second".into()));
        assert!(is_readable(&queue));
        assert_eq!(queue.drain().len(), 2);
        assert!(!is_readable(&queue));
        assert!(queue.drain().is_empty());
    }

    #[test]
    fn more_events_than_fit_are_counted_and_the_needed_ones_are_kept() {
        let queue = Queue::new().unwrap();
        let denial = super::super::Denial {
            host: "a.example".into(),
            port: None,
            reason: super::super::Reason::NotAllowed,
            rule: None,
            suggestion: None,
            process: None,
        };
        for _ in 0..LONGEST + 10 {
            queue.push(Event::Denied(Box::new(denial.clone())));
        }
        let queue = Arc::new(queue);
        drop(Record::new(&queue, Direction::Outward, "b.example".into(), 443));
        queue.push(Event::Failed("told".into()));
        assert_eq!(queue.lost(), 10);
        let events = queue.drain();
        assert_eq!(events.len(), LONGEST + 2);
        assert!(matches!(&events[LONGEST], Event::Connection(connection) if connection.host == "b.example"));
        assert_eq!(events.last(), Some(&Event::Failed("told".into())));
    }

    #[test]
    fn connections_are_kept_and_ask_for_no_more() {
        let queue = Arc::new(Queue::new().unwrap());
        for number in 1..=LONGEST + 5 {
            drop(Record::new(&queue, Direction::Outward, "b.example".into(), 443));
            assert_eq!(queue.is_full(), number >= LONGEST);
        }
        assert_eq!((queue.drain().len(), queue.lost(), queue.is_full()), (LONGEST + 5, 0, false));
    }
}
