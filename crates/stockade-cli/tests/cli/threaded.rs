//! Runs from a process with several threads, as every test is.

use std::io::Read;
use std::path::PathBuf;

use stockade::policy::Overrides;
use stockade::report::Outcome;
use stockade::request::{Terminal, Trace};
use stockade::units::Span;
use stockade::{Error, Event, HostStdio, Job, LaunchError, Request};

use crate::program::User;

fn request(user: &User, command: &[&str]) -> Request {
    let name = user.path("").file_name().expect("name").to_string_lossy().replace('.', "");
    Request {
        command: command.iter().map(Into::into).collect(),
        workspace: user.path("workspace"),
        directory: user.path("workspace"),
        home: user.path("home"),
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        terminal: Terminal::default(),
        isolation: None,
        trace: Trace::Off,
        temporary: "/tmp".into(),
        run_id: format!("test-{}", name.trim_start_matches('-')),
        layers: None,
    }
}

/// Standard streams of which the output can be read.
fn streams() -> (HostStdio, impl Read) {
    let null = || std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").expect("open").into();
    let (reader, writer) = std::io::pipe().expect("pipe");
    (HostStdio { stdin: null(), stdout: writer.into(), stderr: null() }, reader)
}

fn with_job<T>(request: &Request, state: PathBuf, overrides: &Overrides, then: impl FnOnce(&Job<'_>) -> T) -> T {
    then(&Job { layers: Vec::new(), workspace: None, overrides, request, own: &[], state: &state })
}

#[test]
fn in_this_process_it_is_refused_with_the_remedy() {
    let user = User::new();
    let request = request(&user, &["true"]);
    let result =
        with_job(&request, user.path("state"), &Overrides::default(), |job| stockade::run(job, streams().0, |_| ()));
    let error = result.expect_err("several threads");
    assert!(matches!(error, Error::Launch(LaunchError::Threaded)), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("run_by")));
}

#[test]
fn the_program_runs_it_and_reports() {
    let user = User::new();
    let request = request(&user, &["sh", "-c", "echo out; echo hello > made; exit 7"]);
    let mut events = Vec::new();
    let (stdio, mut output) = streams();
    let report = with_job(&request, user.path("state"), &Overrides::default(), |job| {
        stockade::run_by(env!("CARGO_BIN_EXE_stockade").as_ref(), job, stdio, |event| {
            events.push(match event {
                Event::Started(_) => "started",
                Event::Denied(_) => "denied",
                Event::Ended(_) => "ended",
                _ => "other",
            });
        })
    });
    assert_eq!(report.expect("ran").outcome, Outcome::Exited { status: 7 });
    assert_eq!((events.first(), events.last()), (Some(&"started"), Some(&"ended")));
    let mut text = String::new();
    output.read_to_string(&mut text).expect("read");
    assert_eq!(text, "out\n");
    assert_eq!(std::fs::read_to_string(user.path("workspace/made")).expect("made"), "hello\n");
}

#[test]
fn what_fails_over_there_arrives_here() {
    let user = User::new();
    let request = Request { workspace: "/".into(), directory: "/".into(), ..request(&user, &["true"]) };
    let run = |program: &str| {
        with_job(&request, user.path("state"), &Overrides::default(), |job| {
            stockade::run_by(program.as_ref(), job, streams().0, |_| ())
        })
    };
    let error = run(env!("CARGO_BIN_EXE_stockade")).expect_err("too broad");
    assert!(matches!(&error, Error::Supervised { message, .. } if message.contains("workspace")), "{error}");
    assert!(matches!(run("/nonexistent"), Err(Error::Program { .. })));
    assert!(matches!(run("/bin/true"), Err(Error::Conversation(_))));
}

#[test]
fn limits_hold_over_there_too() {
    let user = User::new();
    let request = request(&user, &["sleep", "60"]);
    let limits = stockade::policy::Limits { time: Some(Span { milliseconds: 300 }), ..Default::default() };
    let overrides = Overrides { limits, ..Overrides::default() };
    let report = with_job(&request, user.path("state"), &overrides, |job| {
        stockade::run_by(env!("CARGO_BIN_EXE_stockade").as_ref(), job, streams().0, |_| ())
    });
    assert_eq!(report.expect("ran").outcome, Outcome::TimeLimit);
}
