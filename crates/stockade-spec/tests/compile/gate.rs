//! Rules about the network and Unix sockets.

use std::path::Path;

use stockade_spec::compile::{RuleProblem, survey};
use stockade_spec::facts::{Availability, HostFacts, Obstacle, PathFact};
use stockade_spec::plan::gate::{GateRoutes, GateRules, NetworkDefault};
use stockade_spec::plan::{NetworkFilter, Operation, enforcement};
use stockade_spec::report::{Level, Protection};
use stockade_spec::{CompileError, Plan, compile};

use crate::hosts::{HOME, WORKSPACE, link_to, plain, plan, policy, put, refusal, request};
use crate::tiers::CONSENT;

/// A plain host with IPv6 and the three files of name resolution.
pub(crate) fn online() -> HostFacts {
    let mut facts = plain();
    for file in ["/proc/net/if_inet6", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/hosts"] {
        put(&mut facts, file, PathFact::File);
    }
    facts
}

const ALLOW: &str = "[network]\nallow = [\"api.example.com\"]\n";

fn gate(plan: &Plan) -> (&GateRules, &GateRoutes) {
    let mut found = (None, None);
    for step in &plan.steps {
        match &step.operation {
            Operation::Gate { rules } => found.0 = Some(rules),
            Operation::GateRoutes { routes } => found.1 = Some(routes),
            _ => {}
        }
    }
    (found.0.expect("a gate"), found.1.expect("routes"))
}

/// Where files of name resolution are put, with how.
fn files(plan: &Plan) -> Vec<(&str, String)> {
    let put = plan.steps.iter().filter(|step| step.protection == Protection::Network);
    put.filter_map(|step| match &step.operation {
        Operation::CoverFile { target, .. } => Some(("cover", target.to_string_lossy().into_owned())),
        Operation::File { target, .. } => Some(("file", target.to_string_lossy().into_owned())),
        _ => None,
    })
    .collect()
}

fn cover(path: &str) -> (&'static str, String) {
    ("cover", path.to_owned())
}

#[test]
fn what_opens_nothing_compiles_to_a_plan_without_a_gate() {
    let without = plan("", &online());
    for text in ["[network]\ndeny = [\"x.example\"]", "[network]\nlimits = { sent = \"1MB\", connections = 3 }"] {
        assert_eq!(plan(text, &online()), without, "{text}");
        let surveyed = survey(&policy(text), &request());
        assert!(!surveyed.iter().any(|path| path == Path::new("/etc/resolv.conf")), "asked for nothing");
    }
    assert!(!without.to_string().contains("gate"));
}

#[test]
fn every_kind_of_opening_has_both_sides_of_the_gate() {
    for (text, default) in [
        (ALLOW, NetworkDefault::Deny),
        ("[network]\npublish = [8080]", NetworkDefault::Deny),
        ("[network]\ndefault = \"ask\"", NetworkDefault::Ask),
        ("extends = \"research\"", NetworkDefault::Public),
    ] {
        let plan = plan(text, &online());
        let (rules, routes) = gate(&plan);
        assert_eq!(rules.default, default, "{text}");
        assert_eq!(routes.local.iter().any(|net| net.to_string() == "0.0.0.0/0"), default != NetworkDefault::Deny);
        let line = enforcement(&plan).into_iter().find(|line| line.protection == Protection::Network);
        assert!(line.expect("a line").mechanism.contains("gate"), "{text}");
        assert_eq!(files(&plan), ["/etc/hosts", "/etc/nsswitch.conf", "/etc/resolv.conf"].map(cover), "{text}");
    }
}

#[test]
fn rules_and_limits_arrive_at_the_gate() {
    let plan = plan(
        "[network]\nallow = [\"A.example.com:22\", \"10.1.2.0/24:5432\"]\ndeny = [\"*.zip\"]\npublish = [80]\n\
         limits = { sent = \"1kB\", received = 7, connections = 9, connections_at_once = 3 }",
        &online(),
    );
    let (rules, routes) = gate(&plan);
    assert_eq!(
        (rules.allow.join(" ").as_str(), rules.deny.join(" ").as_str()),
        ("a.example.com:22 10.1.2.0/24:5432", "*.zip")
    );
    assert_eq!(rules.publish, [80]);
    let limits = rules.limits;
    assert_eq!((limits.sent, limits.received, limits.connections), (Some(1_000), Some(7), Some(9)));
    assert_eq!((limits.connections_at_once, limits.connections_per_second), (3, 500));
    let local: Vec<_> = routes.local.iter().map(ToString::to_string).collect();
    assert_eq!(local, ["10.1.2.0/24", "198.18.0.0/15", "fd53:746f:636b::/64"]);
    let servers: Vec<_> = routes.name_servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["198.18.0.1", "fd53:746f:636b::1"]);
}

