//! One run of a trivial command in one tier: the only proof that it works.

use std::path::PathBuf;
use std::{fmt, io};

use serde::Serialize;
use stockade::policy::{Limits, Overrides};
use stockade::report::{Enforcement, Level, Outcome, Protection};
use stockade::units::Span;
use stockade::{HostFacts, HostStdio, Job, Request, Tier};

use crate::caller::Caller;
use crate::failure::Failure;
use crate::{render, resolve};

/// How long a trial may take.
const TIME: Span = Span { milliseconds: 10_000 };

/// How one tier did.
#[derive(Debug, Serialize)]
pub(crate) struct Trial {
    /// The tier.
    pub(crate) tier: Tier,
    /// Why it does not work; `None` where it does.
    pub(crate) failure: Option<String>,
    /// How each protection was enforced.
    pub(crate) enforcement: Vec<Enforcement>,
}

impl Trial {
    /// The protections that were weaker than in the strongest tier.
    pub(crate) fn degraded(&self) -> impl Iterator<Item = Protection> {
        let weaker = |entry: &&Enforcement| matches!(entry.level, Level::Degraded { .. });
        self.enforcement.iter().filter(weaker).map(|entry| entry.protection)
    }
}

/// Where trials run: an empty workspace, and the default policy with every weakness accepted.
pub(crate) struct TrialBed {
    scratch: Scratch,
    request: Request,
    overrides: Overrides,
    state: PathBuf,
}

impl TrialBed {
    /// Makes the workspace.
    ///
    /// # Errors
    /// When no directory can be made for it.
    pub(crate) fn new(caller: &Caller) -> Result<Self, Failure> {
        let scratch = Scratch::new(caller)
            .map_err(|source| Failure::Write { what: "a directory for trials".to_owned(), source })?;
        Ok(Self {
            request: resolve::trivial(&scratch.0, caller),
            scratch,
            overrides: Overrides {
                accept_degraded: Protection::ALL.to_vec(),
                limits: Limits { time: Some(TIME), ..Limits::default() },
                ..Overrides::default()
            },
            state: caller.state.clone(),
        })
    }

    /// What was probed.
    ///
    /// # Errors
    /// When this host cannot be probed.
    pub(crate) fn facts(&self) -> Result<HostFacts, Failure> {
        Ok(stockade::facts(&self.job(&self.request))?)
    }

    /// Runs `true` in one tier.
    pub(crate) fn trial(&self, tier: Tier) -> Trial {
        match self.run(tier) {
            Ok(enforcement) => Trial { tier, failure: None, enforcement },
            Err(failure) => Trial { tier, failure: Some(render::one_line(&failure)), enforcement: Vec::new() },
        }
    }

    fn run(&self, tier: Tier) -> Result<Vec<Enforcement>, Failure> {
        let stdio = null_stdio().map_err(Failure::Streams)?;
        let request = Request { isolation: Some(tier), run_id: resolve::run_id(), ..self.request.clone() };
        let report = stockade::run(&self.job(&request), stdio, |_event| ())?;
        match report.outcome {
            Outcome::Exited { status: 0 } => Ok(report.enforcement),
            outcome => Err(Failure::Trial(outcome)),
        }
    }

    fn job<'a>(&'a self, request: &'a Request) -> Job<'a> {
        Job { layers: Vec::new(), workspace: None, overrides: &self.overrides, request, own: &[], state: &self.state }
    }
}

impl fmt::Debug for TrialBed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrialBed").field("workspace", &self.scratch.0).finish_non_exhaustive()
    }
}

/// An empty directory of our own that goes when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(caller: &Caller) -> io::Result<Self> {
        let parent = std::fs::canonicalize(resolve::temporary(caller, None))?;
        let path = parent.join(format!("stockade-doctor-{}", resolve::run_id()));
        // Fails where the name is taken, so nobody else's directory is ever used or removed.
        rustix::fs::mkdir(&path, rustix::fs::Mode::RWXU)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Only an empty directory goes; whatever else appeared in it is not ours to remove.
        let _left_behind = std::fs::remove_dir(&self.0);
    }
}

fn null_stdio() -> io::Result<HostStdio> {
    let open = || std::fs::OpenOptions::new().read(true).write(true).open("/dev/null");
    Ok(HostStdio { stdin: open()?.into(), stdout: open()?.into(), stderr: open()?.into() })
}
