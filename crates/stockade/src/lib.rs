//! Runs code that nobody has read yet, with one written policy, and says afterwards what was kept out.
//!
//! A [`Job`] names the policy texts and the [`Request`]; [`run()`] carries it out and returns the [`Report`]. [`plan()`] goes
//! only as far as the compiled [`Plan`], and [`policy()`] only as far as the merged [`Policy`]. This crate prints nothing
//! and reads no environment: whoever calls it says where home is and what the environment holds.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use stockade::policy::{Overrides, Source};
//! use stockade::request::{Terminal, Trace};
//! use stockade::{Event, Job, Request, stdio};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let request = Request {
//!     command: vec!["make".into(), "test".into()],
//!     workspace: "/home/ann/project".into(),
//!     directory: "/home/ann/project".into(),
//!     home: "/home/ann".into(),
//!     environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
//!     terminal: Terminal::default(),
//!     isolation: None,
//!     trace: Trace::Off,
//!     temporary: "/tmp".into(),
//!     run_id: "build-17".into(),
//!     layers: None,
//! };
//! let text = "version = 1\nfilesystem.deny = ['**/.env']\nlimits.time = '10m'\n";
//! let job = Job {
//!     layers: vec![Source { name: "build.toml", text }],
//!     workspace: None,
//!     overrides: &Overrides::default(),
//!     request: &request,
//!     own: &[],
//!     state: Path::new("/home/ann/.local/state/stockade"),
//! };
//! let report = stockade::run(&job, stdio::inherited()?, |event| {
//!     if let Event::Denied(denial) = event {
//!         eprintln!("refused: {} {}", denial.operation, denial.target);
//!     }
//! })?;
//! assert_eq!(report.outcome.exit_status(), 0);
//! # Ok(())
//! # }
//! ```
//!
//! # Network
//!
//! Nothing outside is reached but what the policy names (`network.allow`); each connection is an [`Event::Connected`] when it has
//! ended. Where the policy says `network.default = "ask"`, [`run_asking`] puts a [`Question`] to the caller's [`Decider`] about
//! every endpoint that no rule names; [`run()`] and [`run_by`] refuse these. [`reach()`] says which rule of a plan decides, without
//! connecting.
//!
//! # Threads
//!
//! A sandbox starts as a copy of the calling process, which is sound only while that has one thread. In a process with
//! several, [`run()`] refuses with [`LaunchError::Threaded`]; use [`run_by`], which has the `stockade` program supervise.

#![forbid(unsafe_code)]

mod account;
mod error;
mod event;
#[cfg(not(feature = "fault-injection"))]
mod fault {
    /// In builds for tests, a supervisor may end here.
    #[inline]
    pub(crate) const fn place() {}

    /// In builds for tests, the gate may fail to start.
    #[inline]
    pub(crate) const fn gate() -> std::io::Result<()> {
        Ok(())
    }
}
mod gate;
mod job;
mod own;
mod protected;
mod reach;
mod run;
pub mod sandbox;
mod service;
pub mod stdio;
mod threaded;
mod traffic;
mod wire;

pub use error::Error;
pub use event::Event;
pub use job::Job;
pub use reach::{Endpoint, NoEndpoint, Reach, reach};
pub use run::{facts, plan, policy, run, run_asking};
pub use service::serve;
pub use stockade_egress::{Decider, Decision, Question};
#[cfg(target_env = "musl")]
pub use stockade_linux::Allocator;
#[cfg(feature = "fault-injection")]
pub use stockade_linux::fault;
pub use stockade_linux::relay::HostStdio;
pub use stockade_linux::{LaunchError, RunError};
pub use stockade_spec::{
    CompileError, HostFacts, Plan, Policy, Report, Request, Tier, characters, facts, plan, policy, report, request,
    units,
};
pub use threaded::run_by;
