//! Turns what a run left behind into its report: a line for every operation of the plan, and for every protection by what
//! and how well it was enforced.

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use stockade_linux::Finished;
use stockade_spec::Report;
use stockade_spec::plan::{Operation, Plan, Step, enforcement};
use stockade_spec::report::{Enforcement, Level, MAX_DENIALS, OperationResult, REPORT_VERSION};

use crate::gate;
use crate::protected::Found;

/// What the report says when nothing fails. Made while the command runs, since the caller waits for a report that is made
/// afterwards.
#[derive(Debug)]
pub(crate) struct Expected {
    enforcement: Vec<Enforcement>,
    operations: Vec<OperationResult>,
}

impl Expected {
    /// What is expected of a plan.
    pub(crate) fn of(plan: &Plan) -> Self {
        let result = |step: &Step| OperationResult {
            operation: step.operation.to_string(),
            protection: step.protection,
            failed: None,
        };
        Self { enforcement: enforcement(plan), operations: plan.steps.iter().map(result).collect() }
    }

    /// Takes a step's failure into account: its protection is enforced less than the plan says.
    fn fail(&mut self, index: u32, error: String) {
        let Some(result) = usize::try_from(index).ok().and_then(|index| self.operations.get_mut(index)) else { return };
        let failure = format!("{} failed: {error}", result.operation);
        result.failed = Some(error);
        let Some(entry) = self.enforcement.iter_mut().find(|entry| entry.protection == result.protection) else {
            return;
        };
        let reason = match &entry.level {
            Level::Degraded { reason } => format!("{reason}; {failure}"),
            Level::Enforced => failure,
        };
        entry.level = Level::Degraded { reason };
    }
}

/// The report of a run that is over.
pub(crate) fn report(
    plan: &Plan,
    mut expected: Expected,
    started: SystemTime,
    finished: Finished<'_>,
    found: Found,
    gate: Option<gate::Found>,
) -> Report {
    let Finished { outcome, usage, denials, degraded: mut failed, discarded, output, stream_failures, .. } = finished;
    let sweep = indexed(plan).find(|(_, step)| matches!(step.operation, Operation::SweepProtected { .. }));
    if let (Some((index, _)), false) = (sweep, found.failures.is_empty()) {
        failed.insert(index, found.failures.join("; "));
    }
    let (network, gate_failure) = gate.map(|gate| (gate.network, gate.failure)).unzip();
    let opened = indexed(plan).find(|(_, step)| matches!(step.operation, Operation::Gate { .. }));
    if let (Some((index, _)), Some(failure)) = (opened, gate_failure.flatten()) {
        failed.insert(index, failure);
    }
    failed.into_iter().for_each(|(index, error)| expected.fail(index, error));
    let (denials, denials_dropped) = denials.finish();
    let started_ms = started.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    Report {
        version: REPORT_VERSION,
        tier: plan.tier,
        profile: plan.profile.clone(),
        command: plan.command.arguments.iter().map(|part| part.to_string_lossy().into_owned()).collect(),
        started_ms: u64::try_from(started_ms).unwrap_or(u64::MAX),
        outcome,
        usage,
        enforcement: expected.enforcement,
        operations: expected.operations,
        denials,
        denials_dropped,
        network,
        discarded: discarded.iter().take(MAX_DENIALS).map(|path| path.to_string_lossy().into_owned()).collect(),
        quarantined: found.quarantined,
        unswept: found.is_unswept,
        output,
        stream_failures: stream_failures.iter().map(with_causes).collect(),
    }
}

/// An error's message with those of its causes.
pub(crate) fn with_causes(error: &(impl Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The steps with their indices, as `failed` counts them.
fn indexed(plan: &Plan) -> impl Iterator<Item = (u32, &Step)> {
    (0_u32..).zip(&plan.steps)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Instant;

    use stockade_linux::denials::DenialLog;
    use stockade_spec::Tier;
    use stockade_spec::plan::{Command, Degradation, Explanations, PLAN_VERSION};
    use stockade_spec::report::{Outcome, OutputSizes, Protection, Usage};
    use stockade_spec::request::Terminal;

    use super::*;

    fn plan() -> Plan {
        let step = |operation, protection| Step { operation, protection, degradable: true };
        Plan {
            version: PLAN_VERSION,
            tier: Tier::Namespaces,
            profile: "default".into(),
            command: Command {
                arguments: vec!["make".into()],
                environment: Vec::new(),
                directory: "/w".into(),
                terminal: Terminal::default(),
            },
            workspace: "/w".into(),
            home: "/h".into(),
            steps: vec![
                step(Operation::CreateNamespaces, Protection::Files),
                step(Operation::LoopbackUp, Protection::Loopback),
                step(Operation::MountMqueue, Protection::Ipc),
                step(
                    Operation::SweepProtected { workspace: "/w".into(), patterns: Vec::new() },
                    Protection::ProtectedFiles,
                ),
            ],
            degraded: vec![Degradation { protection: Protection::Ipc, reason: "weak".into() }],
            explanations: Explanations::default(),
        }
    }

    #[test]
    fn every_operation_is_answered_for() {
        let finished = Finished {
            outcome: Outcome::Exited { status: 0 },
            usage: Usage::default(),
            denials: DenialLog::new(Instant::now(), |_| ()),
            degraded: BTreeMap::from([(1, "no such device".to_owned()), (2, "no".to_owned())]),
            discarded: Vec::new(),
            output: OutputSizes::default(),
            stream_failures: Vec::new(),
            stderr_tail: Vec::new(),
        };
        let plan = plan();
        let report = report(
            &plan,
            Expected::of(&plan),
            UNIX_EPOCH,
            finished,
            Found { failures: vec!["a".into(), "b".into()], is_unswept: true, ..Found::default() },
            None,
        );
        assert_eq!((report.outcome.exit_status(), report.exit_status()), (0, 125));
        let failures: Vec<_> = report.operations.iter().map(|result| result.failed.as_deref()).collect();
        assert_eq!(failures, [None, Some("no such device"), Some("no"), Some("a; b")]);
        let level =
            |protection| &report.enforcement.iter().find(|entry| entry.protection == protection).expect("listed").level;
        assert_eq!(level(Protection::Files), &Level::Enforced);
        assert!(matches!(level(Protection::Loopback), Level::Degraded { reason } if reason.contains("no such device")));
        assert!(matches!(level(Protection::Ipc), Level::Degraded { reason } if reason.starts_with("weak; ")));
    }
}
