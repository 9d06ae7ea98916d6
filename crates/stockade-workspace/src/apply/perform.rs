//! Applies a plan, and finishes one that was interrupted.

use std::os::fd::AsFd;
use std::path::Path;

use super::carry_out::{Carrier, Outcome};
use super::error::ApplyError;
use super::finish::Finish;
use super::host::Host;
use super::journal::{self, Begin, Found, Journal};
use super::plan::ApplyPlan;
use super::progress::{Meter, Progress};
use super::remove;
use super::report::Applied;
use super::stage::{self, Script};
use super::staging::{self, Folder, Staging};
use super::step::Work;
use crate::fault;

/// Brings what was planned to the host's workspace. `folder` is the apply's own: its journal is kept there, and its files, when
/// that is on the workspace's file system. It is made if it is not there.
///
/// Every file of the workspace is exactly as it was before or exactly as in the sandbox, at every moment. After a crash,
/// [`resume`] finishes what was begun. Once the caller has dealt with the report, and has taken the old layer away, [`close`]
/// ends it.
///
/// `tell` is called now and then when it takes longer than a second.
///
/// # Errors
/// When nothing could be applied at all; see [`ApplyError`]. What concerns one file is in the report. Where the error comes
/// after the journal says that all is ready, the folder holds it still, and [`resume`] goes on.
pub fn perform(plan: &ApplyPlan<'_>, folder: &Path, tell: &mut dyn FnMut(Progress)) -> Result<Applied, ApplyError> {
    if plan.is_empty() {
        return Ok(Applied::of(plan.told().clone()));
    }
    let host = Host::open(&plan.workspace)?;
    host.lock()?;
    let failed = |source| ApplyError::Workspace { operation: "look at", path: plan.workspace.clone(), source };
    if !host.entry().map_err(failed)?.is_same_file(&plan.root) {
        return Err(ApplyError::OtherWorkspace(plan.workspace.clone()));
    }
    let folder = Folder::make(folder)?;
    let inside = staging::choose(&folder, &host).map_err(failed)?;
    let mut journal = Journal::create(&folder, &Begin::new(&plan.workspace, plan.root, inside.clone()))?;
    fault::place();
    let made = make_ready(plan, &folder, &host, inside.clone(), &mut journal, tell);
    let (mut staging, script) = match made {
        Ok(made) => made,
        Err(error) => {
            drop_staged(&folder, Some(&host), inside)?;
            return Err(error);
        }
    };
    roll_forward(&host, &folder, &mut staging, &mut journal, script, None)
}

/// Makes everything ready, up to the moment at which the journal says so.
fn make_ready(
    plan: &ApplyPlan<'_>,
    folder: &Folder,
    host: &Host,
    inside: Option<String>,
    journal: &mut Journal,
    tell: &mut dyn FnMut(Progress),
) -> Result<(Staging, Script), ApplyError> {
    let failed = |source| ApplyError::Stage { operation: "prepare", path: std::path::PathBuf::new(), source };
    let mut staging = Staging::create(folder, host, inside).map_err(failed)?;
    fault::place();
    if !staging.can_exchange().map_err(failed)? {
        return Err(ApplyError::CannotExchange(host.path().to_owned()));
    }
    let (files, bytes) = plan.size();
    let script = stage::stage(plan, host, &mut staging, Meter::new(files, bytes, tell))?;
    fault::place();
    staging.sync().map_err(failed)?;
    fault::place();
    journal.ready(&script)?;
    fault::place();
    Ok((staging, script))
}

/// Carries out every step, unless all were, and finishes.
fn roll_forward(
    host: &Host,
    folder: &Folder,
    staging: &mut Staging,
    journal: &mut Journal,
    script: Script,
    outcomes: Option<Vec<Outcome>>,
) -> Result<Applied, ApplyError> {
    // What was opened by name while it was staged will have other names.
    staging.root.forget();
    let mut carrier = Carrier { host, staging, journal, opened: script.opened.iter().cloned().collect() };
    let outcomes = match outcomes {
        Some(outcomes) if outcomes.len() == script.steps.len() => outcomes,
        _ => {
            let outcomes = carry_out_all(&mut carrier, &script);
            fault::place();
            carrier.journal.outcomes(&outcomes)?;
            fault::place();
            outcomes
        }
    };
    let applied = Finish::new(folder, &script, &outcomes).run(&mut carrier)?;
    clear(folder, host, staging, &applied)?;
    Ok(applied)
}

