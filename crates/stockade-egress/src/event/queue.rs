//! The queue of events between the gate's thread and the supervisor.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use tokio::sync::Notify;

use super::Event;

/// Events that wait at most, but for those that are never lost; about 512 KiB.
const LONGEST: usize = 1024;

/// Connections that are told of at once, and the longest time that one waits for others: the supervisor is woken once for many.
const GATHERED: usize = 64;
const GATHERING: Duration = Duration::from_millis(5);

/// A bounded queue with an `eventfd(2)` that is readable while something waits that is to be taken now.
#[derive(Debug)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    bell: OwnedFd,
    /// Told when something waits for others.
    gathering: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<Event>,
    /// How many of them are connections.
    connections: usize,
    /// The bell has rung for what waits.
    has_rung: bool,
    lost: u64,
}

impl Queue {
    pub(crate) fn new() -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { waiting: Mutex::default(), bell, gathering: Notify::new() })
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
        let may_wait = matches!(event, Event::Connection(_));
        waiting.connections += usize::from(may_wait);
        waiting.events.push_back(event);
        if !may_wait || waiting.connections >= GATHERED {
            self.ring(&mut waiting);
        } else if waiting.connections == 1 && !waiting.has_rung {
            self.gathering.notify_one();
        }
    }

    /// Rings for connections that have waited for others, for as long as it is polled.
    pub(crate) async fn ring_in_time(&self) {
        loop {
            self.gathering.notified().await;
            tokio::time::sleep(GATHERING).await;
            let mut waiting = self.lock();
            if !waiting.events.is_empty() {
                self.ring(&mut waiting);
            }
        }
    }

    /// Takes everything that waits.
    pub(crate) fn drain(&self) -> Vec<Event> {
        let mut waiting = self.lock();
        if std::mem::take(&mut waiting.has_rung) {
            self.silence();
        }
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

    /// Makes the descriptor readable, unless it is. The only error that an `eventfd` of our own can give is that its counter is full
    /// (eventfd(2)), and then it is readable.
    fn ring(&self, waiting: &mut Waiting) {
        if std::mem::replace(&mut waiting.has_rung, true) {
            return;
        }
        if let Err(error) = rustix::io::write(&self.bell, &1_u64.to_ne_bytes()) {
            debug_assert_eq!(error, rustix::io::Errno::AGAIN);
        }
    }

    /// Makes the descriptor unreadable.
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
    fn connections_are_told_of_together_and_soon() {
        let queue = Arc::new(Queue::new().unwrap());
        let ended = |count: usize| {
            for _ in 0..count {
                drop(Record::new(&queue, Direction::Outward, "b.example".into(), 443));
            }
        };
        ended(GATHERED - 1);
        assert!(!is_readable(&queue));
        ended(1);
        assert!(is_readable(&queue));
        assert_eq!(queue.drain().len(), GATHERED);

        ended(1);
        queue.push(Event::Answered);
        assert!(is_readable(&queue), "what is needed at once does not wait");
        assert_eq!(queue.drain().len(), 2);

        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let late = Arc::clone(&queue);
            tokio::spawn(async move { late.ring_in_time().await });
            for _ in 0..3 {
                ended(1);
                assert!(!is_readable(&queue));
                tokio::time::sleep(GATHERING * 10).await;
                assert!(is_readable(&queue));
                assert_eq!(queue.drain().len(), 1);
                assert!(!is_readable(&queue));
            }
        });
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
