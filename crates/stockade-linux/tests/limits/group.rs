//! Control groups, made, hit and removed for real.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Stdio;

use rustix::process::{Pid, Signal};
use stockade_linux::cgroups;
use stockade_linux::limits::{Bound, Cgroup, Hits, LimitError, Version};
use stockade_spec::facts::CgroupFacts;
use stockade_spec::plan::Resource;

use crate::{Needs, Test, roles};

pub(crate) const TESTS: &[Test] = &[
    Test { name: "group::v1_memory", needs: Needs::GroupsV1, body: || memory(Version::V1) },
    Test { name: "group::v2_memory", needs: Needs::GroupsV2, body: || memory(Version::V2) },
    Test { name: "group::v1_memory_of_a_child_is_announced", needs: Needs::GroupsV1, body: announced },
    Test { name: "group::v1_processes", needs: Needs::GroupsV1, body: || processes(Version::V1) },
    Test { name: "group::v2_processes", needs: Needs::GroupsV2, body: || processes(Version::V2) },
    Test { name: "group::v1_processors", needs: Needs::GroupsV1, body: || processors(Version::V1) },
    Test { name: "group::v2_processors", needs: Needs::GroupsV2, body: || processors(Version::V2) },
    Test { name: "group::v1_join_and_drop", needs: Needs::GroupsV1, body: || join_and_drop(Version::V1) },
    Test { name: "group::v2_join_and_drop", needs: Needs::GroupsV2, body: || join_and_drop(Version::V2) },
    Test { name: "group::a_refused_bound_leaves_nothing", needs: Needs::GroupsV1, body: refused },
    Test { name: "group::no_place_is_named", needs: Needs::Nothing, body: no_place },
];

fn create(version: Version, bounds: &[(Resource, u64)]) -> Cgroup {
    let bounds: Vec<Bound> = bounds.iter().map(|&(resource, value)| Bound { resource, value }).collect();
    Cgroup::create(&cgroups(), version, &bounds).expect("the group is made")
}

fn paths(group: &Cgroup) -> Vec<PathBuf> {
    group.paths().map(PathBuf::from).collect()
}

fn pid(child: &std::process::Child) -> Pid {
    Pid::from_child(child)
}

fn memory(version: Version) {
    let group = create(version, &[(Resource::Memory, 64 << 20)]);
    for (mebibytes, kills) in [(8, 0), (200, 1)] {
        let mut hog = roles::start(&["hog", &mebibytes.to_string()]);
        group.add(pid(&hog)).unwrap();
        roles::go(&mut hog);
        let status = hog.wait().unwrap();
        assert_eq!(status.signal(), (kills > 0).then_some(Signal::KILL.as_raw()), "{mebibytes}: {status}");
        let hits = group.hits().unwrap();
        // Version 2 counts the process that was chosen once more when the whole group ends.
        assert_eq!(Hits { memory: hits.memory.min(1), ..hits }, Hits { memory: kills, processes: 0 });
    }
    let left = paths(&group);
    group.remove().unwrap();
    assert!(left.iter().all(|path| !path.exists()), "{left:?}");
}

/// Version 1 ends one process; the descriptor tells the supervisor, which ends the others.
fn announced() {
    let group = create(Version::V1, &[(Resource::Memory, 64 << 20)]);
    let announcement = group.out_of_memory_descriptor().unwrap().unwrap();
    let mut parent = roles::start(&["hog-child", "200"]);
    group.add(pid(&parent)).unwrap();
    assert!(!readable(&announcement, 0));
    roles::go(&mut parent);
    assert!(readable(&announcement, 10_000));
    group.kill().unwrap();
    assert_eq!(parent.wait().unwrap().signal(), Some(9));
    assert!(group.hits().unwrap().memory >= 1);
}

fn readable(descriptor: &std::os::fd::OwnedFd, milliseconds: i64) -> bool {
    let mut set = [rustix::event::PollFd::new(descriptor, rustix::event::PollFlags::IN)];
    let timeout = rustix::event::Timespec { tv_sec: milliseconds / 1000, tv_nsec: milliseconds % 1000 * 1_000_000 };
    rustix::event::poll(&mut set, Some(&timeout)).unwrap() == 1
}

fn processes(version: Version) {
    let group = create(version, &[(Resource::Processes, 5)]);
    let mut parent = roles::start(&["fork", "20"]);
    group.add(pid(&parent)).unwrap();
    roles::go(&mut parent);
    assert_eq!(roles::output(parent), "4");
    assert!(group.hits().unwrap().processes >= 1);
}

fn processors(version: Version) {
    let group = create(version, &[(Resource::Cpu, 200)]);
    let mut spinner = roles::start(&["spin", "1000"]);
    group.add(pid(&spinner)).unwrap();
    roles::go(&mut spinner);
    spinner.wait().unwrap();
    let stat = group.paths().find_map(|path| std::fs::read_to_string(path.join("cpu.stat")).ok()).unwrap();
    let throttled = stat.lines().find_map(|line| line.strip_prefix("nr_throttled ")).unwrap();
    assert!(throttled.parse::<u64>().unwrap() >= 3, "{stat}");
}

/// A process makes itself a member of each tree through the descriptor; dropping ends it.
fn join_and_drop(version: Version) {
    let group = create(version, &[(Resource::Processes, 50)]);
    let procs = group.procs_descriptors().unwrap().pop().unwrap();
    let mut command = roles::command(&["join-and-sleep"]);
    let mut member = command.stdin(Stdio::from(procs)).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = [0; 6];
    std::io::Read::read_exact(member.stdout.as_mut().unwrap(), &mut line).unwrap();
    let left = paths(&group);
    let listed = std::fs::read_to_string(left[0].join("cgroup.procs")).unwrap();
    assert_eq!(listed.trim(), member.id().to_string());
    drop(group);
    assert_eq!(member.wait().unwrap().signal(), Some(9));
    assert!(left.iter().all(|path| !path.exists()), "{left:?}");
}

fn refused() {
    let facts = cgroups();
    let before: Vec<usize> = facts.v1.values().map(|path| std::fs::read_dir(path).unwrap().count()).collect();
    let bounds =
        [Bound { resource: Resource::Processes, value: 10 }, Bound { resource: Resource::Cpu, value: u64::MAX / 1000 }];
    let error = Cgroup::create(&facts, Version::V1, &bounds).unwrap_err();
    assert!(error.to_string().contains("cpu.cfs_quota_us"), "{error}");
    let after: Vec<usize> = facts.v1.values().map(|path| std::fs::read_dir(path).unwrap().count()).collect();
    assert_eq!(before, after);
}

fn no_place() {
    let bounds = [Bound { resource: Resource::Memory, value: 1 << 30 }];
    let none = CgroupFacts::default();
    let error = Cgroup::create(&none, Version::V2, &bounds).unwrap_err();
    assert!(matches!(error, LimitError::NoPlace { controller: "memory" }), "{error}");
    let files = [Bound { resource: Resource::Files, value: 10 }];
    let error = Cgroup::create(&none, Version::V2, &files).unwrap_err();
    assert!(matches!(error, LimitError::Unsupported { resource: Resource::Files, .. }), "{error}");
}
