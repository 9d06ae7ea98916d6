//! The whole way of a run, in order.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::time::{Instant, SystemTime};

use stockade_linux::denials::DenialLog;
use stockade_linux::observe::inferred;
use stockade_linux::relay::HostStdio;
use stockade_linux::{Finished, Launch, launch, probe};
use stockade_spec::compile::{compile, protected_patterns, survey};
use stockade_spec::facts::{Availability, Obstacle};
use stockade_spec::policy::{WorkspaceAccess, load};
use stockade_spec::report::Outcome;
use stockade_spec::request::Trace;
use stockade_spec::{HostFacts, Plan, Policy, Report, Request};
use stockade_workspace::{Before, StateDirectory, recover};

use crate::error::Error;
use crate::event::Event;
use crate::job::Job;
use crate::protected::{Found, Lookout, ProtectedFiles, rules};
use crate::{account, own, stdio};

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
    Ok(look(job, &policy(job)?)?.0)
}

/// Compiles the job's policy for this host, as [`run`] would. Nothing is started, mounted or written.
///
/// # Errors
/// When the policy is wrong, or cannot be carried out here.
pub fn plan(job: &Job<'_>) -> Result<Plan, Error> {
    let policy = policy(job)?;
    let (facts, _) = look(job, &policy)?;
    checked_plan(job, &policy, &facts)
}

/// Carries the job out and waits for its end. `observe` is told what happens, as it happens.
///
/// Where this host turns out to refuse user namespaces only when they are made, the policy is compiled once more with that
/// fact: to a plan for another tier if the policy permits it, and else to an error that says what is missing.
///
/// # Errors
/// See [`Error`]. Nothing is left behind then, except what a command that had started wrote into the workspace.
pub fn run(job: &Job<'_>, stdio: HostStdio, observe: impl FnMut(Event<'_>)) -> Result<Report, Error> {
    let observe = RefCell::new(observe);
    let tell = |event: Event<'_>| (observe.borrow_mut())(event);
    let state = StateDirectory::new(job.state)?;
    make_up_for_interrupted(&state, &tell)?;
    let policy = policy(job)?;
    let (mut facts, before) = look(job, &policy)?;
    let plan = checked_plan(job, &policy, &facts)?;
    match supervise(
        job,
        &state,
        &plan,
        &facts,
        before.clone(),
        stdio::duplicate(&stdio).map_err(Error::Streams)?,
        &tell,
    ) {
        Err(Error::Launch(error)) => {
            let Some((operation, errno)) = error.blocked_namespaces() else { return Err(error.into()) };
            facts.user_namespaces = Availability::Blocked(Obstacle::Refused { operation, errno });
            let plan = checked_plan(job, &policy, &facts)?;
            supervise(job, &state, &plan, &facts, before, stdio, &tell)
        }
        done => done,
    }
}

fn checked_plan(job: &Job<'_>, policy: &Policy, facts: &HostFacts) -> Result<Plan, Error> {
    let plan = compile(policy, job.request, facts)?;
    own::check(job, policy)?;
    Ok(plan)
}

/// The facts, and what is protected in a workspace that can be written.
fn look(job: &Job<'_>, policy: &Policy) -> Result<(HostFacts, Option<Before>), Error> {
    let mut facts = probe(&survey(policy, job.request), &job.request.home)?;
    let Request { workspace, home, .. } = job.request;
    // A workspace that holds home is refused by the compiler; walking it first would take as long as it is large.
    if policy.filesystem.workspace == WorkspaceAccess::ReadOnly || home.starts_with(workspace) {
        return Ok((facts, None));
    }
    let before = Before::take(workspace, &rules(&protected_patterns(policy))?)?;
    facts.protected = before.paths();
    Ok((facts, Some(before)))
}

fn supervise(
    job: &Job<'_>,
    state: &StateDirectory,
    plan: &Plan,
    facts: &HostFacts,
    before: Option<Before>,
    stdio: HostStdio,
    tell: &dyn Fn(Event<'_>),
) -> Result<Report, Error> {
    let protected = before.map_or(Ok(None), |before| ProtectedFiles::begin(state, before, plan))?;
    let protected = protected.map(|files| Rc::new(RefCell::new(files)));
    let started = SystemTime::now();
    let denials = DenialLog::new(Instant::now(), |denial| tell(Event::Denied(denial)));
    let running = match launch(Launch { plan, cgroups: &facts.cgroups, stdio, denials }) {
        Ok(running) => running,
        Err(error) => {
            protected.map_or(Ok(()), |files| files.borrow_mut().abandon())?;
            return Err(error.into());
        }
    };
    tell(Event::Started(plan));
    let mut finished = match running.wait(protected.as_ref().and_then(Lookout::over)) {
        Ok(finished) => finished,
        Err(error) => {
            sweep_after_failure(protected, plan, tell)?;
            return Err(error.into());
        }
    };
    let found = protected.map_or(Ok(Found::default()), |files| files.borrow_mut().finish(&mut finished.denials))?;
    infer(job, plan, &mut finished);
    let report = account::report(plan, started, finished, found);
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
fn infer(job: &Job<'_>, plan: &Plan, finished: &mut Finished<'_>) {
    if finished.outcome == (Outcome::Exited { status: 0 }) || job.request.trace != Trace::Off {
        return;
    }
    let exists = |path: &Path| path.symlink_metadata().is_ok();
    for attempt in inferred::infer(plan, &finished.stderr_tail, exists) {
        finished.denials.record(attempt);
    }
}
