//! The whole way of a run, in order.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::time::{Instant, SystemTime};

use stockade_egress::Decider;
use stockade_linux::denials::DenialLog;
use stockade_linux::observe::inferred;
use stockade_linux::relay::HostStdio;
use stockade_linux::{Finished, Launch, Launching, Namespaces, Running, Watch, probe};
use stockade_spec::compile::{check_workspace, compile, protected_patterns, survey};
use stockade_spec::facts::{Availability, Obstacle};
use stockade_spec::glob::Rules;
use stockade_spec::policy::{WorkspaceAccess, load};
use stockade_spec::report::Outcome;
use stockade_spec::request::Trace;
use stockade_spec::{HostFacts, Plan, Policy, Report, Request};
use stockade_workspace::{Before, StateDirectory, recover};

use crate::account::Expected;
use crate::error::Error;
use crate::event::Event;
use crate::gate::{self, OpenGate};
use crate::job::{Job, Work};
use crate::protected::{Found, Lookout, ProtectedFiles, rules};
use crate::{account, fault, own, stdio};

/// Merges and checks the job's policy.
///
/// # Errors
/// [`Error::Policy`] with everything that is wrong with it.
pub fn policy(job: &Job<'_>) -> Result<Policy, Error> {
    load(&job.layers, job.workspace, job.overrides).map_err(Error::Policy)
}

/// Finds what this host offers and what lies where on it, as far as the job depends on it.
///
/// # Errors
/// When the policy is wrong, or something cannot be looked at.
pub fn facts(job: &Job<'_>) -> Result<HostFacts, Error> {
    let policy = policy(job)?;
    Ok(Ground::look(Work::of(job, &policy))?.facts)
}

/// Compiles the job's policy for this host, as [`run`] would. Nothing is started, mounted or written.
///
/// # Errors
/// When the policy is wrong, or cannot be carried out here.
pub fn plan(job: &Job<'_>) -> Result<Plan, Error> {
    let policy = policy(job)?;
    let work = Work::of(job, &policy);
    let plan = compile(work.policy, work.request, &Ground::look(work)?.facts)?;
    own::check(work)?;
    Ok(plan)
}

/// Carries the job out and waits for its end. `observe` is told what happens, as it happens.
///
/// Where this host turns out to refuse user namespaces only when they are made, the policy is compiled once more with that
/// fact: to a plan for another tier if the policy permits it, and else to an error that says what is missing.
///
/// # Errors
/// See [`Error`]. Nothing is left behind then, except what a command that had started wrote into the workspace.
pub fn run(job: &Job<'_>, stdio: HostStdio, observe: impl FnMut(Event<'_>)) -> Result<Report, Error> {
    run_asking(job, stdio, observe, None)
}

/// Like [`run`], and where the policy says `network.default = "ask"`, `decider` is asked about endpoints that no rule names, on
/// a thread of its own. Without a decider they are refused.
///
/// # Errors
/// As [`run`].
pub fn run_asking(
    job: &Job<'_>,
    stdio: HostStdio,
    observe: impl FnMut(Event<'_>),
    decider: Option<Decider>,
) -> Result<Report, Error> {
    let policy = policy(job)?;
    let observe = RefCell::new(observe);
    carry_out(Work::of(job, &policy), stdio, decider, &|event| (observe.borrow_mut())(event))
}

/// Everything after the policy was merged.
pub(crate) fn carry_out(
    work: Work<'_>,
    stdio: HostStdio,
    decider: Option<Decider>,
    tell: &dyn Fn(Event<'_>),
) -> Result<Report, Error> {
    let namespaces = Namespaces::begin();
    fault::place();
    make_up_for_interrupted(&StateDirectory::new(work.state)?, tell)?;
    let mut ground = Ground::look(work)?;
    let first = compile(work.policy, work.request, &ground.facts)?;
    let second;
    let (plan, begun) =
        match begin(work, &ground, &first, stdio::duplicate(&stdio).map_err(Error::Streams)?, namespaces, tell) {
            Err(Error::Launch(error)) => {
                let Some((operation, errno)) = error.blocked_namespaces() else { return Err(error.into()) };
                ground.facts.user_namespaces = Availability::Blocked(Obstacle::Refused { operation, errno });
                second = compile(work.policy, work.request, &ground.facts)?;
                (&second, begin(work, &ground, &second, stdio, Namespaces::default(), tell)?)
            }
            begun => (&first, begun?),
        };
    // While the command runs, and not when its caller waits for the end.
    drop(ground);
    follow(work, plan, begun, decider, tell)
}

/// Where a run takes place.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) facts: HostFacts,
    /// What is protected in a workspace that can be written, and the rules by which it was found.
    before: Option<(Before, Rc<Rules>)>,
}

impl Ground {
    pub(crate) fn look(work: Work<'_>) -> Result<Self, Error> {
        let Work { policy, request, .. } = work;
        let mut facts = probe(&survey(policy, request), &request.home)?;
        // Such a workspace is refused by the compiler; walking it first would take as long as it is large.
        let too_broad = check_workspace(request).is_err();
        let untouched = policy.filesystem.workspace == WorkspaceAccess::ReadOnly || request.layers.is_some();
        if untouched || too_broad {
            return Ok(Self { facts, before: None });
        }
        let rules = rules(&protected_patterns(policy))?;
        let before = Before::take(&request.workspace, &rules, &request.home)?;
        facts.protected = before.paths();
        Ok(Self { facts, before: Some((before, Rc::new(rules))) })
    }
}

/// A run whose command is being executed.
#[derive(Debug)]
pub(crate) struct Begun<'a> {
    pub(crate) running: Running<'a>,
    protected: Option<Rc<RefCell<ProtectedFiles>>>,
    /// The gate, which is started when the launch is over.
    pub(crate) gate: Option<gate::Prepared<'a>>,
    started: SystemTime,
}

