//! What is left when the supervisor is killed: nothing.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use stockade_linux::limits::{Bound, Cgroup, LimitError, Version};
use stockade_spec::plan::Resource;

use crate::{Needs, Test, roles};

pub(crate) const TESTS: &[Test] = &[
    Test { name: "janitor::v1_after_sigkill", needs: Needs::GroupsV1, body: || after_sigkill("v1") },
    Test { name: "janitor::v2_after_sigkill", needs: Needs::GroupsV2, body: || after_sigkill("v2") },
    Test { name: "janitor::v1_after_sigkill_at_any_moment", needs: Needs::GroupsV1, body: || at_any_moment("v1") },
    Test { name: "janitor::v2_after_sigkill_at_any_moment", needs: Needs::GroupsV2, body: || at_any_moment("v2") },
    Test { name: "janitor::v1_ends_with_the_group", needs: Needs::GroupsV1, body: || ends(Version::V1) },
    Test { name: "janitor::v2_ends_with_the_group", needs: Needs::GroupsV2, body: || ends(Version::V2) },
    Test { name: "janitor::v1_is_refused_in_a_threaded_process", needs: Needs::GroupsV1, body: threaded },
];

/// SIGKILL for the whole process group, as a shell or a service manager sends it.
fn after_sigkill(version: &str) {
    let mut command = roles::command(&["supervise", version]);
    let mut supervisor = command.process_group(0).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(supervisor.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut lines = lines.take_while(|line| !line.is_empty());
    let member: i32 = lines.next().unwrap().parse().unwrap();
    let paths: Vec<PathBuf> = lines.map(PathBuf::from).collect();
    assert!(!paths.is_empty() && paths.iter().all(|path| path.exists()), "{paths:?}");
    let supervisor_pid = Pid::from_child(&supervisor);
    // SIGTERM first: the janitor does not mind.
    kill_process_group(supervisor_pid, Signal::TERM).unwrap();
    kill_process_group(supervisor_pid, Signal::KILL).ok();
    supervisor.wait().unwrap();
    soon("the groups are gone", || !paths.iter().any(|path| path.exists()));
    soon("the member is gone", || !Path::new(&format!("/proc/{member}/cmdline")).exists());
}

/// Delays that fall before, into and after the making of the group.
fn at_any_moment(version: &str) {
    for step in 0..60 {
        let mut supervisor = roles::command(&["supervise", version]).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(step * 100));
        kill_process(Pid::from_child(&supervisor), Signal::KILL).unwrap();
        supervisor.wait().unwrap();
        let prefix = format!("stockade-{}-", supervisor.id());
        soon("no group is left", || groups_named(&prefix).is_empty());
    }
}

/// The groups whose name starts like that, wherever groups can be made.
fn groups_named(prefix: &str) -> Vec<PathBuf> {
    let facts = stockade_linux::cgroups();
    let places = facts.v1.into_values().chain(facts.v2.map(|place| place.path));
    let entries = places.flat_map(|place| std::fs::read_dir(place).unwrap()).map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(prefix)).collect()
}

fn soon(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}: not within ten seconds");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn create(version: Version) -> Result<Cgroup, LimitError> {
    let bounds = [Bound { resource: Resource::Processes, value: 100 }];
    Cgroup::create(&stockade_linux::cgroups(), version, &bounds)
}

fn children() -> String {
    std::fs::read_to_string("/proc/thread-self/children").unwrap()
}

fn ends(version: Version) {
    assert_eq!(children(), "");
    let group = create(version).unwrap();
    let janitor = children();
    let name = std::fs::read_to_string(format!("/proc/{}/comm", janitor.trim())).unwrap();
    assert!(name == "stockade-clean\n" || name.starts_with("limits"), "{name}");
    soon("it holds one descriptor", || std::fs::read_dir(format!("/proc/{}/fd", janitor.trim())).unwrap().count() == 1);
    group.remove().unwrap();
    assert_eq!(children(), "");
}

fn threaded() {
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || ended.recv().unwrap_err());
    assert!(matches!(create(Version::V1), Err(LimitError::Threaded)));
    drop(end);
    thread.join().unwrap();
    // The kernel may need a moment to forget the thread.
    soon("groups can be made again", || create(Version::V1).is_ok());
}
