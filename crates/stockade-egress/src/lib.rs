//! The gate: the only way out to the network, and what it lets through.
//!
//! The order of the modules is the order in which a connection meets them:
//!
//! ```text
//! name -> resolver (rules, names) -> fake address -> rules -> dial -> first bytes (inspect) -> flow
//! ```
//!
//! [`rules`] decide about hosts and ports, and which addresses are never dialled unasked. [`names`] give every allowed name
//! an address of its own inside, so that the name behind each connection is known for certain, whatever the protocol.
//! [`resolver`] answers DNS messages with those addresses; no query leaves. [`inspect`] reads what a program says first, so
//! that it does not name another host to the server than the one that was decided about. `dial` looks the name up, checks
//! every address and connects; `flow` accepts inside and moves the bytes. [`Gate`] is the thread that does it.
//!
//! This crate knows nothing of sandboxes: sockets are handed to it. What it reads was written by hostile code: nothing
//! panics on it, and everything that it can make grow is bounded.

#![forbid(unsafe_code)]

mod dial;
mod event;
mod flow;
mod gate;
pub mod inspect;
pub mod names;
pub mod resolver;
pub mod rules;

pub use dial::{Lookup, SystemLookup, Upstream, UpstreamError};
pub use event::{Connection, Denial, Direction, End, Event, Limit, Lost, Process, Reason};
pub use flow::Limits;
pub use gate::{Admission, Decider, Decision, Gate, GateConfig, GateError, Inside, Published, Question, Summary};
