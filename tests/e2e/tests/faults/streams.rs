//! Standard streams that are closed, full, endless or slow; arguments and environments of every kind.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::Stdio;

use crate::Trial;
use crate::place::{Place, TIERS};
use crate::traces::{no_journal, none_left};

pub(crate) const TRIALS: &[Trial] = &[
    ("closed_streams", closed_streams),
    ("readers_that_go", readers_that_go),
    ("full_devices", full_devices),
    ("a_million_lines", a_million_lines),
    ("output_limit", output_limit),
    ("much_environment", much_environment),
    ("arguments_of_any_bytes", arguments_of_any_bytes),
];

/// Each stream alone and all together; what the command finds is `/dev/null`, and its status comes through.
fn closed_streams(place: &Place) {
    let cases = [("<&-", "0"), (">&-", "1"), ("2>&-", "2"), ("<&- >&-", "0 1"), ("<&- >&- 2>&-", "0 1 2")];
    for options in TIERS {
        for (redirections, closed) in cases {
            let what = format!("{options:?}, {redirections}");
            let inner = "read line; echo out; echo err >&2; ls /proc/self/fd | tr '\\n' ' ' > fds; exit 9";
            let script = format!("exec {} \"$@\" {redirections}", place.program().display());
            let mut command = place.command("sh");
            command.args(["-c", &script, "sh", "run"]).args(*options).args(["--", "sh", "-c", inner]);
            let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("sh starts");
            let pid = child.id();
            let output = child.wait_with_output().expect("an end");
            assert_eq!(output.status.code(), Some(9), "{what}: {}", String::from_utf8_lossy(&output.stderr));
            let expected = |stream: &str, text: &'static str| if closed.contains(stream) { "" } else { text };
            assert_eq!(String::from_utf8_lossy(&output.stdout), expected("1", "out\n"), "{what}");
            assert!(String::from_utf8_lossy(&output.stderr).starts_with(expected("2", "err\n")), "{what}");
            // The three, and the one by which `ls` reads the directory.
            let fds = std::fs::read_to_string(place.workspace().join("fds")).expect("fds");
            assert_eq!(fds.trim(), "0 1 2 3", "{what}: descriptors were inherited");
            none_left(place, pid, &what);
        }
    }
}

/// A reader that goes away ends the writer by SIGPIPE, as natively.
fn readers_that_go(place: &Place) {
    for options in TIERS {
        let mut child =
            place.script(options, "yes").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        let mut some = [0; 1_000];
        child.stdout.take().expect("a pipe").read_exact(&mut some).expect("output");
        let pid = child.id();
        let output = child.wait_with_output().expect("an end");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(141), "{options:?}: {text}");
        none_left(place, pid, "the reader went");
    }
}

/// What cannot be written is told, and the command's status kept.
fn full_devices(place: &Place) {
    for options in TIERS {
        let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        let mut command = place.script(options, "echo out; exit 3");
        let output = command.stdout(full()).stderr(Stdio::piped()).output().expect("stockade starts");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(3)), "{options:?}: {:?} {text}", output.status);
        let mut command =
            place.script(&[options, &["--report", "/dev/full", "--events", "/dev/full"][..]].concat(), "exit 3");
        let outcome = place.outcome(&mut command);
        assert_eq!(outcome.status, 3, "{options:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("/dev/full"), "{options:?}: {}", outcome.stderr);
        no_journal(place, "a full device");
    }
}

fn a_million_lines(place: &Place) {
    for options in TIERS {
        let script = "seq 1000000; seq 1000000 >&2; exit 4";
        let outcome = place.outcome(&mut place.script(options, script));
        assert_eq!(outcome.status, 4, "{options:?}");
        let expected: Vec<u8> = (1..=1_000_000).flat_map(|line| format!("{line}\n").into_bytes()).collect();
        assert!(
            outcome.stdout == expected,
            "{options:?}: {} bytes instead of {}",
            outcome.stdout.len(),
            expected.len()
        );
        assert!(outcome.stderr.as_bytes().starts_with(&expected), "{options:?}: the error stream differs");
        // One line without an end.
        let outcome = place.outcome(&mut place.script(options, "head -c 20000000 /dev/zero"));
        assert_eq!((outcome.status, outcome.stdout.len()), (0, 20_000_000), "{options:?}: {}", outcome.stderr);
    }
}

