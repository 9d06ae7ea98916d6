use crate::Tier;
use crate::policy::{Checkpoints, Diagnostic, NetworkDefault, Overrides, Policy, Source, WorkspaceAccess, load};

fn source(text: &str) -> Source<'_> {
    Source { name: "p.toml", text }
}

fn merged(layers: &[&str]) -> Policy {
    let layers: Vec<_> = layers.iter().map(|text| source(text)).collect();
    load(&layers, None, &Overrides::default()).unwrap_or_else(|wrong| panic!("{}", wrong[0]))
}

fn narrowed(outer: &str, workspace: &str) -> Result<Policy, Vec<Diagnostic>> {
    let workspace = Source { name: ".stockade.toml", text: workspace };
    load(&[source(outer)], Some(workspace), &Overrides::default())
}

#[test]
fn trusted_lists_add_up_and_values_are_replaced() {
    let policy = merged(&[
        "[filesystem]\nread = ['/a']\ndeny = ['x']\n[limits]\nmemory = '1GiB'\n[environment]\nset = { A = '1', B = '1' }",
        "[filesystem]\nread = ['/b', '/a/']\nworkspace = 'read-only'\n[limits]\nmemory = '2GiB'\n[environment.set]\nB = '2'",
    ]);
    assert_eq!(policy.filesystem.read, ["/a", "/b"]);
    assert_eq!(policy.filesystem.deny, ["x"]);
    assert_eq!(policy.filesystem.workspace, WorkspaceAccess::ReadOnly);
    assert_eq!(policy.limits.memory.map(|size| size.0), Some(2 << 30));
    assert_eq!((policy.environment.set["A"].as_str(), policy.environment.set["B"].as_str()), ("1", "2"));
}

#[test]
fn the_profile_is_the_strongest_layers_choice() {
    let (read_only, hardened) = ("extends = 'read-only'", "extends = 'hardened'");
    assert_eq!(merged(&[read_only, hardened]).profile, "hardened");
    assert_eq!(merged(&[hardened, read_only, ""]).profile, "read-only");
    let overrides = Overrides { profile: Some("default".into()), ..Overrides::default() };
    assert_eq!(load(&[source(hardened)], None, &overrides).expect("loads").profile, "default");
}

#[test]
fn a_layer_wins_over_the_profile() {
    let policy = merged(&["extends = 'hardened'\n[limits]\nmemory = '6GiB'\n[enforcement]\nisolation = 'strongest'"]);
    assert_eq!((policy.limits.memory.map(|size| size.0), policy.isolation), (Some(6 << 30), None));
}

#[test]
fn options_are_the_strongest_layer_and_checked_like_text() {
    let overrides = Overrides {
        read: vec!["/data/".into()],
        allow: vec!["EXAMPLE.com:443".into()],
        publish: vec!["8080".into()],
        unix: vec!["/run/x".into()],
        pass: vec!["LANG".into()],
        set: vec![("CI".into(), "1".into())],
        limits: crate::policy::Limits { milli_cpus: Some(1_500), ..Default::default() },
        accept_degraded: vec![crate::report::Protection::Caches],
        ..Overrides::default()
    };
    let policy = load(&[source("[limits]\ncpus = 1")], None, &overrides).expect("loads");
    assert_eq!((policy.filesystem.read, policy.limits.milli_cpus), (vec!["/data".to_owned()], Some(1_500)));
    assert_eq!((policy.network.allow, policy.network.publish), (vec!["example.com:443".to_owned()], vec![8080]));
    assert_eq!((policy.unix, policy.accept_degraded), (vec!["/run/x".to_owned()], vec!["caches".to_owned()]));

    let overrides = Overrides {
        profile: Some("reserch".into()),
        write: vec!["../x".into()],
        allow: vec!["http://x".into()],
        publish: vec!["x".into()],
        set: vec![("A*".into(), String::new())],
        limits: crate::policy::Limits {
            memory: Some(crate::units::ByteSize(1024)),
            milli_cpus: Some(5),
            ..Default::default()
        },
        ..Overrides::default()
    };
    let wrong = load(&[source("nonsense = 1")], None, &overrides).expect_err("all of it is wrong");
    let places: Vec<_> =
        wrong.iter().map(|wrong| (wrong.source.as_str(), wrong.excerpt.as_str(), wrong.line)).collect();
    assert_eq!(
        places,
        [
            ("p.toml", "nonsense = 1", 1),
            ("--profile", "reserch", 0),
            ("--write", "../x", 0),
            ("--allow", "http://x", 0),
            ("--publish", "x", 0),
            ("--memory", "1KiB", 0),
            ("--cpus", "0.005", 0),
            ("--env", "A*", 0),
        ]
    );
}

const OUTER: &str = r#"
    [filesystem]
    read = ["/data", "~/sets"]
    write = ["~/out"]
    [network]
    allow = ["*.example.org", "10.0.0.0/8:5432"]
    publish = [8080]
    default = "ask"
    limits = { sent = "1MB", connections_at_once = 10 }
    [unix]
    allow = ["/run/x"]
    [limits]
    memory = "2GiB"
    [environment]
    pass = ["LANG", "AWS_*"]
    [kernel]
    nested-namespaces = true
    [sandbox]
    linger = "1m"
    [enforcement]
    accept_degraded = ["caches", "home"]
"#;

