//! Sandboxes that last: layers over the workspace.

use stockade_spec::facts::{Availability, Obstacle};
use stockade_spec::plan::{BindAccess, LandlockAccess, Operation, enforcement};
use stockade_spec::report::Protection;
use stockade_spec::request::{Layers, Upper};
use stockade_spec::{CompileError, Plan, Request, Tier, compile};

use crate::hosts::{HOME, WORKSPACE, furnished, plain, policy, request};

fn lasting() -> Request {
    let writes = Some(Upper { upper: "/s/upper".into(), work: "/s/work".into() });
    let layers = Layers { sealed: vec!["/l/2".into(), "/l/1".into()], writes, caches: "/s/caches".into() };
    Request { command: Vec::new(), layers: Some(layers), ..request() }
}

fn operations(plan: &Plan) -> impl Iterator<Item = &Operation> {
    plan.steps.iter().map(|step| &step.operation)
}

#[test]
fn the_workspace_lies_under_its_layers_and_is_not_written() {
    let plan = compile(&policy(""), &lasting(), &plain()).expect("a plan");
    let layered = operations(&plan).find(|operation| matches!(operation, Operation::Layered { .. }));
    let Some(Operation::Layered { source, target, sealed, writes }) = layered else { panic!("no layers") };
    assert_eq!((source.to_str(), target.to_str()), (Some(WORKSPACE), Some(WORKSPACE)));
    assert_eq!(sealed, &lasting().layers.expect("layers").sealed);
    assert_eq!(writes.as_ref().map(|writes| writes.upper.clone()), Some("/s/upper".into()));
    let written = |operation: &Operation| match operation {
        Operation::Bind { source, access: BindAccess::Write, .. } => source.starts_with(WORKSPACE),
        Operation::SweepProtected { .. } => true,
        _ => false,
    };
    assert!(!operations(&plan).any(written));
    assert_eq!(operations(&plan).last(), Some(&Operation::ServeCommands));
    assert_eq!(plan.explanations.writable, [std::path::PathBuf::from(WORKSPACE)]);
    let Some(Operation::Landlock { ruleset }) =
        operations(&plan).find(|operation| matches!(operation, Operation::Landlock { .. }))
    else {
        panic!("no domain")
    };
    let writable = |rule: &stockade_spec::plan::LandlockRule| rule.access == LandlockAccess::Write;
    assert!(ruleset.rules.iter().filter(|rule| writable(rule)).any(|rule| rule.path.to_str() == Some(WORKSPACE)));
}

#[test]
fn protected_files_are_not_held_since_they_are_held_back_later() {
    let mut facts = plain();
    facts.protected = vec![format!("{WORKSPACE}/.git/hooks").into()];
    let plan = compile(&policy(""), &lasting(), &facts).expect("a plan");
    let holds = |operation: &Operation| match operation {
        Operation::ReadOnly { target } | Operation::Pin { target } => target.starts_with(WORKSPACE),
        _ => false,
    };
    assert!(!operations(&plan).any(holds));
    let told = enforcement(&plan).into_iter().find(|line| line.protection == Protection::ProtectedFiles);
    assert!(told.expect("a line").mechanism.contains("applied"));
}

#[test]
fn caches_keep_what_is_written_to_them() {
    let plan = compile(&policy(""), &lasting(), &furnished()).expect("a plan");
    let cache = format!("{HOME}/.cargo");
    let found = operations(&plan).find_map(|operation| match operation {
        Operation::Layered { target, writes, .. } if target.to_str() == Some(&cache) => writes.clone(),
        _ => None,
    });
    assert_eq!(found.expect("a layer").upper.to_str(), Some("/s/caches/home+ada+.cargo/upper"));
    assert!(!operations(&plan).any(|operation| matches!(operation, Operation::CopyOnWrite { .. })));
}

#[test]
fn a_read_only_workspace_has_layers_and_no_upper() {
    let mut request = lasting();
    if let Some(layers) = &mut request.layers {
        layers.writes = None;
    }
    let plan = compile(&policy(""), &request, &plain()).expect("a plan");
    assert!(operations(&plan).any(|operation| matches!(operation, Operation::Layered { writes: None, .. })));
    if let Some(layers) = &mut request.layers {
        layers.sealed.clear();
    }
    let plan = compile(&policy(""), &request, &plain()).expect("a plan");
    let bound = |operation: &Operation| match operation {
        Operation::Bind { source, access, .. } => source.to_str() == Some(WORKSPACE) && *access == BindAccess::ReadOnly,
        _ => false,
    };
    assert!(operations(&plan).any(bound));
}

#[test]
fn a_policy_that_holds_the_workspace_read_only_lets_nothing_be_written_to_its_layers() {
    let plan = compile(&policy("extends = 'read-only'"), &lasting(), &plain()).expect("a plan");
    let written = |operation: &Operation| match operation {
        Operation::Layered { target, writes, .. } => target.to_str() == Some(WORKSPACE) && writes.is_some(),
        _ => false,
    };
    assert!(!operations(&plan).any(written));
    assert!(operations(&plan).any(|operation| matches!(operation, Operation::Layered { writes: None, .. })));
}

#[test]
fn denied_files_of_the_workspace_stay_denied() {
    let plan = compile(&policy("filesystem.deny = ['secrets/']"), &lasting(), &plain()).expect("a plan");
    let denied = |operation: &Operation| match operation {
        Operation::SystemCalls { filter } => filter.files.deny.iter().any(|glob| glob.contains("secrets")),
        _ => false,
    };
    assert!(operations(&plan).any(denied));
}

#[test]
fn where_nothing_can_be_mounted_it_is_refused() {
    let mut blocked = plain();
    blocked.user_namespaces = Availability::Blocked(Obstacle::AppArmor);
    let error = compile(&policy(""), &lasting(), &blocked).expect_err("a refusal");
    assert!(matches!(error, CompileError::TierUnavailable { tier: Tier::Namespaces, .. }), "{error}");
    let forced = Request { isolation: Some(Tier::Landlock), ..lasting() };
    let error = compile(&policy(""), &forced, &plain()).expect_err("a refusal");
    assert_eq!(error, CompileError::LayersNeedMounts);
}

#[test]
fn without_layers_a_command_is_needed() {
    let nothing = Request { layers: None, ..lasting() };
    assert_eq!(compile(&policy(""), &nothing, &plain()), Err(CompileError::NoCommand));
}
