//! The policy's file and environment rules.

use std::path::Path;

use stockade_spec::compile::RuleProblem;
use stockade_spec::facts::PathFact;
use stockade_spec::plan::{FileObservation, Operation, Plan};
use stockade_spec::{CompileError, compile};

use crate::hosts::{WORKSPACE, link_to, plain, plan, policy, put, refusal, request};

fn observation(plan: &Plan) -> &FileObservation {
    let filter = plan.steps.iter().find_map(|step| match &step.operation {
        Operation::SystemCalls { filter } => Some(filter),
        _ => None,
    });
    &filter.expect("a filter").files
}

fn masked(plan: &Plan, path: &str) -> bool {
    plan.steps.iter().any(|step| matches!(&step.operation, Operation::Mask { target, .. } if target == Path::new(path)))
}

#[test]
fn a_denied_path_is_hidden_and_refused_by_both_its_names() {
    let mut facts = plain();
    put(&mut facts, "/home/ada/work/engine/secrets", link_to("/data/secrets", "/data/secrets", true));
    put(&mut facts, "/data/secrets", PathFact::Directory);
    put(&mut facts, "/data", PathFact::Directory);
    let plan = plan("[filesystem]\nread = [\"/data\"]\ndeny = [\"secrets/\"]", &facts);
    assert!(masked(&plan, "/data/secrets"));
    assert_eq!(observation(&plan).deny, ["/home/ada/work/engine/secrets", "/data/secrets"]);
}

#[test]
fn a_link_in_the_workspace_opens_nothing_outside() {
    let mut facts = plain();
    put(&mut facts, "/home/ada/work/engine/build", link_to("/home/ada/.ssh", "/home/ada/.ssh", true));
    put(&mut facts, "/home/ada/.ssh", PathFact::Directory);
    for rule in ["read = [\"build\"]", "write = [\"build\"]", "write = [\"/home/ada/work/engine/build/sub\"]"] {
        put(&mut facts, "/home/ada/work/engine/build/sub", PathFact::Directory);
        let CompileError::Rule { problem, .. } = refusal(&format!("[filesystem]\n{rule}"), &facts) else {
            panic!("{rule} is refused for what it is");
        };
        assert!(matches!(problem, RuleProblem::LeadsOut(ref end) if end.starts_with("/home/ada/.ssh")), "{problem}");
    }
}

#[test]
fn deny_wins_over_a_more_specific_allow() {
    let mut facts = plain();
    for path in ["/srv/data", "/srv/data/secret", "/srv/data/secret/public"] {
        put(&mut facts, path, PathFact::Directory);
    }
    let plan = plan(
        "[filesystem]\nread = [\"/srv/data\"]\nwrite = [\"/srv/data/secret/public\"]\ndeny = [\"/srv/data/secret\"]",
        &facts,
    );
    assert!(masked(&plan, "/srv/data/secret"));
    let shown = plan.steps.iter().any(
        |step| matches!(&step.operation, Operation::Bind { target, .. } if target.starts_with("/srv/data/secret")),
    );
    assert!(!shown);
}

#[test]
fn a_deny_glob_counts_below_everything_that_the_policy_opens() {
    let mut facts = plain();
    put(&mut facts, "/srv/data", PathFact::Directory);
    let plan = plan("[filesystem]\nread = [\"/srv/data\"]\ndeny = [\"**/.env\", \"a/*.key\", \"~/x/*\"]", &facts);
    assert_eq!(
        observation(&plan).deny,
        ["/home/ada/work/engine/**/.env", "/srv/data/**/.env", "/home/ada/work/engine/a/*.key", "/home/ada/x/*"]
    );
}

#[test]
fn a_rule_through_a_link_is_masked_behind_it() {
    let mut facts = plain();
    put(&mut facts, "/home/ada/link", link_to("/data", "/data", true));
    put(&mut facts, "/home/ada/link/sub", PathFact::Directory);
    put(&mut facts, "/data/sub/x", PathFact::File);
    let plan = plan("[filesystem]\nread = [\"~/link/sub\"]\ndeny = [\"/data/sub/x\"]", &facts);
    // The one name is a second mount of the same directory; what is denied must not be seen by it either.
    assert!(masked(&plan, "/data/sub/x"));
    let aliased = plan.steps.iter().any(
        |step| matches!(&step.operation, Operation::Bind { target, .. } if target == Path::new("/home/ada/link/sub")),
    );
    assert!(!aliased, "the link's name shows the directory without its mask");
}

