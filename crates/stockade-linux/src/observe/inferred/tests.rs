use std::path::Path;
use std::time::Instant;

use stockade_spec::plan::{Command, Explanations, Operation, PLAN_VERSION, Plan, Step};
use stockade_spec::report::{Denial, Known, Protection};
use stockade_spec::request::Terminal;
use stockade_spec::tier::Tier;

use super::*;
use crate::denials::DenialLog;

fn plan(tier: Tier) -> Plan {
    Plan {
        version: PLAN_VERSION,
        tier,
        profile: "default".into(),
        command: Command {
            arguments: vec!["sh".into()],
            environment: Vec::new(),
            directory: "/home/ann/work/src".into(),
            terminal: Terminal::default(),
        },
        workspace: "/home/ann/work".into(),
        home: "/home/ann".into(),
        steps: vec![Step {
            operation: Operation::Pin { target: "/home/ann/work/.git".into() },
            protection: Protection::ProtectedFiles,
            degradable: false,
        }],
        degraded: Vec::new(),
        explanations: Explanations {
            writable: vec!["/home/ann/work".into()],
            readable: vec!["/usr".into(), "/etc".into(), "/home/ann/.cargo/bin".into(), "/home/ann/work/vendor".into()],
            denied: vec!["**/.env".into(), "/etc/keys".into()],
            protected: vec!["**/.git/hooks/**".into()],
        },
    }
}

/// Paths that the host has.
fn exists(path: &Path) -> bool {
    let host = [
        "/",
        "/usr",
        "/usr/lib",
        "/etc",
        "/etc/passwd",
        "/home",
        "/home/ann",
        "/home/ann/.ssh/id_rsa",
        "/home/ann/notes",
        "/home/ann/my files/a b",
        "/home/ann/.cargo/bin",
        "/home/ann/work",
        "/home/ann/work/vendor",
        "/srv",
        "/srv/data",
    ];
    host.iter().any(|known| Path::new(known) == path)
}

fn inferred(tier: Tier, text: &str) -> Vec<Denial> {
    let mut log = DenialLog::new(Instant::now(), |_| {});
    infer(&plan(tier), text.as_bytes(), exists).into_iter().for_each(|attempt| log.record(attempt));
    let (denials, _) = log.finish();
    assert!(denials.iter().all(|denial| denial.known == Known::Inferred));
    denials
}

/// `operation target rule suggestion` of the only denial, or nothing.
fn one(tier: Tier, text: &str) -> String {
    let denials = inferred(tier, text);
    assert!(denials.len() <= 1, "{denials:?}");
    denials.first().map_or_else(String::new, |denial| {
        let option = denial.suggestion.clone().unwrap_or_else(|| "-".into());
        format!("{} {} {} {option}", denial.operation, denial.target, denial.rule.clone().unwrap_or_else(|| "-".into()))
    })
}

