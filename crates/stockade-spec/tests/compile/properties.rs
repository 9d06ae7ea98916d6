//! What holds for any facts, requests and policies.

use std::path::{Component, Path, PathBuf};

use proptest::prelude::*;
use stockade_spec::compile::survey;
use stockade_spec::facts::{Availability, HostFacts, Obstacle, PathFact};
use stockade_spec::plan::gate::NetworkDefault;
use stockade_spec::plan::{BindAccess, Operation, enforcement};
use stockade_spec::policy::NetworkPolicy;
use stockade_spec::{Plan, Policy, Request, Tier, compile};

use crate::hosts::{HOME, furnished, plain, policy, request};

fn any_path() -> impl Strategy<Value = String> {
    prop_oneof![
        "(/(usr|etc|home|ada|work|engine|\\.git|x|tmp|proc|\\.\\.|\\.)){0,6}/?",
        "\\PC{0,12}",
        Just(HOME.to_owned()),
        Just("~/.cargo".to_owned()),
    ]
}

/// A path as a policy is likely to name it, or anything.
fn any_rule(likely: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![19 => prop::sample::select(likely).prop_map(str::to_owned), 1 => any_path()]
}

fn any_fact() -> impl Strategy<Value = PathFact> {
    prop_oneof![
        1 => Just(PathFact::Missing),
        4 => Just(PathFact::File),
        8 => Just(PathFact::Directory),
        1 => Just(PathFact::Socket),
        1 => Just(PathFact::Special),
        1 => Just(PathFact::Sealed),
        4 => (any_path(), proptest::option::of(any_path()), any::<bool>()).prop_map(|(text, resolved, directory)| {
            PathFact::Symlink { text: text.into(), resolved: resolved.map(|path| as_resolved(&path)), directory }
        }),
    ]
}

/// A path in the form in which the kernel tells where a link leads: absolute, without `.`, `..` and a final slash.
fn as_resolved(path: &str) -> PathBuf {
    let names = Path::new(path).components().filter(|component| matches!(component, Component::Normal(_)));
    Path::new("/").join(names.collect::<PathBuf>())
}

/// Facts in which every surveyed path may be anything.
fn any_facts(policy: Policy, request: Request) -> impl Strategy<Value = HostFacts> {
    let surveyed = survey(&policy, &request);
    let count = surveyed.len();
    (
        proptest::collection::vec(any_fact(), count),
        proptest::collection::vec(any_path().prop_map(PathBuf::from), 0..8),
        (any::<bool>(), 0..12_u32, 0..8_u32, (3..8_u32, 0..30_u32), prop::bool::weighted(0.9)),
    )
        .prop_map(move |(facts, protected, (userns, uid, abi, version, notify))| {
            let mut host = furnished();
            host.paths.extend(surveyed.iter().cloned().zip(facts));
            host.paths.insert(request.workspace.clone(), PathFact::Directory);
            host.protected = protected
                .into_iter()
                .map(|path| request.workspace.join(path.strip_prefix("/").unwrap_or(&path)))
                .collect();
            host.uid = uid;
            host.kernel.landlock_abi = abi;
            host.kernel.version = if abi > 2 { (6, 12) } else { version };
            host.kernel.seccomp_notify = notify;
            host.user_namespaces =
                if userns { Availability::Available } else { Availability::Blocked(Obstacle::NotInKernel) };
            host
        })
}

/// The network part of a policy and its sockets; most of them open nothing.
fn any_network() -> impl Strategy<Value = (NetworkPolicy, Vec<String>)> {
    const ALLOWED: &[&str] =
        &["x.example", "*.x.example:22", "10.0.0.0/8:1-9", "0.0.0.0/0", "::/0", "[fd00::1]:7", "127.0.0.1:9"];
    const SOCKETS: &[&str] = &["/run/a/s", "~/s", "/etc/s", "/home/ada/work/engine/s", "/var/run/s"];
    let some = |likely: &'static [&'static str], most| {
        proptest::collection::vec(prop::sample::select(likely).prop_map(str::to_owned), 0..most)
    };
    let default = prop::sample::select(NetworkDefault::ALL);
    let rules = (some(ALLOWED, 4), some(ALLOWED, 2), default, proptest::collection::vec(any::<u16>(), 0..2));
    let sockets = prop_oneof![3 => Just(Vec::new()), 1 => some(SOCKETS, 2)];
    let open = (rules, sockets).prop_map(|((allow, deny, default, publish), unix)| {
        (NetworkPolicy { allow, deny, default, publish, ..NetworkPolicy::default() }, unix)
    });
    prop_oneof![3 => Just(<_>::default()), 1 => open]
}

