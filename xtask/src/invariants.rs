//! What ARCHITECTURE.md says of the source, read from the source.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The crates that others link; the CLI is not one.
const LIBRARIES: [&str; 5] = ["stockade-spec", "stockade-linux", "stockade-egress", "stockade-workspace", "stockade"];

/// All crates.
const CRATES: [&str; 6] =
    ["stockade-spec", "stockade-linux", "stockade-egress", "stockade-workspace", "stockade", "stockade-cli"];

/// Of whom each crate may know.
const KNOWN: [(&str, &[&str]); 6] = [
    ("stockade-spec", &[]),
    ("stockade-linux", &["stockade-spec"]),
    ("stockade-egress", &["stockade-spec"]),
    ("stockade-workspace", &["stockade-spec"]),
    ("stockade", &["stockade-egress", "stockade-linux", "stockade-spec", "stockade-workspace"]),
    ("stockade-cli", &["stockade"]),
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file below a directory of which `wanted` says so.
fn files(directory: &Path, wanted: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path, wanted));
        } else if wanted(&path) {
            found.push(path);
        }
    }
    found
}

/// What a crate ships, as (path from the repository, code): no tests and no comments.
fn shipped(name: &str) -> Vec<(String, String)> {
    let source = repository().join("crates").join(name).join("src");
    let is_shipped = |path: &Path| {
        let is_test = path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs");
        path.extension().is_some_and(|extension| extension == "rs") && !is_test && !path.ends_with("properties.rs")
    };
    let found = files(&source, &is_shipped);
    assert!(!found.is_empty(), "{name} has no source");
    found
        .into_iter()
        .map(|path| {
            let text = read(&path);
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            let path = path.strip_prefix(repository()).expect("below the repository").display().to_string();
            (path, code.join("\n"))
        })
        .collect()
}

/// The places in a crate that hold one of these texts, except in files whose path holds one of `but`.
fn places(name: &str, texts: &[&str], but: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, code) in shipped(name) {
        for text in texts {
            if code.contains(text) && !but.iter().any(|part| path.contains(part)) {
                found.push(format!("{path}: {text}"));
            }
        }
    }
    found
}

fn nowhere(crates: &[&str], texts: &[&str], but: &[&str]) {
    let found: Vec<String> = crates.iter().flat_map(|name| places(name, texts, but)).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn unsafe_is_confined_to_sys() {
    let texts = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "allow(unsafe_code"];
    let sys = "crates/stockade-linux/src/sys/";
    nowhere(&CRATES, &texts, &[sys]);
    assert!(!places("stockade-linux", &texts, &[]).is_empty(), "nothing would be found anywhere");
}

#[test]
fn spec_reaches_no_system() {
    // Splitting and joining the text of a search path is no I/O.
    let texts = [
        "std::fs",
        "std::process",
        "std::os::",
        "std::thread",
        "env::var",
        "env::args",
        "env::current",
        "TcpStream",
        "UdpSocket",
        "SystemTime",
        "Instant",
        "io::std",
        "println!",
        "libc::",
        "rustix::",
    ];
    nowhere(&["stockade-spec"], &texts, &[]);
    let manifest = read(&repository().join("crates/stockade-spec/Cargo.toml"));
    for system in ["libc", "rustix", "nix", "windows"] {
        assert!(!manifest.lines().any(|line| line.starts_with(system)), "stockade-spec depends on {system}");
    }
}

#[test]
fn nothing_after_the_plan_reads_the_policy() {
    nowhere(&["stockade-linux", "stockade-workspace"], &["policy::", "Policy,", "Policy>", "&Policy"], &[]);
}

#[test]
fn only_the_gate_opens_network_sockets() {
    let texts = ["TcpStream", "TcpListener", "TcpSocket", "UdpSocket", "AddressFamily::INET", "std::net::To"];
    // Bringing loopback up takes a socket, though it is connected to nothing; those inside lead to loopback only, and what
    // watches them asks for their family. The name server serves at sockets that it is given, and makes none.
    let lead_nowhere = [
        "stockade-linux/src/sys/loopback.rs",
        "stockade-linux/src/stage/gate/",
        "stockade-linux/src/observe/undelivered.rs",
        "stockade-egress/src/resolver/serve.rs",
    ];
    let gate = ["stockade-egress/src/dial/", "stockade-egress/src/flow/", "stockade-egress/src/gate"];
    nowhere(&CRATES, &texts, &[&lead_nowhere[..], &gate].concat());
    // Only dialling connects, and only publishing binds.
    nowhere(&["stockade-egress"], &["::connect("], &["stockade-egress/src/dial/"]);
    nowhere(&["stockade-egress"], &["::bind("], &["stockade-egress/src/gate/published.rs"]);
}

