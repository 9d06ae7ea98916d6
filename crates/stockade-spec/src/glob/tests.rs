use std::ffi::OsStr;
use std::time::Instant;

use proptest::prelude::*;

use super::*;

fn glob(text: &str) -> Glob {
    Glob::new(text).expect(text)
}

fn matches(rule: &str, path: &str) -> bool {
    glob(rule).matches(Path::new(path))
}

#[test]
fn rules_match_what_the_table_says() {
    for (rule, path) in [
        ("a", "a"),
        ("a", "a/b/c"),
        ("a/", "a"),
        ("a/**", "a"),
        ("a/**", "a/b"),
        ("./a//b", "a/b"),
        ("*", ".hidden"),
        ("**", "x/y"),
        ("**/.env", ".env"),
        ("**/.env", "a/b/.env"),
        ("**/.env", "a/.env/below"),
        ("a/**/z", "a/z"),
        ("a/**/z", "a/b/c/z"),
        ("**/a/**/b/*.c", "q/a/x/b/b/f.c"),
        ("?", "é"),
        ("[!a]", "b"),
        ("[^a]", "b"),
        ("[]]", "]"),
        ("[a-]", "-"),
        ("[à-ü]x", "éx"),
        ("*.code-workspace", "x.code-workspace"),
        ("a*b*c", "a1b2b3c"),
        ("/etc/*", "/etc/passwd"),
    ] {
        assert!(matches(rule, path), "{rule} should match {path}");
    }
}

#[test]
fn rules_leave_the_rest_alone() {
    for (rule, path) in [
        ("a", "b/a"),
        ("a", ""),
        ("**", ""),
        ("a", "ab"),
        ("a/b", "a"),
        ("*", ""),
        ("*/x", "x"),
        ("?", "ab"),
        ("[a-c]", "d"),
        ("[!a]", "a"),
        ("a/*/c", "a/b/b/c"),
        ("**/.env", ".envrc"),
        ("etc", "/etc"),
        ("/etc", "etc"),
        (".git", ".GIT"),
    ] {
        assert!(!matches(rule, path), "{rule} should not match {path}");
    }
}

#[cfg(unix)]
#[test]
fn names_that_are_not_unicode_match() {
    use std::os::unix::ffi::OsStrExt;

    let path = Path::new(OsStr::from_bytes(b"d/\xff\xfe.env"));
    assert!(glob("**/??.env").matches(path));
    assert!(glob("d/*.env").matches(path));
    assert!(glob("d/[!a]*").matches(path));
    assert!(!glob("d/[a-z]*").matches(path));
    assert!(glob("D/*.ENV").matches_folded(path));
}

#[test]
fn folding_follows_file_systems_that_ignore_case() {
    for path in [".git/hooks", ".GIT/HOOKS", ".g\u{200c}it/hooks/x", ".git/hoo\u{212a}s", ".gIt/hook\u{17f}"] {
        assert!(glob(".git/hooks").matches_folded(Path::new(path)), "{path}");
    }
    assert!(glob(".git/CONFIG").matches_folded(Path::new(".git/con\u{fb01}g")));
    assert!(glob("[A-C]x").matches_folded(Path::new("bX")));
    assert!(!glob(".git/hooks").matches_folded(Path::new(".gi/hooks")));
}

#[test]
fn nonsense_is_refused_with_its_reason() {
    let refused = |text: &str| Glob::new(text).expect_err(text);
    assert!(matches!(refused(""), GlobError::Empty(_)));
    assert!(matches!(refused("//./"), GlobError::Empty(_)));
    assert!(matches!(refused("a/../b"), GlobError::Parent(_)));
    assert!(matches!(refused("a\0b"), GlobError::Nul(_)));
    assert!(matches!(refused("[abc"), GlobError::Unclosed(_)));
    assert!(matches!(refused("[]"), GlobError::Unclosed(_)));
    assert!(matches!(refused("[a/b]"), GlobError::Unclosed(_)));
    assert!(matches!(refused("[z-a]"), GlobError::EmptyRange { from: 'z', to: 'a', .. }));
    assert!(matches!(refused("a**"), GlobError::DeepInName(_)));
    assert!(matches!(refused("**a"), GlobError::DeepInName(_)));
    assert!(matches!(refused("*.{a,b}"), GlobError::Unsupported { found: '{', .. }));
    assert!(matches!(refused("a\\*"), GlobError::Unsupported { found: '\\', .. }));
    assert!(matches!(refused("!keep"), GlobError::Negated(_)));
    assert!(matches!(refused(&"x".repeat(4097)), GlobError::TooLong(4097)));
    assert!(matches!(refused(&"x/".repeat(65)), GlobError::TooDeep { count: 65, .. }));
    assert!(Glob::new(&"x/".repeat(64)).is_ok());
    assert!(matches!(Rules::new(vec!["x"; MAX_RULES + 1], Case::Exact), Err(GlobError::TooMany(_))));
}

#[test]
fn many_stars_take_no_exponential_time() {
    let rule = glob(&format!("{}b", "*a".repeat(1000)));
    let name = "a".repeat(3000);
    let deep = glob(&format!("{}b", "**/a/".repeat(31)));
    let path = "a/".repeat(2000);
    let started = Instant::now();
    assert!(!rule.matches(Path::new(&name)));
    assert!(!rule.matches(Path::new(&format!("{name}c/b"))));
    assert!(!deep.matches(Path::new(&path)));
    assert!(started.elapsed().as_secs() < 5, "took {:?}", started.elapsed());
}