fn any_policy() -> impl Strategy<Value = Policy> {
    const PATHS: &[&str] = &["/srv/data", "~/notes", "src/x", "/data", "~/.cargo/bin"];
    const DENIED: &[&str] = &["/srv/data/x", "~/notes", "src/", "**/.env", "~/.cargo/*", "/data"];
    let paths = |likely, most| proptest::collection::vec(any_rule(likely), 0..most);
    (paths(PATHS, 2), paths(PATHS, 2), paths(DENIED, 4), any_network(), prop::bool::weighted(0.8)).prop_map(
        |(read, write, deny, (network, unix), accept)| {
            let mut policy = policy("");
            (policy.network, policy.unix) = (network, unix);
            policy.filesystem.read = read;
            policy.filesystem.write = write;
            policy.filesystem.deny = deny;
            if accept {
                let all = stockade_spec::report::Protection::ALL.iter();
                policy.accept_degraded = all.map(|protection| protection.name().to_owned()).collect();
            }
            policy
        },
    )
}

fn any_request() -> impl Strategy<Value = Request> {
    (any_path(), any_path(), any_path(), any_path()).prop_map(|(workspace, directory, home, path)| {
        let mut request = request();
        if workspace.len() % 3 == 0 {
            request.workspace = workspace.into();
            request.directory = directory.into();
            request.home = home.into();
        }
        request.environment.push(("PATH".into(), path.into()));
        request
    })
}

fn any_input() -> impl Strategy<Value = (Policy, Request, HostFacts)> {
    (any_policy(), any_request()).prop_flat_map(|(policy, request)| {
        let facts = any_facts(policy.clone(), request.clone());
        (Just(policy), Just(request), facts)
    })
}

fn binds(plan: &Plan) -> impl Iterator<Item = (&Path, BindAccess)> {
    plan.steps.iter().filter_map(|step| match &step.operation {
        Operation::Bind { source, access, .. } => Some((source.as_path(), *access)),
        _ => None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn compiling_never_panics_and_is_deterministic((policy, request, facts) in any_input()) {
        let first = compile(&policy, &request, &facts);
        prop_assert_eq!(&first, &compile(&policy, &request, &facts));
        match first {
            Ok(plan) => {
                prop_assert!(!plan.to_string().contains('\x1b'));
                prop_assert!(!enforcement(&plan).is_empty());
                let json = serde_json::to_string(&plan).expect("JSON");
                prop_assert_eq!(serde_json::from_str::<Plan>(&json).expect("a plan"), plan);
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn home_and_the_root_are_never_shown((policy, request, facts) in any_input()) {
        let Ok(plan) = compile(&policy, &request, &facts) else { return Ok(()) };
        for (source, access) in binds(&plan) {
            prop_assert_ne!(source, Path::new("/"));
            prop_assert_ne!(source, request.home.as_path());
            if access == BindAccess::Write {
                prop_assert!(!request.home.starts_with(source), "{:?}", source);
            }
        }
    }

    #[test]
    fn the_gate_is_open_just_where_the_policy_opens_it((policy, request, facts) in any_input()) {
        let Ok(plan) = compile(&policy, &request, &facts) else { return Ok(()) };
        let count = |wanted: fn(&Operation) -> bool| plan.steps.iter().filter(|step| wanted(&step.operation)).count();
        let opens = usize::from(policy.network.opens_anything());
        prop_assert_eq!(count(|operation| matches!(operation, Operation::Gate { .. })), opens);
        // Without a network namespace nothing can be led anywhere: sockets that stand in for others lead to the gate.
        let routes = if plan.tier == Tier::Namespaces { opens } else { 0 };
        prop_assert_eq!(count(|operation| matches!(operation, Operation::GateRoutes { .. })), routes);
        let sockets = count(|operation| matches!(operation, Operation::Socket { .. }));
        prop_assert!(sockets <= policy.unix.len() && (sockets > 0 || policy.unix.is_empty()));
        let needs_namespaces = sockets > 0 || !policy.network.publish.is_empty();
        prop_assert!(!needs_namespaces || plan.tier == Tier::Namespaces);
    }

    #[test]
    fn every_deny_rule_is_in_the_plan(rules in proptest::collection::vec("[a-z*?.]{1,8}(/[a-z*.]{1,5}){0,3}", 1..5)) {
        let mut policy = policy("");
        policy.filesystem.deny.clone_from(&rules);
        let Ok(plan) = compile(&policy, &request(), &plain()) else { return Ok(()) };
        let filter = plan.steps.iter().find_map(|step| match &step.operation {
            Operation::SystemCalls { filter } => Some(filter),
            _ => None,
        });
        let deny = &filter.expect("a filter").files.deny;
        for rule in rules {
            let bare = rule.trim_start_matches("./");
            prop_assert!(deny.iter().any(|glob| glob.ends_with(bare) || rule.contains('.')), "{} in {:?}", rule, deny);
        }
    }
}

#[test]
fn enough_of_the_made_up_inputs_compile() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut compiled = 0;
    let mut open = 0;
    for _ in 0..200 {
        let (policy, request, facts) = any_input().new_tree(&mut runner).expect("an input").current();
        if compile(&policy, &request, &facts).is_ok() {
            compiled += 1;
            open += usize::from(policy.network.opens_anything());
        }
    }
    assert!(open > 0, "no plan of {compiled} has a gate");
    assert!(compiled >= 20, "the properties say little: {compiled} of 200 compile");
}
