//! What Stockade may do and what it did, as data: policy, host facts, plan, report.
//!
//! The order of the modules is the order of a run:
//!
//! ```text
//! policy text -> Policy -> compile(Policy, Request, HostFacts) -> Plan -> (launch elsewhere) -> Report
//! ```
//!
//! Nothing in this crate does I/O, holds `unsafe`, or depends on an operating system: the same policy compiles to the
//! same plan for the same facts on every machine, so plans for any system can be tested on any other.

#![forbid(unsafe_code)]

pub mod characters;
pub mod compile;
pub mod facts;
pub mod glob;
pub mod os_text;
pub mod plan;
pub mod policy;
pub mod report;
pub mod request;
pub mod tier;
pub mod units;

pub use compile::{CompileError, compile};
pub use facts::HostFacts;
pub use plan::Plan;
pub use policy::Policy;
pub use report::Report;
pub use request::Request;
pub use tier::Tier;