#[test]
fn without_ipv6_nothing_speaks_of_it() {
    let mut facts = online();
    facts.paths.remove(Path::new("/proc/net/if_inet6"));
    let plan = plan("[network]\nallow = [\"[2001:db8::1]:443\", \"x.example\"]", &facts);
    let (rules, routes) = gate(&plan);
    assert!(rules.ranges.ipv6.is_none() && routes.local.len() == 1 && routes.name_servers.len() == 1);
    for step in &plan.steps {
        if let Operation::CoverFile { content, .. } = &step.operation {
            assert!(!content.contains("::"), "{content}");
        }
    }
    assert!(plan.to_string().contains("notes:\n  [2001:db8::1]:443 allows nothing: this host has no IPv6\n"));
}

/// How `/etc/resolv.conf` lies on different systems, and where the content is put.
#[test]
fn the_files_are_put_where_a_program_gets_to() {
    let dangling = |text: &str| PathFact::Symlink { text: text.into(), resolved: None, directory: false };
    let stub = "/run/systemd/resolve/stub-resolv.conf";
    for (fact, expected, loopback) in [
        (PathFact::File, vec![cover("/etc/resolv.conf")], false),
        (PathFact::Sealed, vec![cover("/etc/resolv.conf")], false),
        (link_to("../run/systemd/resolve/stub-resolv.conf", stub, false), vec![("file", stub.to_owned())], false),
        (dangling("../run/systemd/resolve/stub-resolv.conf"), vec![("file", stub.to_owned())], false),
        (link_to("/opt/net/resolv.conf", "/opt/net/resolv.conf", false), vec![cover("/opt/net/resolv.conf")], false),
        (
            link_to("/var/run/x/resolv.conf", "/run/x/resolv.conf", false),
            vec![("file", "/run/x/resolv.conf".to_owned()), ("file", "/var/run/x/resolv.conf".to_owned())],
            true,
        ),
        // A link of the host's own `/etc` on the way is there inside too.
        (link_to("resolvconf/run/x", "/run/resolvconf/x", false), vec![("file", "/run/resolvconf/x".to_owned())], true),
        (PathFact::Missing, vec![], true),
        (PathFact::Directory, vec![], true),
    ] {
        let mut facts = online();
        put(&mut facts, "/etc/resolv.conf", fact.clone());
        let plan = plan(ALLOW, &facts);
        let found: Vec<_> = files(&plan).into_iter().filter(|(_, path)| path.contains("res")).collect();
        assert_eq!(found, expected, "{fact:?}");
        let servers = &gate(&plan).1.name_servers;
        assert_eq!(
            servers.iter().filter(|server| server.is_loopback()).count(),
            if loopback { 2 } else { 0 },
            "{fact:?}"
        );
    }
}

#[test]
fn the_landlock_tier_refuses_what_comes_in_and_what_nobody_can_be_asked_about() {
    let mut facts = online();
    facts.user_namespaces = Availability::Blocked(Obstacle::NotInKernel);
    for (text, list) in
        [("[network]\npublish = [\"8080\"]", "network.publish"), ("[unix]\nallow = [\"/run/x.sock\"]", "unix.allow")]
    {
        let error = refusal(text, &facts);
        assert!(
            matches!(&error, CompileError::Rule { list: of, problem: RuleProblem::NeedsNamespaces, .. } if *of == list)
        );
        assert!(error.to_string().contains("stockade doctor"), "{error}");
    }
    facts.kernel.seccomp_notify = false;
    for (text, list) in [(ALLOW, "network.allow"), ("extends = \"research\"", "network.default")] {
        let error = refusal(text, &facts);
        assert!(
            matches!(&error, CompileError::Rule { list: of, problem: RuleProblem::GateNeedsListener, .. } if *of == list)
        );
        assert!(error.to_string().contains("outside of that sandbox"), "{error}");
    }
}

#[test]
fn the_landlock_tier_has_a_gate_to_the_outside() {
    let mut facts = online();
    facts.user_namespaces = Availability::Blocked(Obstacle::NotInKernel);
    let plan = plan(&format!("{ALLOW}{CONSENT}"), &facts);
    let find = |wanted: fn(&Operation) -> bool| plan.steps.iter().filter(|step| wanted(&step.operation)).count();
    assert_eq!(find(|operation| matches!(operation, Operation::Gate { .. })), 1);
    assert_eq!(find(|operation| matches!(operation, Operation::GateRoutes { .. } | Operation::CoverFile { .. })), 0);
    assert_eq!(
        find(
            |operation| matches!(operation, Operation::SystemCalls { filter } if filter.network == NetworkFilter::StandIns)
        ),
        1
    );
    assert_eq!(find(|operation| matches!(operation, Operation::Landlock { ruleset } if ruleset.refuse_tcp)), 1);
    for (protection, part) in [(Protection::Network, "gate, system-call filter"), (Protection::Loopback, "none")] {
        let line = enforcement(&plan).into_iter().find(|line| line.protection == protection).expect("a line");
        assert_eq!(line.mechanism, part);
        assert_eq!(matches!(line.level, Level::Degraded { .. }), protection == Protection::Loopback);
    }
    let closed = self::plan(CONSENT, &facts);
    assert!(!closed.to_string().contains("gate"), "a closed network has nothing of it");
}

