//! What the supervisor's threads and the gate's thread both use.
//!
//! Each lock is held for a look-up or an insertion, and none while another is taken, while something waits, or while a
//! question is asked; the exception is the one around [`Inside`], which is there to have its calls come one by one.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::asks::Asks;
use super::error::GateError;
use super::published::Published;
use super::{GateConfig, Inside};
use crate::dial::Dialer;
use crate::event::{Event, Queue};
use crate::flow::accept::Spare;
use crate::flow::doors::{self, Door, Doors};
use crate::flow::limits::{Limits, Traffic};
use crate::flow::pipes::Pool;
use crate::names::Names;
use crate::rules::Rules;

/// What the supervisor's threads and the gate's thread both use.
pub(crate) struct Shared {
    pub(crate) rules: Arc<Rules>,
    pub(crate) names: Mutex<Names>,
    /// What programs inside use of the network.
    pub(crate) traffic: Traffic,
    /// What comes in at published ports: bounded in the number at once, and not counted otherwise.
    pub(crate) published: Traffic,
    pub(crate) events: Arc<Queue>,
    pub(crate) doors: Doors,
    pub(crate) dialer: Dialer,
    pub(crate) pipes: Pool,
    pub(crate) spare: Spare,
    pub(super) asks: Asks,
    pub(super) lines: Arc<Semaphore>,
    inside: Mutex<Box<dyn Inside>>,
    newcomers: Sender<New>,
    has_ended: AtomicBool,
}

/// Lines to the name server at once, each of which is one socket of a program.
const MOST_LINES: usize = 512;

/// What is to be served from now on.
#[derive(Debug)]
pub(super) enum New {
    /// A door's socket, which listens.
    Door { door: Arc<Door>, socket: OwnedFd, closed: oneshot::Receiver<()> },
    /// A connection, to be carried to where its door leads; nobody listens for others.
    Stream { door: Arc<Door>, socket: OwnedFd },
    /// A line to the name server, which keeps messages apart.
    Names { socket: OwnedFd, place: OwnedSemaphorePermit },
}

/// What only the gate's thread uses.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) newcomers: Receiver<New>,
    pub(super) name_server: Vec<OwnedFd>,
    pub(super) publish: Published,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("traffic", &self.traffic).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(config: GateConfig, inside: Box<dyn Inside>) -> Result<(Arc<Self>, Setup), GateError> {
        let rules = Arc::new(config.rules);
        let events = Arc::new(Queue::new().map_err(GateError::Eventfd)?);
        let (newcomers, receiver) = channel(doors::MOST);
        let at_once = config.limits.at_once;
        let shared = Self {
            rules: Arc::clone(&rules),
            names: Mutex::new(Names::new(config.fake_ipv4, config.fake_ipv6)),
            traffic: Traffic::new(&config.limits),
            published: Traffic::new(&Limits { at_once, ..Limits::default() }),
            asks: Asks::start(config.decider, &events).map_err(GateError::Thread)?,
            events,
            doors: Doors::default(),
            dialer: Dialer::new(rules, config.lookup, config.upstream),
            pipes: Pool::default(),
            spare: Spare::new().map_err(GateError::Eventfd)?,
            lines: Arc::new(Semaphore::new(MOST_LINES)),
            inside: Mutex::new(inside),
            newcomers,
            has_ended: AtomicBool::new(false),
        };
        Ok((Arc::new(shared), Setup { newcomers: receiver, name_server: config.name_server, publish: config.publish }))
    }

    pub(crate) fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way into the sandbox, for one call.
    pub(crate) fn inside(&self) -> MutexGuard<'_, Box<dyn Inside>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a socket to the gate's thread. False where that has ended, or has not taken a thousand others yet.
    pub(super) fn serve(&self, new: New) -> bool {
        self.newcomers.try_send(new).is_ok()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// From here on everything is refused.
    pub(super) fn end(&self, failure: Option<String>) {
        self.has_ended.store(true, Ordering::Release);
        if let Some(failure) = failure {
            self.events.push(Event::Failed(failure));
        }
    }
}
