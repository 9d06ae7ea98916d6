//! Limits against the real kernel: control groups, the janitor, the sampler.
//!
//! A program of its own instead of the standard harness, for two reasons: the janitor starts only from a process with
//! one thread, and the tests run this program again as the process that is limited (`role`).

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "this program is a test")]

mod group;
mod janitor;
mod roles;
mod sampler;
mod systemd;

use std::panic::catch_unwind;
use std::process::ExitCode;

/// One test.
#[derive(Debug)]
pub(crate) struct Test {
    name: &'static str,
    needs: Needs,
    body: fn(),
}

/// What a test cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing.
    Nothing,
    /// Version 1 control groups in which the caller may make children: root, on a machine that has them.
    GroupsV1,
    /// A version 2 control group in which the caller may make children.
    GroupsV2,
    /// A systemd user manager of the caller.
    UserManager,
    /// The same, with controllers delegated to it.
    UserManagerWithControllers,
}

const TESTS: &[&[Test]] = &[group::TESTS, janitor::TESTS, sampler::TESTS, systemd::TESTS];

impl Needs {
    fn met(self) -> bool {
        let facts = stockade_linux::cgroups();
        match self {
            Self::Nothing => true,
            Self::GroupsV1 => ["cpu", "memory", "pids"].iter().all(|name| facts.v1.contains_key(*name)),
            Self::GroupsV2 => facts.v2.is_some_and(|place| place.controllers.len() == 3),
            Self::UserManager => facts.systemd_user.is_some(),
            Self::UserManagerWithControllers => facts.systemd_user.is_some() && scopes_have_controllers(),
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::GroupsV1 => "writable version 1 control groups",
            Self::GroupsV2 => "a writable version 2 control group",
            Self::UserManager => "a systemd user manager",
            Self::UserManagerWithControllers => "a systemd user manager with delegated controllers",
        }
    }
}

/// Whether the scopes of the user's manager get the memory and the process controller.
fn scopes_have_controllers() -> bool {
    let mut member = roles::start(&["sleep"]);
    let scope = systemd::start(rustix::process::Pid::from_child(&member), &[]);
    let controllers = std::fs::read_to_string(scope.path().join("cgroup.controllers")).unwrap();
    scope.kill().unwrap();
    member.wait().unwrap();
    ["memory", "pids"].iter().all(|name| controllers.split_whitespace().any(|controller| controller == *name))
}

/// Runs the tests whose name the arguments contain, or all; answers `--list` as `cargo nextest` asks.
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("role", rest)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return roles::play(rest);
    }
    let tests = || TESTS.iter().copied().flatten();
    if arguments.iter().any(|argument| argument == "--list") {
        if !arguments.iter().any(|argument| argument == "--ignored") {
            tests().for_each(|test| println!("{}: test", test.name));
        }
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let exact = arguments.iter().any(|argument| argument == "--exact");
    let chosen = |name: &str| filters.iter().any(|filter| if exact { *filter == name } else { name.contains(*filter) });
    let mut failures = 0;
    for test in tests().filter(|test| filters.is_empty() || chosen(test.name)) {
        failures += u32::from(!run(test));
    }
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one test. One whose needs are not met is named as not run.
fn run(test: &Test) -> bool {
    if !test.needs.met() {
        println!("not run: {} (needs {})", test.name, test.needs.words());
        return true;
    }
    let passed = catch_unwind(test.body).is_ok();
    println!("test {} ... {}", test.name, if passed { "ok" } else { "FAILED" });
    passed
}
