//! The sampler on real processes, as whoever runs the test: it needs no privilege.

use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::Pid;
use stockade_linux::limits::{Bound, Exceeded, Processes, Sampler, Watched};
use stockade_spec::plan::Resource;

use crate::{Needs, Test, roles};

pub(crate) const TESTS: &[Test] = &[
    Test { name: "sampler::a_small_run_is_not_looked_at", needs: Needs::Nothing, body: first_look },
    Test { name: "sampler::memory_of_one_process", needs: Needs::Nothing, body: memory_of_one },
    Test { name: "sampler::memory_of_a_child", needs: Needs::Nothing, body: memory_of_a_child },
    Test { name: "sampler::memory_that_a_fork_shares_counts_once", needs: Needs::Nothing, body: shared_by_fork },
    Test { name: "sampler::memory_without_a_name", needs: Needs::Nothing, body: memfd },
    Test { name: "sampler::threads", needs: Needs::Nothing, body: threads },
    Test { name: "sampler::disk", needs: Needs::Nothing, body: disk },
    Test { name: "sampler::all_of_a_proc", needs: Needs::Nothing, body: all_of_a_proc },
];

fn sampler(bounds: &[(Resource, u64)], root: &Child, directories: Vec<OwnedFd>) -> Sampler {
    let bounds: Vec<Bound> = bounds.iter().map(|&(resource, value)| Bound { resource, value }).collect();
    let processes = Processes::Descendants(Pid::from_child(root));
    Sampler::new(&bounds, Watched { own: Vec::new(), processes, store: None, directories }).unwrap()
}

/// Samples when due until something is exceeded or the time is over.
fn watch(sampler: &mut Sampler, time: Duration) -> Option<Exceeded> {
    let end = Instant::now() + time;
    while Instant::now() < end {
        std::thread::sleep(sampler.next_due().saturating_duration_since(Instant::now()));
        if let Some(exceeded) = sampler.sample().unwrap() {
            return Some(exceeded);
        }
    }
    None
}

/// Plays a role until the sampler has something to say, or for a while; then ends it.
fn verdict(role: &[&str], bounds: &[(Resource, u64)]) -> Option<Exceeded> {
    let mut child = roles::start(role);
    let mut sampler = sampler(bounds, &child, Vec::new());
    roles::go(&mut child);
    let exceeded = watch(&mut sampler, if role.contains(&"within") { WITHIN } else { Duration::from_secs(20) });
    child.kill().unwrap();
    child.wait().unwrap();
    exceeded
}

const WITHIN: Duration = Duration::from_millis(1_200);

fn first_look() {
    let child = roles::start(&["sleep"]);
    let before = Instant::now();
    let sampler = sampler(&[(Resource::Memory, 1 << 30)], &child, Vec::new());
    assert!(sampler.next_due() >= before + Duration::from_millis(20));
    end(child);
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

fn memory_of_one() {
    let exceeded = verdict(&["hog", "200"], &[(Resource::Memory, 64 << 20)]).unwrap();
    assert_eq!((exceeded.resource, exceeded.limit), (Resource::Memory, 64 << 20));
    assert!((64 << 20..260 << 20).contains(&exceeded.used), "{exceeded:?}");
}

fn memory_of_a_child() {
    assert_eq!(verdict(&["hog-child", "200"], &[(Resource::Memory, 64 << 20)]).unwrap().resource, Resource::Memory);
}

/// Python makes 100 MiB and forks four times: 500 MiB by a plain sum, 100 in truth.
fn shared_by_fork() {
    assert_eq!(verdict(&["forked-copies", "100", "within"], &[(Resource::Memory, 200 << 20)]), None);
    assert!(verdict(&["forked-copies", "100"], &[(Resource::Memory, 90 << 20)]).is_some());
}

/// It is written to, never mapped.
fn memfd() {
    assert!(verdict(&["memfd", "200"], &[(Resource::Memory, 64 << 20)]).is_some());
    assert_eq!(verdict(&["memfd", "20", "within"], &[(Resource::Memory, 64 << 20)]), None);
}

fn threads() {
    let exceeded = verdict(&["threads", "40"], &[(Resource::Processes, 20)]).unwrap();
    assert_eq!((exceeded.resource, exceeded.limit), (Resource::Processes, 20));
}

fn disk() {
    let folder = tempfile::tempdir().unwrap();
    let child = roles::start(&["sleep"]);
    let directory = OwnedFd::from(std::fs::File::open(folder.path()).unwrap());
    let mut sampler = sampler(&[(Resource::Disk, 1 << 20)], &child, vec![directory]);
    assert_eq!(sampler.sample().unwrap(), None);
    std::fs::write(folder.path().join("large"), vec![1; 2 << 20]).unwrap();
    assert_eq!(sampler.sample().unwrap().unwrap().resource, Resource::Disk);
    end(child);
}

/// A `/proc` shows all processes of a namespace: here, this machine's.
fn all_of_a_proc() {
    let mut child = roles::start(&["threads", "5"]);
    roles::go(&mut child);
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let proc = OwnedFd::from(std::fs::File::open("/proc").unwrap());
    let bounds = [Bound { resource: Resource::Processes, value: 6 }];
    let watched =
        Watched { own: Vec::new(), processes: Processes::Namespace(proc), store: None, directories: Vec::new() };
    let exceeded = Sampler::new(&bounds, watched).unwrap().sample().unwrap().unwrap();
    assert!(exceeded.used > 6, "{exceeded:?}");
    end(child);
}
