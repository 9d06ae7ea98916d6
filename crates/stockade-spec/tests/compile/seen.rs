//! What is seen inside, and how.

use std::path::Path;

use stockade_spec::Plan;
use stockade_spec::facts::{GitIdentity, PathFact};
use stockade_spec::plan::{BindAccess, Operation};

use crate::hosts::{HOME, WORKSPACE, furnished, link_to, plain, plan, put};

/// The one operation on a path of the view, in words.
fn at(plan: &Plan, path: &str) -> String {
    let target = Path::new(path);
    let found = plan.steps.iter().filter(|step| match &step.operation {
        Operation::Bind { target: path, .. }
        | Operation::CopyOnWrite { target: path, .. }
        | Operation::PrivateStore { target: path, .. }
        | Operation::File { target: path, .. }
        | Operation::Symlink { target: path, .. }
        | Operation::Mask { target: path, .. }
        | Operation::ReadOnly { target: path }
        | Operation::Pin { target: path } => path == target,
        _ => false,
    });
    let words: Vec<_> = found.map(|step| step.operation.to_string()).collect();
    assert!(words.len() <= 1, "{path}: {words:?}");
    words.into_iter().next().unwrap_or_default()
}

#[test]
fn a_symlinked_toolchain_is_shown_where_it_really_is() {
    let mut facts = plain();
    put(&mut facts, "/home/ada/.rustup", link_to("/data/rustup", "/data/rustup", true));
    put(&mut facts, "/home/ada/.cargo", link_to("../../data/cargo", "/data/cargo", true));
    let plan = plan("", &facts);
    assert_eq!(at(&plan, "/home/ada/.rustup"), "link /home/ada/.rustup to /data/rustup");
    assert_eq!(at(&plan, "/data/rustup"), "show read-only /data/rustup");
    assert_eq!(at(&plan, "/home/ada/.cargo"), "link /home/ada/.cargo to ../../data/cargo");
    assert_eq!(at(&plan, "/data/cargo"), "show copy-on-write /data/cargo");
}

#[test]
fn a_directory_of_path_is_shown_unless_it_holds_credentials() {
    let mut facts = plain();
    for directory in ["tools/bin", ".config", ".docker/bin", ".ssh"] {
        put(&mut facts, &format!("{HOME}/{directory}"), PathFact::Directory);
    }
    let mut request = crate::hosts::request();
    let path = ["tools/bin", ".config", ".docker/bin", ".ssh", ""].map(|below| format!("{HOME}/{below}")).join(":");
    request.environment = vec![("PATH".into(), path.into())];
    let plan = stockade_spec::compile(&crate::hosts::policy(""), &request, &facts).expect("a plan");
    assert_eq!(at(&plan, "/home/ada/tools/bin"), "show read-only /home/ada/tools/bin");
    assert_eq!(at(&plan, "/home/ada/.docker/bin"), "show read-only /home/ada/.docker/bin");
    assert_eq!(at(&plan, "/home/ada/.config"), "");
    assert_eq!(at(&plan, "/home/ada/.ssh"), "");
    let path = plan.command.environment.iter().find(|(name, _)| name == "PATH").expect("PATH");
    assert_eq!(path.1, "/home/ada/tools/bin:/home/ada/.docker/bin");
}

#[test]
fn credentials_below_a_cache_are_hidden() {
    let plan = plan("", &furnished());
    for secret in [".cargo/credentials.toml", ".m2/settings.xml", ".gradle/gradle.properties"] {
        assert_eq!(at(&plan, &format!("{HOME}/{secret}")), format!("hide file {HOME}/{secret}"));
    }
}

#[test]
fn what_is_seen_already_costs_no_mount() {
    let mut facts = furnished();
    put(&mut facts, "/usr/share/dict", PathFact::Directory);
    put(&mut facts, "/home/ada/.cargo/bin", PathFact::Directory);
    put(&mut facts, "/home/ada/work/engine/data", PathFact::Directory);
    let plan = plan(
        r#"
        [filesystem]
        read = ["/usr/share/dict", "data"]
        write = ["data"]
        "#,
        &facts,
    );
    for path in ["/usr/share/dict", "/home/ada/.cargo/bin", "/home/ada/work/engine/data"] {
        assert_eq!(at(&plan, path), "");
    }
}

