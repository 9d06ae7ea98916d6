//! Which tier is chosen, and what the weaker one needs consent for.

use stockade_spec::compile::RuleProblem;
use stockade_spec::facts::{Availability, HostFacts, Obstacle, PathFact};
use stockade_spec::plan::{LandlockAccess, NetworkFilter, Operation, SystemCallFilter, enforcement};
use stockade_spec::report::{Level, Protection};
use stockade_spec::request::Trace;
use stockade_spec::{CompileError, Plan, Tier, compile};

use crate::hosts::{HOME, furnished, plain, plan, policy, put, refusal, request};

pub(crate) const CONSENT: &str = "[enforcement]\naccept_degraded = [\"file-visibility\", \"caches\", \"protected-files\", \
                       \"process-visibility\", \"lifetime\", \"loopback\", \"ipc\", \"files\"]";

fn blocked(mut facts: HostFacts) -> HostFacts {
    facts.user_namespaces = Availability::Blocked(Obstacle::AppArmor);
    facts
}

#[test]
fn the_weaker_tier_needs_consent_to_each_protection() {
    let CompileError::Degraded { tier, missing } = refusal("", &blocked(plain())) else { panic!("no refusal") };
    assert_eq!(tier, Tier::Landlock);
    let all: Vec<_> = missing.iter().map(|degradation| degradation.protection).collect();
    assert!(all.contains(&Protection::ProcessVisibility) && all.contains(&Protection::ProtectedFiles));
    for left_out in &all {
        let others: Vec<_> =
            all.iter().filter(|other| *other != left_out).map(|other| format!("\"{other}\"")).collect();
        let text = format!("[enforcement]\naccept_degraded = [{}]", others.join(", "));
        let error = refusal(&text, &blocked(plain()));
        assert_eq!(error.protections(), [*left_out]);
        assert!(error.to_string().contains(&format!("accept_degraded = [\"{left_out}\"]")), "{error}");
    }
    let plan = plan(CONSENT, &blocked(plain()));
    for line in enforcement(&plan) {
        let weaker = all.contains(&line.protection);
        assert_eq!(matches!(line.level, Level::Degraded { .. }), weaker, "{}", line.protection);
    }
}

#[test]
fn a_tier_can_be_forced_by_request_and_policy() {
    let mut asked = request();
    asked.isolation = Some(Tier::Landlock);
    let plan = compile(&policy(CONSENT), &asked, &plain()).expect("a plan");
    assert_eq!(plan.tier, Tier::Landlock);
    asked.isolation = Some(Tier::Namespaces);
    let error = compile(&policy(CONSENT), &asked, &blocked(plain())).expect_err("a refusal");
    assert!(matches!(error, CompileError::TierUnavailable { tier: Tier::Namespaces, .. }));
    assert!(error.to_string().contains("AppArmor"), "{error}");
    asked.isolation = Some(Tier::Landlock);
    let error = compile(&policy("extends = \"hardened\""), &asked, &plain()).expect_err("a refusal");
    assert!(error.to_string().contains("accepts tier `namespaces`"), "{error}");
}

#[test]
fn kernels_that_cannot_enforce_are_refused() {
    let old = |change: fn(&mut HostFacts)| {
        let mut facts = plain();
        change(&mut facts);
        refusal(CONSENT, &facts).to_string()
    };
    let silent = |facts: &mut HostFacts| {
        facts.kernel.seccomp_notify = false;
        facts.kernel.landlock_abi = 0;
    };
    assert!(old(silent).contains("Landlock is off"));
    assert!(old(|facts| facts.kernel.machine = "riscv64".into()).contains("riscv64"));
    let truncates = |facts: &mut HostFacts| {
        facts.kernel.version = (5, 11);
        facts.kernel.landlock_abi = 2;
    };
    assert!(old(truncates).contains("ABI 3"));
}

#[test]
fn the_landlock_tier_allows_no_more_than_the_view() {
    let mut facts = blocked(furnished());
    put(&mut facts, "/home/ada/.local/share/keyrings", PathFact::Directory);
    let plan = plan(CONSENT, &facts);
    let ruleset = plan.steps.iter().find_map(|step| match &step.operation {
        Operation::Landlock { ruleset } => Some(ruleset),
        _ => None,
    });
    let ruleset = ruleset.expect("a domain");
    assert!(ruleset.refuse_tcp && ruleset.scope_signals && ruleset.scope_abstract_sockets);
    let writable: Vec<_> = ruleset
        .rules
        .iter()
        .filter(|rule| rule.access == LandlockAccess::Write)
        .map(|rule| rule.path.as_path())
        .collect();
    let expected = ["/home/ada/work/engine", "/tmp/stockade-4f1c/home", "/tmp/stockade-4f1c/tmp"];
    assert_eq!(writable, expected.map(std::path::Path::new));
    for closed in ["/", "/tmp", "/run", "/dev", "/dev/pts", "/dev/shm", HOME, "/home/ada/.local/share/keyrings"] {
        assert!(ruleset.rules.iter().all(|rule| rule.path != std::path::Path::new(closed)), "{closed}");
    }
    let variables: Vec<_> =
        plan.command.environment.iter().map(|(name, value)| (name.to_str(), value.to_str())).collect();
    assert!(variables.contains(&(Some("RUSTUP_HOME"), Some("/home/ada/.rustup"))));
    assert!(variables.contains(&(Some("HOME"), Some("/tmp/stockade-4f1c/home"))));
}