#[test]
fn what_the_gate_decides_reaches_no_system() {
    let texts = ["std::fs", "std::process", "std::os::", "std::thread", "tokio::", "SystemTime", "Instant", "rustix::"];
    let acts = ["/dial/", "/flow/", "/gate", "/event", "/resolver/serve.rs"];
    nowhere(&["stockade-egress"], &texts, &acts);
}

#[test]
fn libraries_are_silent_and_read_no_environment() {
    let texts = ["print!(", "println!(", "eprint!(", "eprintln!(", "dbg!(", "env::var", "env::args", "env::home_dir"];
    nowhere(&LIBRARIES, &texts, &[]);
    assert!(!places("stockade-cli", &["env::"], &[]).is_empty(), "nothing would be found anywhere");
}

#[test]
fn crates_depend_downwards_only() {
    for (name, known) in KNOWN {
        let manifest = read(&repository().join("crates").join(name).join("Cargo.toml"));
        let dependencies = manifest.split("[dependencies]").nth(1).and_then(|rest| rest.split("\n[").next());
        let ours = dependencies.unwrap_or_default().lines().filter_map(|line| line.split(['.', ' ', '=']).next());
        for dependency in ours.filter(|dependency| dependency.starts_with("stockade")) {
            assert!(known.contains(&dependency), "{name} must not depend on {dependency}");
        }
    }
    let crates: BTreeSet<_> = fs::read_dir(repository().join("crates"))
        .expect("crates")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(crates, KNOWN.iter().map(|(name, _)| (*name).to_owned()).collect());
}

#[test]
fn every_policy_key_is_documented() {
    let schema = read(&repository().join("crates/stockade-spec/policy.schema.json"));
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let documented = read(&repository().join("docs/POLICY.md"));
    let mut keys = Vec::new();
    collect(&schema, "", &mut keys);
    assert!(keys.len() > 25, "{keys:?}");
    for key in keys {
        assert!(documented.contains(&format!("`{key}`")), "docs/POLICY.md does not mention `{key}`");
    }
    let protections = schema.pointer("/properties/enforcement/properties/accept_degraded/items/enum").expect("names");
    for name in protections.as_array().expect("a list").iter().filter_map(Value::as_str) {
        assert!(documented.contains(&format!("`{name}`")), "docs/POLICY.md does not mention `{name}`");
    }
}

fn collect(schema: &Value, prefix: &str, keys: &mut Vec<String>) {
    for (name, inner) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let key = format!("{prefix}{name}");
        collect(inner, &format!("{key}."), keys);
        keys.push(key);
    }
}

#[test]
fn documents_point_to_what_is_there() {
    let is_document = |path: &Path| path.extension().is_some_and(|extension| extension == "md");
    let mut documents = files(&repository().join("docs"), &is_document);
    documents.extend(["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(|name| repository().join(name)));
    for document in documents {
        for link in read(&document).split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let target = document.with_file_name(link);
            assert!(link.is_empty() || link.starts_with("http") || target.exists(), "{}: {link}", document.display());
        }
    }
}

#[test]
fn the_code_map_names_every_module_folder() {
    let map = read(&repository().join("ARCHITECTURE.md"));
    for (name, _) in KNOWN {
        assert!(map.contains(&format!("crates/{name}`")), "ARCHITECTURE.md does not describe {name}");
        for entry in fs::read_dir(repository().join("crates").join(name).join("src")).expect("source") {
            let entry = entry.expect("an entry");
            let folder = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_dir() && folder != "bin" && folder != "help" {
                assert!(map.contains(&format!("`{folder}")), "ARCHITECTURE.md does not name {name}/src/{folder}");
            }
        }
    }
}

#[test]
fn tests_that_hold_invariants_exist() {
    let table = read(&repository().join("ARCHITECTURE.md"));
    let table = table.split("## Invariants").nth(1).and_then(|rest| rest.split("## ").next()).expect("the table");
    let is_rust = |path: &Path| path.extension().is_some_and(|extension| extension == "rs");
    let mut sources = files(&repository().join("crates"), &is_rust);
    sources.extend(files(&repository().join("xtask/src"), &is_rust));
    let sources: String = sources.iter().map(|path| read(path)).collect();
    // Names of tests have several words, which sets them apart from other names.
    let named =
        table.split('`').skip(1).step_by(2).filter(|name| name.matches('_').count() >= 2 && !name.contains(':'));
    let mut count = 0;
    for name in named {
        let is_target = repository().join("fuzz/fuzz_targets").join(format!("{name}.rs")).exists();
        let is_lint = name == "undocumented_unsafe_blocks";
        assert!(is_target || is_lint || sources.contains(&format!("fn {name}(")), "there is no test {name}");
        count += 1;
    }
    assert!(count > 10, "only {count} tests are named");
}