#[test]
fn rules_that_cannot_be_obeyed_are_refused() {
    let mut facts = plain();
    put(&mut facts, "/run/x.sock", PathFact::Special);
    put(&mut facts, "/srv/sealed", PathFact::Sealed);
    put(&mut facts, "/home", PathFact::Directory);
    put(&mut facts, "/home/ada", PathFact::Directory);
    put(&mut facts, "/dangling", PathFact::Symlink { text: "x".into(), resolved: None, directory: false });
    put(&mut facts, "/home/ada/work/engine/.vscode", PathFact::Directory);
    for (text, wanted) in [
        ("read = [\"/nowhere\"]", RuleProblem::Missing),
        ("read = [\"/dangling\"]", RuleProblem::Missing),
        ("read = [\"/run/x.sock\"]", RuleProblem::Special),
        ("read = [\"/srv/sealed\"]", RuleProblem::Sealed),
        ("write = [\".vscode\"]", RuleProblem::Protected),
    ] {
        match refusal(&format!("[filesystem]\n{text}"), &facts) {
            CompileError::Rule { problem, .. } => assert_eq!(problem, wanted, "{text}"),
            other => panic!("{text}: {other}"),
        }
    }
    for text in ["write = [\"/home\"]", "write = [\"/usr/bin\"]"] {
        put(&mut facts, "/usr/bin", PathFact::Directory);
        let error = refusal(&format!("[filesystem]\n{text}"), &facts);
        assert!(matches!(error, CompileError::Rule { problem: RuleProblem::TooBroad(_), .. }), "{text}: {error}");
    }
}

#[test]
fn workspaces_that_are_too_broad_are_refused() {
    for workspace in [
        "/",
        "/home",
        "/home/ada",
        "/usr",
        "/usr/bin",
        "/etc",
        "/etc/x",
        "/proc",
        "/proc/1",
        "/sys/x",
        "/dev",
        "/run/user/1000",
        "/boot",
        "/var",
        "/tmp",
        "/usr/lib/x",
    ] {
        let mut facts = plain();
        put(&mut facts, workspace, PathFact::Directory);
        let mut request = request();
        (request.workspace, request.directory) = (workspace.into(), workspace.into());
        let error = compile(&policy(""), &request, &facts).expect_err(workspace);
        assert!(matches!(error, CompileError::WorkspaceTooBroad { .. }), "{workspace}: {error}");
        assert!(error.to_string().contains("--workspace"), "{error}");
    }
    let mut gone = plain();
    gone.paths.remove(Path::new(WORKSPACE));
    assert!(matches!(refusal("", &gone), CompileError::WorkspaceMissing(_)));
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    type Change = fn(&mut stockade_spec::Request);
    let change: [(Change, &str); 7] = [
        (|request| request.command.clear(), "no command"),
        (|request| request.command[0].clear(), "no command"),
        (|request| request.workspace = "work".into(), "workspace"),
        (|request| request.home = "/home/../root".into(), "home"),
        (|request| request.directory = "/srv/other".into(), "--read"),
        (|request| request.run_id = "../x".into(), "name"),
        (|request| request.temporary = "tmp".into(), "temporary"),
    ];
    for (change, word) in change {
        let mut request = request();
        change(&mut request);
        let error = compile(&policy(""), &request, &plain()).expect_err(word).to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn the_environment_is_an_allow_list() {
    let mut request = request();
    for (name, value) in
        [("AWS_REGION", "x"), ("AWS_SECRET_ACCESS_KEY", "x"), ("MY_VAR", "x"), ("BASH_ENV", "/x"), ("LC_TIME", "C")]
    {
        request.environment.push((name.into(), value.into()));
    }
    let names = |text: &str| -> Vec<String> {
        let plan = compile(&policy(text), &request, &plain()).expect("a plan");
        plan.command.environment.iter().map(|(name, _)| name.to_string_lossy().into_owned()).collect()
    };
    assert_eq!(names(""), ["HOME", "LANG", "LC_TIME", "PATH", "PWD", "SHELL", "TMPDIR"]);
    let wide = names("[environment]\npass = [\"AWS_*\", \"MY_*\", \"GITHUB*\", \"LD_*\", \"JAVA_*\", \"B*\"]");
    assert!(wide.contains(&"AWS_REGION".into()) && wide.contains(&"MY_VAR".into()));
    for secret in ["AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "BASH_ENV", "LD_PRELOAD", "JAVA_HOME"] {
        assert!(!wide.contains(&secret.into()), "{secret}");
    }
    let named = names("[environment]\npass = [\"GITHUB_TOKEN\", \"LD_PRELOAD\"]\nset = { CI = \"1\" }");
    assert!(["GITHUB_TOKEN", "LD_PRELOAD", "CI"].iter().all(|name| named.contains(&(*name).to_owned())));
}