#[test]
fn the_first_rule_in_order_is_found() {
    let rules = Rules::new(["a/b", "**/x", "**/*.rs", "a", "/etc/*", "**/y/**/z"], Case::Exact).expect("rules");
    let found = |path: &str| rules.first_match(Path::new(path)).map(Glob::as_str);
    assert_eq!(found("a/b/c"), Some("a/b"));
    assert_eq!(found("a/c"), Some("a"));
    assert_eq!(found("q/x/x.rs"), Some("**/x"));
    assert_eq!(found("q/x.rs"), Some("**/*.rs"));
    assert_eq!(found("/etc/passwd"), Some("/etc/*"));
    assert_eq!(found("/x"), None);
    assert_eq!(found("y/1/2/z"), Some("**/y/**/z"));
    assert_eq!(found("z"), None);
}

#[test]
fn a_cursor_tells_what_leads_on() {
    let rules = Rules::new(["deploy/hooks", "**/.github/workflows", "**/.env"], Case::Exact).expect("rules");
    let (root, name) = (rules.walk(), OsStr::new);
    assert_eq!(root.leads_on(name("deploy")), Some(0));
    assert_eq!(root.leads_on(name(".github")), Some(1));
    assert_eq!(root.leads_on(name(".env")), None);
    assert_eq!(root.matches(name(".env")), Some(2));
    let below = root.enter(name("src"));
    assert_eq!(below.leads_on(name("deploy")), None);
    assert_eq!(below.leads_on(name(".github")), Some(1));
    assert_eq!(root.enter(name("deploy")).matches(name("hooks")), Some(0));
}

/// The cost of one name in a walk, printed and bounded loosely: the bound is for a debug build on a busy machine.
#[test]
fn a_walk_looks_at_a_name_quickly() {
    let rules: Vec<String> = (0..60).map(|n| format!("**/.rule{n}/hooks")).collect();
    let rules = Rules::new(rules.iter().map(String::as_str).chain(["**/.env", "**/*.code-workspace"]), Case::Folded);
    let rules = rules.expect("rules");
    let names: Vec<String> = (0..100_000).map(|n| format!("module_{n}.py")).collect();
    let cursor = rules.walk();
    let started = Instant::now();
    let hits = names.iter().filter(|name| cursor.matches(OsStr::new(name)).is_some()).count();
    let each = started.elapsed().as_nanos() / 100_000;
    println!("{each} ns for each name");
    assert_eq!(hits, 0);
    assert!(each < 5_000, "{each} ns for each name");
}

/// The definition of a match, by trying every way.
fn reference(components: &[&str], names: &[&str]) -> bool {
    match (components, names) {
        ([], _) => true,
        (["**", rest @ ..], _) => (0..=names.len()).any(|skip| reference(rest, &names[skip..])),
        ([first, rest @ ..], [name, below @ ..]) => {
            let (first, name): (Vec<char>, Vec<char>) = (first.chars().collect(), name.chars().collect());
            reference_name(&first, &name) && reference(rest, below)
        }
        _ => false,
    }
}

fn reference_name(rule: &[char], name: &[char]) -> bool {
    match (rule, name) {
        ([], []) => true,
        (['*', rest @ ..], _) => (0..=name.len()).any(|skip| reference_name(rest, &name[skip..])),
        (['?', rest @ ..], [_, below @ ..]) => reference_name(rest, below),
        (['[', '!', not, ']', rest @ ..], [c, below @ ..]) => c != not && reference_name(rest, below),
        (['[', from, '-', to, ']', rest @ ..], [c, below @ ..]) => {
            (from..=to).contains(&c) && reference_name(rest, below)
        }
        ([literal, rest @ ..], [c, below @ ..]) => literal == c && reference_name(rest, below),
        _ => false,
    }
}

fn rule_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![Just("*"), Just("?"), Just("[!a]"), Just("[a-b]"), Just("a"), Just("b"), Just("é")];
    let name = proptest::collection::vec(part, 1..5).prop_map(|parts| parts.concat());
    let component =
        prop_oneof![3 => name.prop_filter("`**` is whole", |name| !name.contains("**")), 1 => Just("**".to_owned())];
    proptest::collection::vec(component, 1..5).prop_map(|components| components.join("/"))
}

fn path_text() -> impl Strategy<Value = String> {
    proptest::collection::vec("[abcé]{1,4}", 1..6).prop_map(|names| names.join("/"))
}

proptest! {
    #[test]
    fn agrees_with_the_definition(rule in rule_text(), path in path_text()) {
        let components: Vec<&str> = rule.split('/').collect();
        let names: Vec<&str> = path.split('/').collect();
        prop_assert_eq!(matches(&rule, &path), reference(&components, &names), "{} {}", rule, path);
    }

    #[test]
    fn a_set_agrees_with_its_rules(texts in proptest::collection::vec(rule_text(), 1..8), path in path_text()) {
        for case in [Case::Exact, Case::Folded] {
            let rules = Rules::new(&texts, case).expect("rules");
            let path = Path::new(&path);
            let one = |glob: &&Glob| if case == Case::Exact { glob.matches(path) } else { glob.matches_folded(path) };
            let expected = rules.globs().iter().find(one).map(Glob::as_str);
            prop_assert_eq!(rules.first_match(path).map(Glob::as_str), expected);
        }
    }

    #[test]
    fn whatever_the_text_nothing_panics(text in ".{0,40}", path in ".{0,40}") {
        if let Ok(glob) = Glob::new(&text) {
            let path = Path::new(&path);
            let rules = Rules::new([&text], Case::Exact).expect("a rule");
            prop_assert_eq!(glob.matches(path), rules.first_match(path).is_some());
            let _folded: bool = glob.matches_folded(path);
        }
    }
}
