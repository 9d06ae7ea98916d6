//! Scopes of a real user manager, where one runs.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use rustix::process::Pid;
use stockade_linux::limits::{Bound, Hits, Scope};
use stockade_spec::plan::Resource;

use crate::{Needs, Test, roles};

pub(crate) const TESTS: &[Test] = &[
    Test { name: "systemd::a_scope_holds_a_process", needs: Needs::UserManager, body: holds },
    Test { name: "systemd::a_scope_bounds_memory", needs: Needs::UserManagerWithControllers, body: memory },
    Test { name: "systemd::a_scope_bounds_processes", needs: Needs::UserManagerWithControllers, body: processes },
];

/// Starts a scope around a process.
pub(crate) fn start(pid: Pid, bounds: &[(Resource, u64)]) -> Scope {
    let socket = stockade_linux::cgroups().systemd_user.expect("there is a manager");
    let bounds: Vec<Bound> = bounds.iter().map(|&(resource, value)| Bound { resource, value }).collect();
    Scope::start(&socket, pid, &bounds, Duration::from_secs(5)).expect("the scope is started")
}

fn holds() {
    let mut member = roles::start(&["sleep"]);
    let scope = start(Pid::from_child(&member), &[]);
    let listed = std::fs::read_to_string(scope.path().join("cgroup.procs")).unwrap();
    assert!(listed.lines().any(|line| line == member.id().to_string()), "{listed}");
    // The keeper of the scope is the other one.
    assert_eq!(listed.lines().count(), 2, "{listed}");
    scope.kill().unwrap();
    assert_eq!(member.wait().unwrap().signal(), Some(9));
    let path = scope.path().to_owned();
    drop(scope);
    assert!(!path.exists(), "the manager does not remove the scope");
}

fn memory() {
    let mut hog = roles::start(&["hog", "200"]);
    let scope = start(Pid::from_child(&hog), &[(Resource::Memory, 64 << 20)]);
    assert_eq!(scope.hits().unwrap(), Hits::default());
    roles::go(&mut hog);
    let announcement = scope.out_of_memory_descriptor().unwrap();
    let mut set = [rustix::event::PollFd::new(&announcement, rustix::event::PollFlags::IN)];
    // The first change may be reclaim at the limit, before anything has to be killed.
    let limit = rustix::event::Timespec { tv_sec: 20, tv_nsec: 0 };
    while scope.hits().unwrap().memory == 0 {
        assert_eq!(rustix::event::poll(&mut set, Some(&limit)).unwrap(), 1, "nothing was announced");
    }
    assert_eq!(hog.wait().unwrap().signal(), Some(9));
    assert_eq!(scope.hits().unwrap().memory, 1);
}

fn processes() {
    let mut parent = roles::start(&["fork", "20"]);
    let scope = start(Pid::from_child(&parent), &[(Resource::Processes, 5)]);
    roles::go(&mut parent);
    assert_eq!(roles::output(parent), "4");
    assert!(scope.hits().unwrap().processes >= 1);
}