fn output_limit(place: &Place) {
    for options in TIERS {
        let mut command = place.script(&[options, &["--output", "100KiB"][..]].concat(), "yes; exit 4");
        let outcome = place.outcome(&mut command);
        assert_eq!(outcome.status, 137, "{options:?}: {}", outcome.stderr);
        assert!(
            outcome.stdout.len() <= 102_400 && outcome.stderr.contains("--output"),
            "{options:?}: {}",
            outcome.stderr
        );
    }
}

/// Two megabytes of environment: what is not passed costs nothing, what is passed arrives.
fn much_environment(place: &Place) {
    let values: Vec<(String, String)> = (0..20).map(|n| (format!("BULK_{n}"), "x".repeat(100_000))).collect();
    for options in TIERS {
        let count = "env | grep -c ^BULK_; exit 6";
        let outcome = place.outcome(place.script(options, count).envs(values.iter().cloned()));
        assert_eq!((outcome.status, outcome.stdout.as_slice()), (6, &b"0\n"[..]), "{options:?}: {}", outcome.stderr);
        let pass: Vec<&str> = values.iter().flat_map(|(name, _)| ["--env", name]).collect();
        let mut command = place.script(&[options, &pass[..]].concat(), count);
        let outcome = place.outcome(command.envs(values.iter().cloned()));
        assert_eq!((outcome.status, outcome.stdout.as_slice()), (6, &b"20\n"[..]), "{options:?}: {}", outcome.stderr);
    }
}

fn arguments_of_any_bytes(place: &Place) {
    let strange: Vec<Vec<u8>> =
        vec![b"\xff\xfe".to_vec(), b"a\nb".to_vec(), b"\x1b[2J".to_vec(), b"".to_vec(), vec![b'x'; 120_000]];
    for options in TIERS {
        for bytes in &strange {
            let mut arguments: Vec<OsString> = ["run"].iter().chain(options.iter()).map(OsString::from).collect();
            arguments.extend(["--", "printf", "%s"].map(OsString::from));
            arguments.push(OsString::from_vec(bytes.clone()));
            let outcome = place.outcome(&mut place.stockade(&arguments));
            assert_eq!((outcome.status, &outcome.stdout), (0, bytes), "{options:?}: {}", outcome.stderr);
        }
        let mut command = place.script(&[options, &["--env", "STRANGE"][..]].concat(), "printf %s \"$STRANGE\"");
        let outcome = place.outcome(command.env("STRANGE", OsStr::from_bytes(b"\xff=\x01")));
        assert_eq!(outcome.stdout, b"\xff=\x01", "{options:?}: {}", outcome.stderr);
        // A command, and a workspace, whose names are no text.
        let mut command = place.stockade(["run"]);
        let outcome = place.outcome(command.args(*options).arg("--").arg(OsStr::from_bytes(b"./\xff\x1b[2J")));
        assert_eq!(outcome.status, 127, "{options:?}: {}", outcome.stderr);
        assert!(!outcome.stderr.contains('\u{1b}'), "{options:?}: {:?}", outcome.stderr);
    }
    let odd = place.path("home").join(OsStr::from_bytes(b"\xffodd"));
    std::fs::create_dir(&odd).expect("a directory");
    place.user().own(&odd).expect("chown");
    for options in TIERS {
        let mut command = place.script(options, "echo ran > ran");
        let outcome = place.outcome(command.current_dir(&odd));
        assert_eq!(outcome.status, 0, "{options:?}: {}", outcome.stderr);
        std::fs::remove_file(odd.join("ran")).expect("it ran");
    }
    no_journal(place, "strange names");
}
