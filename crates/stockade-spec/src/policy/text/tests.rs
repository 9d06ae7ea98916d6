use super::*;
use crate::policy::{NetworkDefault, Overrides, PROFILES, Policy, load};

fn policy(text: &str) -> Policy {
    load(&[Source { name: "p.toml", text }], None, &Overrides::default())
        .unwrap_or_else(|wrong| panic!("{text}: {}", wrong[0]))
}

fn mistakes(text: &str) -> Vec<Diagnostic> {
    parse(Source { name: "p.toml", text }).1
}

#[test]
fn a_whole_policy_is_read() {
    let policy = policy(
        r#"
        version = 1
        extends = "read-only"
        [filesystem]
        workspace = "write"
        read = ["~/datasets/", "/srv//models"]
        write = ["out"]
        deny = ["**/.env", "secrets/"]
        protect = ["deploy/hooks/**"]
        [network]
        allow = ["API.example.com", "*.example.org:443", "10.1.2.0/24:5432"]
        deny = ["telemetry.example.com", "*.zip"]
        default = "ask"
        publish = ["8080", 9090]
        limits = { sent = "50MB", received = "2GB", connections = 200, connections_per_second = 7 }
        [unix]
        allow = ["/run/postgresql/.s.PGSQL.5432"]
        [limits]
        memory = "4GiB"
        cpus = 0.5
        processes = 512
        files = 4_096
        disk = 0x1000_0000
        time = "10m"
        output = "64MiB"
        [environment]
        pass = ["LANG", "MY_*"]
        set = { CI = "1" }
        [kernel]
        nested-namespaces = true
        [sandbox]
        checkpoint = "each-command"
        linger = "10m"
        [enforcement]
        isolation = "namespaces"
        accept_degraded = ["process-visibility"]
        "#,
    );
    assert_eq!(policy.profile, "read-only");
    assert_eq!(policy.filesystem.read, ["~/datasets", "/srv/models"]);
    assert_eq!(policy.network.allow, ["api.example.com", "*.example.org:443", "10.1.2.0/24:5432"]);
    assert_eq!(policy.network.publish, [8080, 9090]);
    assert_eq!(policy.network.limits.connections, Some(200));
    assert_eq!((policy.network.default, policy.network.deny.len()), (NetworkDefault::Ask, 2));
    assert_eq!(policy.network.limits.connections_per_second, Some(7));
    // What a layer does not say stays the profile's.
    assert_eq!(policy.network.limits.connections_at_once, Some(1024));
    assert_eq!(policy.limits.milli_cpus, Some(500));
    assert_eq!(policy.limits.disk.map(|size| size.0), Some(0x1000_0000));
    assert_eq!(policy.limits.time.map(|span| span.milliseconds), Some(600_000));
    assert_eq!(policy.environment.set["CI"], "1");
    assert!(policy.kernel.nested_namespaces);
    assert_eq!((policy.sandbox.checkpoint.name(), policy.sandbox.linger.milliseconds), ("each-command", 600_000));
    assert_eq!(policy.isolation, Some(crate::Tier::Namespaces));
    assert_eq!(policy.accept_degraded, ["process-visibility"]);
    assert_eq!(policy.unix.len(), 1);
}

