//! What a sandbox is made with and keeps, in its manifest.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stockade_spec::policy::{Checkpoints, LastingPolicy};
use stockade_spec::request::{Layers, Terminal, Trace, Upper};
use stockade_spec::{Policy, Request};
use stockade_workspace::sandboxes;

use crate::error::Error;
use crate::job::{Job, Work};

/// How a sandbox is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long its supervisor stays when nothing runs in it. What is in memory (`/tmp`, home) is gone then.
    pub linger: Duration,
    /// Whether a checkpoint is taken before each command.
    pub checkpoint_each: bool,
    /// Whether it is made for one run that is to be reviewed: it goes when its changes are applied or discarded.
    pub once: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { linger: Duration::from_secs(30), checkpoint_each: false, once: false }
    }
}

impl Options {
    /// As a policy says.
    #[must_use]
    pub fn of(policy: &Policy) -> Self {
        let LastingPolicy { checkpoint, linger } = policy.sandbox;
        Self { linger: linger.duration(), checkpoint_each: checkpoint == Checkpoints::EachCommand, once: false }
    }
}

/// What is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) policy: Policy,
    /// The request that the sandbox was made with, without its command and its environment, whose values may be secrets.
    pub(super) request: Request,
    own: Vec<PathBuf>,
    pub(super) linger_ms: u64,
    pub(super) checkpoint_each: bool,
}

impl Settings {
    pub(super) fn new(job: &Job<'_>, policy: Policy, options: &Options) -> Self {
        let request = Request {
            command: Vec::new(),
            environment: Vec::new(),
            terminal: Terminal::default(),
            trace: Trace::Off,
            ..job.request.clone()
        };
        let linger_ms = u64::try_from(options.linger.as_millis()).unwrap_or(u64::MAX);
        Self { policy, request, own: job.own.to_vec(), linger_ms, checkpoint_each: options.checkpoint_each }
    }

    pub(super) fn read(sandbox: &sandboxes::Sandbox) -> Result<Self, Error> {
        let name = || sandbox.name().to_owned();
        Self::deserialize(sandbox.settings()).map_err(|source| Error::Settings { sandbox: name(), source })
    }

    /// The request of a supervisor that is started by a caller with this environment.
    pub(super) fn request(&self, environment: Vec<(OsString, OsString)>) -> Request {
        Request { environment, ..self.request.clone() }
    }

    pub(super) fn work<'a>(&'a self, request: &'a Request, state: &'a Path) -> Work<'a> {
        Work { policy: &self.policy, request, own: &self.own, state }
    }
}

/// The request with the layers of which the sandbox is made now. Without `writable`, nothing more is written to them.
pub(super) fn with_layers(request: &Request, sandbox: &sandboxes::Sandbox, writable: bool) -> Request {
    let writes = Upper { upper: sandbox.upper(), work: sandbox.work() };
    let (sealed, writes) = if writable { (sandbox.under(), Some(writes)) } else { (sandbox.layers(), None) };
    let layers = Layers { sealed, writes, caches: sandbox.path().join("caches") };
    Request { layers: Some(layers), ..request.clone() }
}