fn carry_out_all(carrier: &mut Carrier<'_>, script: &Script) -> Vec<Outcome> {
    let mut outcomes = vec![Outcome::Raced; script.steps.len()];
    // Attributes of directories are last: they may forbid what the others do.
    for are_attributes in [false, true] {
        for (step, outcome) in script.steps.iter().zip(&mut outcomes) {
            if matches!(step.work, Work::Attributes { .. }) == are_attributes {
                *outcome = carrier.carry_out(step);
            }
        }
    }
    outcomes
}

/// Removes what is left of what was staged.
fn clear(folder: &Folder, host: &Host, staging: &mut Staging, applied: &Applied) -> Result<(), ApplyError> {
    fault::place();
    let cleared = staging.clear(host, applied.old.is_some());
    fault::place();
    cleared.map_err(|error| ApplyError::folder("remove what was staged for", &folder.path, error))
}

/// Removes what was staged for an apply that has changed nothing, and its journal.
fn drop_staged(folder: &Folder, host: Option<&Host>, inside: Option<String>) -> Result<(), ApplyError> {
    let failed = |error| ApplyError::folder("remove what was staged for", &folder.path, error);
    let staging = match host.filter(|_| inside.is_some()) {
        Some(host) => Staging::open(folder, host, inside).map_err(failed)?.map(|staging| (staging, host)),
        None => None,
    };
    if let Some((mut staging, host)) = staging {
        staging.clear(host, false).map_err(failed)?;
    }
    fault::place();
    empty(folder)?;
    journal::remove(folder)
}

/// Removes everything of a folder but its journal.
fn empty(folder: &Folder) -> Result<(), ApplyError> {
    let dir = folder.fd.as_fd();
    let removed = [c"new", c"old"].iter().try_for_each(|name| remove::remove(dir, name, dir));
    removed.map_err(|error| ApplyError::folder("empty", &folder.path, error))
}

/// Finishes the apply of this folder, if one was interrupted there: either nothing of it is done, or all. Calling it again
/// changes nothing, and gives the same report until [`close`] is called. `None` where there is none, or where nothing had
/// been changed.
///
/// # Errors
/// When the workspace is gone or in use by another apply, or the file system refuses. It can be called again then.
pub fn resume(folder: &Path) -> Result<Option<Applied>, ApplyError> {
    let Some(folder) = Folder::open(folder)? else { return Ok(None) };
    let Some((_, found)) = Journal::open(&folder)? else { return Ok(None) };
    let host = found.begin().map(open_again);
    if let Some(Ok(host)) = &host {
        host.lock()?;
    }
    // By now another process may have gone on with it.
    let Some((mut journal, found)) = Journal::open(&folder)? else { return Ok(None) };
    let open = |begin: &Begin, host: &Host| {
        let opened = Staging::open(&folder, host, begin.inside.clone());
        opened.map_err(|error| ApplyError::folder("open what was staged in", &folder.path, error))
    };
    match (found, host) {
        (Found::Nothing(begin), host) => {
            drop_staged(&folder, host.and_then(Result::ok).as_ref(), begin.and_then(|begin| begin.inside))?;
            Ok(None)
        }
        (Found::Finished(begin, applied), Some(host)) => {
            let host = host?;
            if let Some(mut staging) = open(&begin, &host)? {
                clear(&folder, &host, &mut staging, &applied)?;
            }
            Ok(Some(applied))
        }
        (Found::Ready(begin, script, outcomes), Some(host)) => {
            let host = host?;
            let gone = || ApplyError::folder("open what was staged in", &folder.path, rustix::io::Errno::NOENT);
            let mut staging = open(&begin, &host)?.ok_or_else(gone)?;
            roll_forward(&host, &folder, &mut staging, &mut journal, script, outcomes).map(Some)
        }
        (_, None) => Ok(None),
    }
}

/// Opens the workspace of an interrupted apply, if it is the same.
fn open_again(begin: &Begin) -> Result<Host, ApplyError> {
    let host = Host::open(&begin.workspace)?;
    let same = host.entry().is_ok_and(|root| root.is_same_file(&begin.root));
    if same { Ok(host) } else { Err(ApplyError::OtherWorkspace(begin.workspace.clone())) }
}

/// Ends an apply whose report has been dealt with: removes its journal, and the old layer if that was not taken away.
///
/// # Errors
/// When something cannot be removed, or the apply is not finished.
pub fn close(folder: &Path) -> Result<(), ApplyError> {
    let Some(folder) = Folder::open(folder)? else { return Ok(()) };
    match Journal::open(&folder)? {
        None | Some((_, Found::Finished(..))) => {}
        Some(_) => return Err(ApplyError::Unfinished(folder.path)),
    }
    empty(&folder)?;
    fault::place();
    journal::remove(&folder)
}