/// Launches the plan.
pub(crate) fn begin<'a>(
    work: Work<'_>,
    ground: &Ground,
    plan: &'a Plan,
    stdio: HostStdio,
    namespaces: Namespaces,
    tell: &'a dyn Fn(Event<'_>),
) -> Result<Begun<'a>, Error> {
    let gate = gate::Prepared::of(plan, work.request)?;
    let started = SystemTime::now();
    let denials = DenialLog::new(Instant::now(), |denial| tell(Event::Denied(denial)));
    let launching = Launching::begin(Launch { plan, cgroups: &ground.facts.cgroups, stdio, denials, namespaces })?;
    // While the stage is at work, and the command waits.
    own::check(work)?;
    let protected = ProtectedFiles::begin(&StateDirectory::new(work.state)?, ground.before.as_ref(), plan)?;
    let protected = protected.map(|files| Rc::new(RefCell::new(files)));
    fault::place();
    match launching.proceed() {
        Ok(running) => Ok(Begun { running, protected, gate, started }),
        Err(error) => {
            protected.map_or(Ok(()), |files| files.borrow_mut().abandon())?;
            Err(error.into())
        }
    }
}

/// Follows the run to its end, and accounts for it.
fn follow<'a>(
    work: Work<'_>,
    plan: &'a Plan,
    begun: Begun<'a>,
    decider: Option<Decider>,
    tell: &'a dyn Fn(Event<'_>),
) -> Result<Report, Error> {
    let Begun { mut running, protected, gate, started } = begun;
    tell(Event::Started(plan));
    let mut watches: Vec<Box<dyn Watch + '_>> = Vec::new();
    watches.extend(protected.as_ref().and_then(Lookout::over).map(|lookout| lookout as Box<dyn Watch>));
    let mut gate = match gate.map(|gate| gate.start(running.take_gate(), decider)).transpose() {
        Ok(gate) => gate,
        Err(error) => {
            // Ends the command, which may have run for a moment.
            drop(running);
            sweep_after_failure(protected, plan, tell)?;
            return Err(error);
        }
    };
    watches.extend(gate.iter_mut().flat_map(|gate| gate.watches(tell)));
    let keeper = gate.as_ref().map(OpenGate::keeper);
    let expected = Expected::of(plan);
    let mut finished = match running.wait(watches, keeper) {
        Ok(finished) => finished,
        Err(error) => {
            sweep_after_failure(protected, plan, tell)?;
            return Err(error.into());
        }
    };
    fault::place();
    let passed = gate.map(|gate| gate.finish(&mut finished.denials, tell));
    let found = protected.map_or(Ok(Found::default()), |files| files.borrow_mut().finish(&mut finished.denials))?;
    fault::place();
    infer(work.request, plan, &mut finished);
    let report = account::report(plan, expected, started, finished, found, passed);
    tell(Event::Ended(&report));
    Ok(report)
}

/// Sweeps after a run that could not be followed to its end, and tells what was found, as there will be no report.
fn sweep_after_failure(
    protected: Option<Rc<RefCell<ProtectedFiles>>>,
    plan: &Plan,
    tell: &dyn Fn(Event<'_>),
) -> Result<(), Error> {
    let Some(files) = protected else { return Ok(()) };
    let mut denials = DenialLog::new(Instant::now(), |denial| tell(Event::Denied(denial)));
    let found = files.borrow_mut().finish(&mut denials)?;
    found.tell(Some(&plan.workspace), tell);
    Ok(())
}

/// Sweeps for runs whose supervisor was killed, and tells what was found.
fn make_up_for_interrupted(state: &StateDirectory, tell: &dyn Fn(Event<'_>)) -> Result<(), Error> {
    for interrupted in recover(state)? {
        let mut found = Found::default();
        match interrupted.result {
            Ok(swept) => found.add(interrupted.workspace.as_deref(), swept),
            Err(error) => found.failures.push(error.to_string()),
        }
        found.tell(interrupted.workspace.as_deref(), tell);
    }
    Ok(())
}

/// Adds what a failed command's error text says of refused file operations. Where those are traced it would only say
/// things twice, and less exactly.
fn infer(request: &Request, plan: &Plan, finished: &mut Finished<'_>) {
    if finished.outcome == (Outcome::Exited { status: 0 }) || request.trace != Trace::Off {
        return;
    }
    let exists = |path: &Path| path.symlink_metadata().is_ok();
    for attempt in inferred::infer(plan, &finished.stderr_tail, exists) {
        finished.denials.record(attempt);
    }
}