#[test]
fn rules_of_a_policy_made_in_memory_are_checked_too() {
    let mut odd = policy("");
    for (rule, part) in [
        ("https://x.example", "scheme"),
        ("*.com", "too broad"),
        ("localhost:5432", "127.0.0.1:5432"),
        ("198.18.7.0/24", "198.18.0.0/15"),
        ("224.0.0.1", "multicast"),
    ] {
        odd.network.allow = vec![rule.to_owned()];
        let error = compile(&odd, &request(), &online()).expect_err(rule).to_string();
        assert!(error.contains("network.allow") && error.contains(part), "{error}");
    }
    odd.network.allow = Vec::new();
    odd.network.publish = vec![0];
    assert!(compile(&odd, &request(), &online()).expect_err("port 0").to_string().contains("1 to 65535"));
}

fn sockets(plan: &Plan) -> Vec<(&Path, &Path)> {
    let sockets = plan.steps.iter().filter_map(|step| match &step.operation {
        Operation::Socket { source, target } => Some((source.as_path(), target.as_path())),
        _ => None,
    });
    sockets.collect()
}

#[test]
fn a_socket_is_shown_at_its_real_place() {
    let mut facts = plain();
    put(&mut facts, "/run/postgresql/.s.PGSQL.5432", PathFact::Socket);
    put(&mut facts, "/var/run", link_to("/run", "/run", true));
    put(&mut facts, "/var/run/postgresql/.s.PGSQL.5432", PathFact::Socket);
    for rule in ["/run/postgresql/.s.PGSQL.5432", "/var/run/postgresql/.s.PGSQL.5432"] {
        let plan = plan(&format!("[unix]\nallow = [\"{rule}\"]"), &facts);
        let place = Path::new("/run/postgresql/.s.PGSQL.5432");
        assert_eq!(sockets(&plan), [(place, place)], "{rule}");
        let linked = plan.steps.iter().any(
            |step| matches!(&step.operation, Operation::Symlink { target, .. } if target == Path::new("/var/run")),
        );
        assert_eq!(linked, rule.starts_with("/var"));
        assert!(!plan.to_string().contains("gate"), "sockets need no network");
    }
}

#[test]
fn only_sockets_are_let_in_and_only_those_that_were_meant() {
    let mut facts = plain();
    put(&mut facts, &format!("{HOME}/file"), PathFact::File);
    put(&mut facts, &format!("{HOME}/fifo"), PathFact::Special);
    put(
        &mut facts,
        &format!("{HOME}/dangling"),
        PathFact::Symlink { text: "x".into(), resolved: None, directory: false },
    );
    put(&mut facts, &format!("{HOME}/folder"), link_to("/srv", "/srv", true));
    put(&mut facts, &format!("{WORKSPACE}/s"), link_to("/run/docker.sock", "/run/docker.sock", false));
    put(&mut facts, &format!("{HOME}/out"), PathFact::Directory);
    put(&mut facts, &format!("{HOME}/out/s"), link_to("/run/docker.sock", "/run/docker.sock", false));
    put(&mut facts, &format!("{HOME}/a.sock"), PathFact::Socket);
    type Expected = fn(&RuleProblem) -> bool;
    let cases: &[(&str, &str, Expected)] = &[
        ("~/file", "", |problem| *problem == RuleProblem::NotASocket),
        ("~/fifo", "", |problem| *problem == RuleProblem::NotASocket),
        ("~/folder", "", |problem| *problem == RuleProblem::NotASocket),
        ("~/dangling", "", |problem| *problem == RuleProblem::Missing),
        ("~/missing", "", |problem| *problem == RuleProblem::Missing),
        ("/home/ada/work/engine/s", "", |problem| matches!(problem, RuleProblem::LeadsOut(_))),
        ("~/out/s", "write = [\"~/out\"]", |problem| matches!(problem, RuleProblem::LeadsOut(_))),
        ("~/a.sock", "deny = [\"~/a.sock\"]", |problem| matches!(problem, RuleProblem::Denied(_))),
        ("~/a.sock", "deny = [\"~/*.sock\"]", |problem| matches!(problem, RuleProblem::Denied(_))),
    ];
    for (socket, files, expected) in cases {
        let error = refusal(&format!("[filesystem]\n{files}\n[unix]\nallow = [\"{socket}\"]"), &facts);
        let CompileError::Rule { list: "unix.allow", problem, .. } = &error else { panic!("{socket}: {error}") };
        assert!(expected(problem), "{socket}: {error}");
    }
    assert_eq!(sockets(&plan("[unix]\nallow = [\"~/a.sock\"]", &facts)).len(), 1);
    let error = refusal("[filesystem]\nread = [\"~/a.sock\"]", &facts).to_string();
    assert!(error.contains("--unix"), "{error}");
}
