//! The account of one connection, which becomes its event whatever way it ends.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::event::{Connection, Direction, End, Event, Process, Queue};
use crate::inspect::Protocol;

/// What is known of a connection so far. Dropping it sends the event, so that none is missing, also when the run ends first.
#[derive(Debug)]
pub(crate) struct Record {
    events: Arc<Queue>,
    told: Mutex<Option<Box<Connection>>>,
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
}

impl Record {
    pub(crate) fn new(events: &Arc<Queue>, direction: Direction, host: String, port: u16) -> Self {
        let told = Connection {
            direction,
            host,
            port,
            address: None,
            protocol: Protocol::Other,
            sent: 0,
            received: 0,
            begun: Instant::now(),
            duration: std::time::Duration::ZERO,
            rule: String::new(),
            process: None,
            end: End::RunEnded,
        };
        Self {
            events: Arc::clone(events),
            told: Mutex::new(Some(Box::new(told))),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
        }
    }

    pub(crate) fn set_cause(&self, rule: &str, process: Option<Process>) {
        self.change(|told| {
            rule.clone_into(&mut told.rule);
            told.process = process;
        });
    }

    pub(crate) fn set_address(&self, address: Option<IpAddr>) {
        self.change(|told| told.address = address);
    }

    pub(crate) fn set_protocol(&self, protocol: Protocol) {
        self.change(|told| told.protocol = protocol);
    }

    pub(crate) fn set_end(&self, end: End) {
        self.change(|told| told.end = end);
    }

    fn change(&self, change: impl FnOnce(&mut Connection)) {
        if let Some(told) = &mut *self.told.lock().unwrap_or_else(PoisonError::into_inner) {
            change(told);
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Some(mut told) = self.told.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            told.sent = self.sent.load(Ordering::Relaxed);
            told.received = self.received.load(Ordering::Relaxed);
            told.duration = told.begun.elapsed();
            self.events.push(Event::Connection(told));
        }
    }
}