/// Each text has exactly one mistake; the message and the hint hold these words, and the place is this text.
#[test]
fn every_mistake_has_its_message_place_and_hint() {
    for (text, message, place, hint) in [
        ("versoin = 1", "no key `versoin`", "versoin", "did you mean `version`"),
        ("version = 2", "does not know version `2`", "2", "version = 1"),
        ("version = \"1\"", "whole number", "\"1\"", "version = 1"),
        ("extends = \"reserch\"", "no profile `reserch`", "\"reserch\"", "did you mean `research`"),
        ("extends = \"Default\"", "no profile `Default`", "\"Default\"", "did you mean `default`"),
        ("read = []", "a policy has no key `read`", "read", "belongs to `[filesystem]`"),
        ("[limits]\nfilesystem = 1", "`[limits]` has no key", "filesystem", "top of the file"),
        ("[zzz]", "no key `zzz`", "zzz", "`enforcement`"),
        ("limits = 7", "expected a table, found a whole number", "7", "[section]"),
        ("[filesystem]\nread = \"x\"", "expected a list, found text", "\"x\"", "["),
        ("[filesystem]\nread = [\"a\", 7]", "expected text, found a whole number", "7", "\"…\""),
        ("[filesystem]\nread = [\"\"]", "is empty", "\"\"", "remove"),
        ("[filesystem]\nread = [\"a/../b\"]", "`..`", "\"a/../b\"", "without"),
        ("[filesystem]\nread = [\"a\\u0000b\"]", "NUL", "\"a\\u0000b\"", "remove"),
        ("[filesystem]\nread = [\"/\"]", "too broad", "\"/\"", "~/datasets"),
        ("[filesystem]\nread = [\"~/\"]", "too broad", "\"~/\"", "~/datasets"),
        ("[filesystem]\nwrite = [\"./\"]", "the workspace itself", "\"./\"", "workspace ="),
        ("[filesystem]\nread = [\"/proc/1\"]", "`/proc` of its own", "\"/proc/1\"", "remove"),
        ("[filesystem]\nread = [\"//dev/./sda\"]", "`/dev` of its own", "\"//dev/./sda\"", "remove"),
        ("[filesystem]\nwrite = [\"src/*\"]", "is a pattern", "\"src/*\"", "deny"),
        ("[filesystem]\nread = [\"$HOME/x\"]", "variable", "\"$HOME/x\"", "~/"),
        ("[filesystem]\nread = [\"~root/x\"]", "other user", "\"~root/x\"", "absolute"),
        ("[filesystem]\ndeny = [\"/\"]", "deny everything", "\"/\"", ".env"),
        ("[filesystem]\ndeny = [\"~/../x\"]", "`..`", "\"~/../x\"", ""),
        ("[filesystem]\nprotect = [\"/etc\"]", "not below the workspace", "\"/etc\"", "from there"),
        ("[filesystem]\nworkspace = \"rw\"", "`rw`", "\"rw\"", "read-only"),
        ("[network]\nallow = [\"https://x.org\"]", "scheme", "\"https://x.org\"", "write the host"),
        ("[network]\nallow = [\"*.com\"]", "too broad", "\"*.com\"", "one owner"),
        ("[network]\nallow = [\"*.co.uk:22\"]", "too broad", "\"*.co.uk:22\"", "one owner"),
        ("[network]\ndeny = [\"*\"]", "too broad", "\"*\"", "one owner"),
        (
            "[network]\nallow = [\"*.b\u{fc}cher.example:443\"]",
            "not ASCII",
            "\"*.bücher.example:443\"",
            "`*.xn--bcher-kva.example:443`",
        ),
        ("[network]\nallow = [\"a。example\"]", "not ASCII", "\"a。example\"", "start with `xn--`"),
        ("[network]\ndefault = \"allow\"", "`allow` says nothing", "\"allow\"", "`\"public\"`"),
        ("[network]\ndefault = true", "expected text", "true", "…"),
        ("[network.limits]\nconnections_at_once = 0", "too little", "0", "the least is 1"),
        ("[network.limits]\nconnections_per_second = 9999999", "too much", "9999999", "the most is 1000000"),
        ("[network]\npublish = [70000]", "`70000` is not a port", "70000", "65535"),
        ("[network]\npublish = [\"0\"]", "`0` is not a port", "\"0\"", "65535"),
        ("[network.limits]\nsend = 1", "`[network.limits]` has no key", "send", "did you mean `sent`"),
        ("[network]\nlimits = { connections = 0 }", "too little", "0", "the least is 1"),
        ("[unix]\nallow = [\"run/x\"]", "not the path of a socket", "\"run/x\"", "absolute"),
        ("[unix]\nallow = [\"@x\"]", "abstract", "\"@x\"", "path"),
        ("[limits]\nmemory = \"1KiB\"", "1KiB is too little for `memory`", "\"1KiB\"", "the least is 4MiB"),
        ("[limits]\nmemory = \"4XB\"", "`XB` is not a unit", "\"4XB\"", "512MiB"),
        ("[limits]\nmemory = -1", "`-1`", "-1", "not negative"),
        ("[limits]\nmemory = 1.5", "found a decimal number", "1.5", "512MiB"),
        ("[limits]\nmemory = 99999999999999999999", "no number that can be used", "99999999999999999999", "whole"),
        ("[limits]\ncpus = 0", "0 is no number of processors", "0", "0.01"),
        ("[limits]\ncpus = nan", "no number of processors", "nan", "0.5"),
        ("[limits]\nprocesses = 1", "too little", "1", "the least is 2"),
        ("[limits]\nfiles = 9999999999", "too large", "9999999999", "smaller"),
        ("[limits]\ntime = 10", "expected a span of time", "10", "10m"),
        ("[limits]\ntime = \"0s\"", "too little", "\"0s\"", "10ms"),
        ("[limits]\ntime = \"10 fortnights\"", "`fortnights` is not a unit", "\"10 fortnights\"", "10m"),
        ("[environment]\npass = [\"*\"]", "every variable", "\"*\"", "`LC_*`"),
        ("[environment]\npass = [\"A=1\"]", "holds `=`", "\"A=1\"", "set ="),
        ("[environment]\nset = { A = 1 }", "expected text", "1", "…"),
        ("[environment]\nset = { \"\" = \"x\" }", "empty", "\"\"", "LANG"),
        ("[kernel]\nnested_namespaces = true", "no key", "nested_namespaces", "did you mean `nested-namespaces`"),
        ("[kernel]\nnested-namespaces = 1", "true or false", "1", "true"),
        ("[sandbox]\ncheckpoint = \"never\"", "`never` does not say when", "\"never\"", "`\"asked\"`"),
        ("[sandbox]\nlinger = 30", "expected a span of time", "30", "10m"),
        ("[sandbox]\nlingers = \"1m\"", "no key", "lingers", "did you mean `linger`"),
        ("[enforcement]\naccept_degraded = [\"process\"]", "no protection `process`", "\"process\"", "did you mean"),
        ("[enforcement]\nisolation = \"vm\"", "no isolation `vm`", "\"vm\"", "strongest"),
    ] {
        let found = mistakes(text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        let found = &found[0];
        assert!(found.message.contains(message), "{text}: {}", found.message);
        assert_eq!(&text[found.span.clone()], place, "{text}");
        assert!(found.hint.as_deref().unwrap_or_default().contains(hint), "{text}: {:?}", found.hint);
    }
}

#[test]
fn broken_documents_say_where() {
    for (text, line) in [
        ("[filesystem\nread = []", 1),
        ("[filesystem]\nread = [\"a\"\nwrite = 1", 3),
        ("a = 1\na = 2", 2),
        ("version = ", 1),
        ("x = \"\u{1}\"", 1),
    ] {
        let found = mistakes(text);
        assert!(!found.is_empty(), "{text}");
        assert!(found.iter().any(|found| found.line == line), "{text}: {found:?}");
    }
}

#[test]
fn all_mistakes_are_told_in_order_and_up_to_a_bound() {
    let text = "b = 1\n[limits]\nmemory = \"x\"\n[filesystem]\nread = [\"/\", 1]\n";
    assert_eq!(mistakes(text).iter().map(|found| found.line).collect::<Vec<_>>(), [1, 3, 5, 5]);
    let many: String = (0..1_000).map(|number| format!("k{number} = 1\n")).collect();
    let found = mistakes(&many);
    assert_eq!(found.len(), 33);
    assert!(found[32].message.starts_with("968 more"));
}

#[test]
fn sizes_are_bounded() {
    assert_eq!(mistakes(&"#".repeat(MAX_TEXT)).len(), 0);
    assert_eq!(mistakes(&"#".repeat(MAX_TEXT + 1)).len(), 1);
    let list = |count| format!("[filesystem]\nread = [{}]", "\"a\",".repeat(count));
    assert_eq!(mistakes(&list(MAX_ENTRIES)).len(), 0);
    assert_eq!(mistakes(&list(MAX_ENTRIES + 1)).len(), 1);
    assert!(!mistakes(&format!("x = {}", "[".repeat(100_000))).is_empty());
}

#[test]
fn profiles_hold_what_they_promise() {
    for (name, text) in PROFILES {
        assert_eq!(mistakes(text), [], "{name}");
        let policy = policy(&format!("extends = \"{name}\""));
        assert_eq!(policy.profile, *name);
        assert_eq!(policy.network.opens_anything(), *name == "research");
        assert!(policy.network.allow.is_empty() && policy.network.publish.is_empty());
        assert!(policy.unix.is_empty() && !policy.kernel.nested_namespaces);
        let bounds = &policy.network.limits;
        assert!(bounds.connections_at_once.is_some() && bounds.connections_per_second.is_some());
        assert!(policy.filesystem.read.is_empty() && policy.filesystem.write.is_empty());
        let limits = &policy.limits;
        assert!(limits.memory.is_some() && limits.processes.is_some() && limits.files.is_some());
        assert!(limits.disk.is_some() && limits.time.is_some() && limits.output.is_some());
    }
    assert_eq!(policy("extends = \"hardened\"").isolation, Some(crate::Tier::Namespaces));
    assert_eq!(policy("").profile, "default");
}

/// The table of keys is what suggestions and the schema go by; the reader must know each key of it.
#[test]
fn every_key_of_the_table_is_read() {
    for (section, keys) in SECTIONS {
        for key in *keys {
            let head = if section.is_empty() { String::new() } else { format!("[{section}]\n") };
            let found = mistakes(&format!("{head}{key} = 2020-01-01"));
            assert!(found.len() == 1 && !found[0].message.contains("no key"), "{section} {key}: {found:?}");
        }
    }
}
