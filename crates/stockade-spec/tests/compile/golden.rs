//! Plans for made-up hosts, compared in words with committed files. `UPDATE_GOLDEN=1` writes the files anew.

use std::path::PathBuf;

use stockade_spec::facts::{Availability, HostFacts, Obstacle, PathFact};
use stockade_spec::plan::enforcement;
use stockade_spec::report::Level;
use stockade_spec::{Policy, Request, compile};

use crate::hosts::{furnished, plain, policy, put, request};

fn check(name: &str, policy: &Policy, request: &Request, facts: &HostFacts) {
    let text = match compile(policy, request, facts) {
        Ok(plan) => {
            let lines = enforcement(&plan).into_iter().map(|line| {
                let level = if line.level == Level::Enforced { "" } else { " (weaker)" };
                format!("  {}: {}{level}\n", line.protection, line.mechanism)
            });
            format!("{plan}\nenforcement:\n{}", lines.collect::<String>())
        }
        Err(error) => format!("refused: {error}\n"),
    };
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).expect("the golden file can be written");
    }
    let expected = std::fs::read_to_string(&path).expect("a golden file; UPDATE_GOLDEN=1 makes it");
    assert_eq!(text, expected, "{name}; UPDATE_GOLDEN=1 accepts the new text");
}

#[test]
fn plain_home() {
    check("plain_home", &policy(""), &request(), &plain());
}

#[test]
fn furnished_home_with_rules() {
    let policy = policy(
        r#"
        [filesystem]
        read = ["~/datasets", "/srv/models"]
        write = ["~/notes"]
        deny = ["**/.env", "secrets/", "~/datasets/private"]
        protect = ["deploy/hooks/**"]
        [environment]
        pass = ["GITHUB_TOKEN"]
        set = { CI = "1" }
        "#,
    );
    let mut facts = furnished();
    put(&mut facts, "/home/ada/datasets", crate::hosts::link_to("/data/sets", "/data/sets", true));
    put(&mut facts, "/home/ada/datasets/private", PathFact::Directory);
    put(&mut facts, "/srv/models", PathFact::Directory);
    put(&mut facts, "/home/ada/notes", PathFact::Directory);
    check("furnished_home_with_rules", &policy, &request(), &facts);
}

#[test]
fn gate_and_sockets() {
    let policy = policy(
        r#"
        [network]
        allow = ["api.example.com", "*.example.org:443", "a.telemetry.example.org", "10.1.2.0/24:5432", "127.0.0.1:11434"]
        deny = ["*.telemetry.example.org"]
        publish = ["8080"]
        limits = { sent = "50MB", received = "2GB", connections = 200 }
        [unix]
        allow = ["/run/postgresql/.s.PGSQL.5432"]
        "#,
    );
    let mut facts = crate::gate::online();
    let stub = "/run/systemd/resolve/stub-resolv.conf";
    put(&mut facts, "/etc/resolv.conf", crate::hosts::link_to(&format!("..{stub}"), stub, false));
    put(&mut facts, "/run/postgresql/.s.PGSQL.5432", PathFact::Socket);
    check("gate_and_sockets", &policy, &request(), &facts);
    facts.user_namespaces = Availability::Blocked(Obstacle::AppArmor);
    check("gate_without_user_namespaces", &policy, &request(), &facts);
    let outward = self::policy(&format!(
        "{}\n[network]\nallow = [\"api.example.com\", \"10.1.2.0/24:5432\"]\ndeny = [\"*.zip\"]",
        crate::tiers::CONSENT
    ));
    check("gate_without_user_namespaces_accepted", &outward, &request(), &facts);
}

#[test]
fn research() {
    check("research", &policy("extends = \"research\""), &request(), &crate::gate::online());
}

#[test]
fn root() {
    let mut facts = plain();
    (facts.uid, facts.gid) = (0, 0);
    for secret in ["/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/proc/kcore"] {
        put(&mut facts, secret, PathFact::File);
    }
    put(&mut facts, "/etc/ssl/private", PathFact::Directory);
    facts.cgroups.v1 =
        [("memory", "/sys/fs/cgroup/memory"), ("pids", "/sys/fs/cgroup/pids"), ("cpu", "/sys/fs/cgroup/cpu")]
            .map(|(controller, path)| (controller.to_owned(), path.into()))
            .into();
    check("root", &policy("extends = \"hardened\""), &request(), &facts);
}

#[test]
fn read_only_workspace() {
    check("read_only_workspace", &policy("extends = \"read-only\""), &request(), &plain());
}

#[test]
fn without_user_namespaces() {
    let mut facts = furnished();
    facts.user_namespaces = Availability::Blocked(Obstacle::AppArmor);
    check("without_user_namespaces", &policy(""), &request(), &facts);
    let accepting = policy(
        r#"
        [enforcement]
        accept_degraded = ["file-visibility", "caches", "protected-files", "process-visibility", "lifetime", "loopback",
                           "ipc", "files"]
        "#,
    );
    check("without_user_namespaces_accepted", &accepting, &request(), &facts);
    facts.kernel.seccomp_notify = false;
    check("inside_another_sandbox", &policy(""), &request(), &facts);
    check("inside_another_sandbox_accepted", &accepting, &request(), &facts);
}

#[test]
fn old_kernel() {
    let mut facts = plain();
    facts.kernel.version = (5, 10);
    facts.kernel.release = "5.10.0-33-amd64".to_owned();
    facts.kernel.landlock_abi = 0;
    check("old_kernel", &policy(""), &request(), &facts);
}