#[test]
fn what_is_sealed_is_not_hidden_and_what_is_readable_is() {
    let mut facts = plain();
    put(&mut facts, "/etc/sudoers.d", PathFact::Directory);
    let plan = plan("", &facts);
    assert_eq!(at(&plan, "/etc/shadow"), "");
    assert_eq!(at(&plan, "/etc/sudoers.d"), "hide directory /etc/sudoers.d");
}

#[test]
fn git_is_held_in_place_and_its_traps_read_only() {
    let mut facts = plain();
    facts.protected.push(Path::new(WORKSPACE).join("vendor/x/.git/hooks"));
    facts.protected.push(Path::new(WORKSPACE).join(".git/modules/y/config"));
    facts.protected.push("/elsewhere/.git/hooks".into());
    let plan = plan("", &facts);
    assert_eq!(at(&plan, &format!("{WORKSPACE}/.git")), format!("hold in place {WORKSPACE}/.git"));
    assert_eq!(at(&plan, &format!("{WORKSPACE}/.git/hooks")), format!("hold read-only {WORKSPACE}/.git/hooks"));
    assert_eq!(at(&plan, &format!("{WORKSPACE}/vendor/x/.git")), format!("hold in place {WORKSPACE}/vendor/x/.git"));
    assert_eq!(
        at(&plan, &format!("{WORKSPACE}/.git/modules/y/config")),
        format!("hold read-only {WORKSPACE}/.git/modules/y/config")
    );
    assert_eq!(at(&plan, "/elsewhere/.git/hooks"), "");
}

#[test]
fn a_git_pointer_is_held_read_only() {
    let mut facts = plain();
    facts.protected.clear();
    put(&mut facts, &format!("{WORKSPACE}/.git"), PathFact::File);
    assert_eq!(at(&plan("", &facts), &format!("{WORKSPACE}/.git")), format!("hold read-only {WORKSPACE}/.git"));
}

#[test]
fn a_workspace_inside_a_toolchain_or_a_private_store_is_writable() {
    for workspace in ["/home/ada/go/src/engine", "/tmp/engine", "/usr/src/engine"] {
        let mut facts = furnished();
        put(&mut facts, workspace, PathFact::Directory);
        let mut request = crate::hosts::request();
        (request.workspace, request.directory) = (workspace.into(), workspace.into());
        let plan = stockade_spec::compile(&crate::hosts::policy(""), &request, &facts).expect(workspace);
        assert_eq!(at(&plan, workspace), format!("show writable {workspace}"));
    }
}

#[test]
fn a_git_identity_cannot_say_more() {
    let mut facts = plain();
    facts.git_identity =
        GitIdentity { name: Some("a\"b\\c;#d".into()), email: Some("x\n[core]\nfsmonitor=evil".into()) };
    let plan = plan("", &facts);
    let content = plan.steps.iter().find_map(|step| match &step.operation {
        Operation::File { content, .. } => Some(content.as_str()),
        _ => None,
    });
    assert_eq!(content, Some("[user]\n\tname = \"a\\\"b\\\\c;#d\"\n"));
}

#[test]
fn directories_come_before_what_lies_below_them() {
    let plan = plan("", &furnished());
    let mut seen: Vec<&Path> = Vec::new();
    for step in &plan.steps {
        if let Operation::Bind { target, .. }
        | Operation::PrivateStore { target, .. }
        | Operation::Mask { target, .. } = &step.operation
        {
            assert!(seen.iter().all(|earlier| !earlier.starts_with(target)), "{target:?} comes too late");
            seen.push(target);
        }
    }
    let writable = |step: &&stockade_spec::plan::Step| {
        matches!(&step.operation, Operation::Bind { access: BindAccess::Write, .. })
    };
    assert_eq!(plan.steps.iter().filter(writable).count(), 1);
}

#[test]
fn a_link_opens_neither_home_nor_credentials_nor_the_root() {
    for end in ["/", "/home", HOME, "/home/ada/.ssh", "/home/ada/.config"] {
        let mut facts = plain();
        for link in ["/opt", "/home/ada/.pyenv", "/home/ada/.cargo"] {
            put(&mut facts, link, link_to(end, end, true));
        }
        let plan = plan("", &facts);
        for step in &plan.steps {
            if let Operation::Bind { source, .. } | Operation::CopyOnWrite { source, .. } = &step.operation {
                assert_ne!(source, Path::new(end));
            }
        }
    }
}