#[test]
fn a_workspace_file_takes_away() {
    let policy = narrowed(
        OUTER,
        r#"
        [filesystem]
        workspace = "read-only"
        read = ["~/out"]
        write = []
        deny = [".env"]
        [network]
        default = "deny"
        allow = ["a.example.org:443", "10.1.0.0/16:5432"]
        publish = []
        limits = { sent = "2MB", received = "1MB", connections_at_once = 11, connections_per_second = 12 }
        [unix]
        allow = []
        [limits]
        memory = "64GiB"
        cpus = 1
        [environment]
        pass = ["AWS_*"]
        [kernel]
        nested-namespaces = false
        [sandbox]
        checkpoint = "each-command"
        linger = "2m"
        [enforcement]
        isolation = "namespaces"
        accept_degraded = ["caches"]
        "#,
    )
    .unwrap_or_else(|wrong| panic!("{}", wrong[0]));
    assert_eq!(policy.filesystem.workspace, WorkspaceAccess::ReadOnly);
    assert_eq!((policy.filesystem.read, policy.filesystem.write), (vec!["~/out".to_owned()], vec![]));
    assert_eq!(policy.filesystem.deny, [".env"]);
    assert_eq!(policy.network.allow, ["a.example.org:443", "10.1.0.0/16:5432"]);
    assert!(policy.network.publish.is_empty() && policy.unix.is_empty());
    assert_eq!(policy.network.default, NetworkDefault::Deny);
    let rates = (policy.network.limits.connections_at_once, policy.network.limits.connections_per_second);
    assert_eq!(rates, (Some(10), Some(12)));
    let sizes = [policy.network.limits.sent, policy.network.limits.received, policy.limits.memory];
    assert_eq!(sizes.map(|size| size.map(|size| size.0)), [Some(1_000_000), Some(1_000_000), Some(2 << 30)]);
    assert_eq!(policy.limits.milli_cpus, Some(1_000));
    assert_eq!(policy.environment.pass, ["AWS_*"]);
    assert!(!policy.kernel.nested_namespaces);
    assert_eq!((policy.sandbox.checkpoint, policy.sandbox.linger.milliseconds), (Checkpoints::EachCommand, 60_000));
    assert_eq!((policy.isolation, policy.accept_degraded), (Some(Tier::Namespaces), vec!["caches".to_owned()]));
    assert_eq!(narrowed(OUTER, "version = 1").expect("says nothing"), merged(&[OUTER]));
}

/// Each workspace text reaches for more in one place.
#[test]
fn a_workspace_file_that_widens_is_refused_at_its_place() {
    for (outer, workspace, place) in [
        (OUTER, "extends = 'default'", "'default'"),
        (OUTER, "[filesystem]\nread = ['/etc']", "'/etc'"),
        // A link below an allowed directory leads wherever the code that made it wants.
        (OUTER, "[filesystem]\nread = ['/data', '/data/link']", "'/data/link'"),
        (OUTER, "[filesystem]\nwrite = ['/data']", "'/data'"),
        (OUTER, "[filesystem]\nread = ['sub']", "'sub'"),
        ("extends = 'read-only'", "[filesystem]\nworkspace = 'write'", "'write'"),
        (OUTER, "[network]\nallow = ['example.org']", "'example.org'"),
        (OUTER, "[network]\nallow = ['a.example.org:22']", "'a.example.org:22'"),
        (OUTER, "[network]\nallow = ['0.0.0.0/0:5432']", "'0.0.0.0/0:5432'"),
        (OUTER, "[network]\ndefault = 'public'", "'public'"),
        ("", "[network]\ndefault = 'ask'", "'ask'"),
        // Public endpoints are open, which these are not.
        ("extends = 'research'", "[network]\nallow = ['10.0.0.1']", "'10.0.0.1'"),
        (OUTER, "[network]\npublish = [8080, 81]", "81"),
        (OUTER, "[unix]\nallow = ['/run/y']", "'/run/y'"),
        // A pattern passes no name that looks like a secret's; the name written out would.
        (OUTER, "[environment]\npass = ['AWS_SECRET_ACCESS_KEY']", "'AWS_SECRET_ACCESS_KEY'"),
        (OUTER, "[environment]\nset = { LD_PRELOAD = 'x' }", "LD_PRELOAD = 'x'"),
        ("", "[kernel]\nnested-namespaces = true", "true"),
        ("[sandbox]\ncheckpoint = 'each-command'", "[sandbox]\ncheckpoint = 'asked'", "'asked'"),
        (OUTER, "[enforcement]\naccept_degraded = ['files']", "'files'"),
        (OUTER, "[enforcement]\nisolation = 'landlock'", "'landlock'"),
        ("extends = 'hardened'", "[enforcement]\nisolation = 'strongest'", "'strongest'"),
    ] {
        let wrong = narrowed(outer, workspace).expect_err(workspace);
        assert_eq!(wrong.len(), 1, "{workspace}: {wrong:?}");
        assert_eq!((&workspace[wrong[0].span.clone()], wrong[0].source.as_str()), (place, ".stockade.toml"));
        assert!(wrong[0].message.contains("narrow") && wrong[0].hint.is_some(), "{}", wrong[0]);
        let direct =
            crate::policy::check_workspace(&merged(&[outer]), Source { name: ".stockade.toml", text: workspace });
        assert_eq!(direct, wrong);
    }
}

#[test]
fn a_workspace_file_can_name_the_few_that_it_needs_where_all_are_open() {
    let policy =
        narrowed("extends = 'research'", "[network]\ndefault = 'deny'\nallow = ['a.example.org:22', '*.x.org']")
            .unwrap_or_else(|wrong| panic!("{}", wrong[0]));
    assert_eq!((policy.network.default, policy.network.allow.len()), (NetworkDefault::Deny, 2));
}