#[test]
fn error_texts_of_common_programs() {
    let cases = [
        (
            "cat: /home/ann/.ssh/id_rsa: No such file or directory",
            "read /home/ann/.ssh/id_rsa hidden --read /home/ann/.ssh/id_rsa",
        ),
        (
            "cat: '/home/ann/my files/a b': No such file or directory",
            "read /home/ann/my files/a b hidden --read /home/ann/my files/a b",
        ),
        (
            "cat: /home/ann/my files/a b: No such file or directory",
            "read /home/ann/my files/a b hidden --read /home/ann/my files/a b",
        ),
        (
            "FileNotFoundError: [Errno 2] No such file or directory: '/srv/data'",
            "read /srv/data hidden --read /srv/data",
        ),
        ("Error: ENOENT: no such file or directory, open '/srv/data'", "read /srv/data hidden --read /srv/data"),
        ("open /srv/data: no such file or directory", "read /srv/data hidden --read /srv/data"),
        (
            "ls: cannot access '../../notes': No such file or directory",
            "read /home/ann/notes hidden --read /home/ann/notes",
        ),
        ("java.nio.file.NoSuchFileException: /srv/data", "read /srv/data hidden --read /srv/data"),
        ("sh: 1: /srv/data: not found", "read /srv/data hidden --read /srv/data"),
        ("touch: cannot touch '/usr/lib/x': Read-only file system", "write /usr/lib/x read-only --write /usr/lib"),
        ("bash: /etc/passwd: Read-only file system", "write /etc/passwd read-only --write /etc/passwd"),
        (
            "touch: cannot touch ‘../vendor/x’: Read-only file system",
            "write /home/ann/work/vendor/x read-only --write /home/ann/work/vendor",
        ),
        ("mkdir: cannot create directory '/new': Read-only file system", "write /new read-only -"),
        ("cat: ../.env: Permission denied", "read /home/ann/work/.env **/.env -"),
        ("cat: '.env': Permission denied", "read /home/ann/work/src/.env **/.env -"),
        ("cp: cannot open '/etc/keys/a' for reading: Permission denied", "read /etc/keys/a /etc/keys -"),
        (
            "cp: cannot create regular file '../.git/hooks/pre-commit': Read-only file system",
            "write /home/ann/work/.git/hooks/pre-commit **/.git/hooks/** -",
        ),
        (
            "mv: cannot overwrite '../.git/hooks/x': Device or resource busy",
            "write /home/ann/work/.git/hooks/x **/.git/hooks/** -",
        ),
        ("mv: cannot move '../.git' to '../g': Device or resource busy", "rename /home/ann/work/.git held in place -"),
        ("curl: (6) Could not resolve host: example.com", "resolve example.com - --allow example.com"),
        (
            "ssh: Could not resolve hostname git.example.com: Temporary failure in name resolution",
            "resolve git.example.com - --allow git.example.com",
        ),
        (
            "npm error getaddrinfo EAI_AGAIN registry.example.com",
            "resolve registry.example.com - --allow registry.example.com",
        ),
        (
            "HTTPSConnectionPool(host='packages.example.org', port=443): Max retries exceeded",
            "resolve packages.example.org - --allow packages.example.org",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(one(Tier::Namespaces, text), expected, "{text}");
    }
}

#[test]
fn what_the_plan_does_not_explain_is_left_alone() {
    for text in [
        "Permission denied",
        "Read-only file system",
        "No such file or directory",
        "cat: /nowhere: No such file or directory",
        "cat: /etc/passwd: Permission denied",
        "cat: ../x: Permission denied",
        "touch: cannot touch '../x': Read-only file system",
        "all tests passed in /srv/data",
        "could not fetch https://example.com/srv/data: No such file or directory",
        "Could not resolve host: localhost",
        "Could not resolve host: ..",
        "cat: ../.git/hooks/pre-commit: No such file or directory",
        "''': No such file or directory",
    ] {
        assert_eq!(one(Tier::Namespaces, text), "", "{text}");
    }
}

#[test]
fn landlock_refuses_with_one_error() {
    let cases = [
        (
            "cat: /home/ann/.ssh/id_rsa: Permission denied",
            "read /home/ann/.ssh/id_rsa hidden --read /home/ann/.ssh/id_rsa",
        ),
        ("cat: /home/ann/.ssh/id_rsa: No such file or directory", ""),
        ("touch: cannot touch '/usr/lib/x': Permission denied", "write /usr/lib/x read-only --write /usr/lib"),
        ("touch: cannot touch '/srv/x': Permission denied", "write /srv/x read-only --write /srv"),
    ];
    for (text, expected) in cases {
        assert_eq!(one(Tier::Landlock, text), expected, "{text}");
    }
}

#[test]
fn only_the_end_counts_and_little_is_kept() {
    let line = "cat: /srv/data: No such file or directory\n";
    let mut text = line.to_owned();
    text.push_str(&"x".repeat(MAX_ERROR_TEXT));
    assert_eq!(inferred(Tier::Namespaces, &text), []);
    let flood: String = (0..400).map(|n| format!("rm: '/usr/{n}': Read-only file system\n")).collect();
    assert_eq!(inferred(Tier::Namespaces, &flood).len(), 32);
    let mut bytes = vec![0xff_u8; 100];
    bytes.extend_from_slice(line.as_bytes());
    assert_eq!(infer(&plan(Tier::Namespaces), &bytes, exists).len(), 1);
    let first = "rm: /nowhere/srv/data: No such file or directory\n";
    let filling = "x".repeat(MAX_ERROR_TEXT - (first.len() - "rm: /nowhere".len()));
    assert_eq!(inferred(Tier::Namespaces, &(first.to_owned() + &filling)), []);
    assert_eq!(inferred(Tier::Namespaces, &(first["rm: /nowhere".len()..].to_owned() + &filling)).len(), 1);
}
