//! Any text as a policy: reading never panics, diagnostics point into the text and hold nothing that a terminal obeys, what
//! is read prints and reads again, and a workspace's file never adds to what is allowed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stockade_spec::policy::{Diagnostic, Overrides, Source, check, load};
use stockade_spec::{Policy, Tier};

/// A trusted policy from which a workspace's file may take.
const OUTER: &str = r#"
    [filesystem]
    read = ["/data", "~/sets"]
    write = ["/out"]
    deny = ["secrets/"]
    [network]
    allow = ["*.example.org:443", "10.0.0.0/8:1-99"]
    default = "ask"
    publish = [8080]
    limits = { connections_at_once = 9 }
    [unix]
    allow = ["/run/x"]
    [environment]
    pass = ["LANG", "LC_*"]
    [enforcement]
    accept_degraded = ["caches"]
"#;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let source = Source { name: "fuzz.toml", text };
    sound(text, &check(source));

    match load(&[source], None, &Overrides::default()) {
        Ok(policy) => {
            let printed = policy.to_toml();
            let again = load(&[Source { name: "printed", text: &printed }], None, &Overrides::default());
            assert_eq!(again.expect("what is printed is a policy"), policy);
        }
        Err(wrong) => sound(text, &wrong),
    }

    let outer = Source { name: "outer.toml", text: OUTER };
    let trusted = load(&[outer], None, &Overrides::default()).expect("the outer policy is valid");
    match load(&[outer], Some(source), &Overrides::default()) {
        Ok(narrowed) => narrower(&narrowed, &trusted),
        Err(wrong) => sound(text, &wrong),
    }
});

fn sound(text: &str, wrong: &[Diagnostic]) {
    assert!(wrong.len() <= 33);
    for diagnostic in wrong {
        assert!(text.get(diagnostic.span.clone()).is_some());
        assert!(diagnostic.underlined.start < diagnostic.underlined.end);
        let shown = diagnostic.to_string();
        assert!(shown.len() < 16 << 10);
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control()));
    }
}

fn narrower(inner: &Policy, outer: &Policy) {
    let within = |inner: &[String], outer: &[String]| inner.iter().all(|entry| outer.contains(entry));
    let (i, o) = (&inner.filesystem, &outer.filesystem);
    assert!(within(&i.read, &[o.read.as_slice(), &o.write].concat()) && within(&i.write, &o.write));
    assert!(within(&o.deny, &i.deny) && within(&o.protect, &i.protect));
    assert!(within(&inner.unix, &outer.unix) && within(&inner.environment.pass, &outer.environment.pass));
    assert!(within(&inner.accept_degraded, &outer.accept_degraded));
    assert!(inner.network.publish.iter().all(|port| outer.network.publish.contains(port)));
    assert!(within(&outer.network.deny, &inner.network.deny) && inner.network.default <= outer.network.default);
    assert!(inner.network.limits.connections_at_once <= outer.network.limits.connections_at_once);
    assert_eq!((&inner.environment.set, &inner.profile), (&outer.environment.set, &outer.profile));
    assert!(!inner.kernel.nested_namespaces);
    assert!(inner.isolation == outer.isolation || inner.isolation == Some(Tier::Namespaces));
    assert!(inner.limits.memory <= outer.limits.memory && inner.limits.time <= outer.limits.time);
}