#[test]
fn signals_and_protected_files_are_decided_where_there_is_no_namespace() {
    let plan = plan(CONSENT, &blocked(plain()));
    let filter = plan.steps.iter().find_map(|step| match &step.operation {
        Operation::SystemCalls { filter } => Some(filter),
        _ => None,
    });
    let filter = filter.expect("a filter");
    assert!(filter.decide_signals);
    assert!(filter.files.protect.contains(&"/home/ada/work/engine/**/.git/hooks".to_owned()));
    assert!(filter.files.deny.is_empty(), "a question at every access: {:?}", filter.files.deny);
}

#[test]
fn a_cache_with_a_credential_is_seen_in_parts_where_nothing_can_hide_it() {
    let mut facts = blocked(furnished());
    put(&mut facts, "/home/ada/.cargo/registry", PathFact::Directory);
    put(&mut facts, "/home/ada/.cargo/bin", PathFact::Directory);
    let plan = plan(CONSENT, &facts);
    let read: Vec<_> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.operation {
            Operation::Landlock { ruleset } => Some(ruleset.rules.iter().map(|rule| rule.path.to_string_lossy())),
            _ => None,
        })
        .flatten()
        .filter(|path| path.contains(".cargo"))
        .collect();
    assert_eq!(read, ["/home/ada/.cargo/bin", "/home/ada/.cargo/registry"]);
}

/// The inside of another sandbox, which has the listener for system calls.
fn nested() -> HostFacts {
    let mut facts = blocked(plain());
    facts.kernel.seccomp_notify = false;
    facts
}

fn filter_of(plan: &Plan) -> &SystemCallFilter {
    let filter = plan.steps.iter().find_map(|step| match &step.operation {
        Operation::SystemCalls { filter } => Some(filter),
        _ => None,
    });
    filter.expect("a filter")
}

#[test]
fn inside_another_sandbox_nobody_is_asked() {
    let plan = plan(CONSENT, &nested());
    let filter = filter_of(&plan);
    assert!(!filter.notify && !filter.decide_signals && filter.files.is_off());
    assert_eq!(filter.network, NetworkFilter::UnixOnly);
    assert_eq!(plan.tier, Tier::Landlock);
    let mut asked = request();
    asked.isolation = Some(Tier::Namespaces);
    let mut facts = nested();
    facts.user_namespaces = Availability::Available;
    let error = compile(&policy(CONSENT), &asked, &facts).expect_err("a refusal");
    assert!(error.to_string().contains("another sandbox"), "{error}");
}

#[test]
fn what_only_a_listener_could_enforce_is_refused_inside_another_sandbox() {
    let denying = |rules: &str| format!("[filesystem]\ndeny = [{rules}]\n{CONSENT}");
    for rule in ["**/.env", "secrets/", "/usr/share/doc", "/home/**/x", "/tmp"] {
        let error = refusal(&denying(&format!("{rule:?}")), &nested());
        let CompileError::Rule { problem: RuleProblem::NeedsListener { .. }, .. } = &error else { panic!("{error}") };
        assert!(error.to_string().contains(rule) && error.to_string().contains("remove the rule"), "{error}");
    }
    // What no allowed directory holds is closed anyway.
    plan(&denying("\"/srv/secrets\", \"~/.ssh\", \"/srv/x*\""), &nested());
    let mut asked = request();
    asked.trace = Trace::Writes;
    let error = compile(&policy(CONSENT), &asked, &nested()).expect_err("a refusal");
    assert_eq!(error, CompileError::TraceUnavailable);
}

#[test]
fn what_no_listener_decides_is_named() {
    let degraded = |facts: &HostFacts, protection| {
        let error = refusal("", facts);
        let CompileError::Degraded { missing, .. } = error else { panic!("{error}") };
        missing.into_iter().find(|degradation| degradation.protection == protection).map(|found| found.reason)
    };
    let reason = degraded(&nested(), Protection::Ipc).expect("a degradation");
    assert!(reason.contains("do not become events"), "{reason}");
    let reason = degraded(&nested(), Protection::ProtectedFiles).expect("a degradation");
    assert!(reason.contains("while the command runs"), "{reason}");
    assert_eq!(degraded(&nested(), Protection::Processes), None);
    assert_eq!(degraded(&nested(), Protection::Files), None);

    let mut older = nested();
    older.kernel.landlock_abi = 5;
    assert!(degraded(&older, Protection::Processes).is_some_and(|reason| reason.contains("no signal")));
    let accepting = CONSENT.replace("\"ipc\"", "\"ipc\", \"processes\"");
    assert!(filter_of(&plan(&accepting, &older)).decide_signals);

    let mut root = nested();
    put(&mut root, "/etc/shadow", PathFact::File);
    assert!(degraded(&root, Protection::Files).is_some_and(|reason| reason.contains("/etc/shadow")));
}
