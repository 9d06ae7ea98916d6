//! What a trial may not leave behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, getpid, set_child_subreaper, wait};

use crate::place::Place;

/// How long the kernel and whoever tidies up may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);

/// Makes this process the parent of whatever outlives its own parent, so that nothing can escape the count.
pub(crate) fn adopt_orphans() {
    set_child_subreaper(Some(getpid())).expect("a subreaper");
}

/// The name of the process that removes control groups.
const JANITOR: &str = "stockade-clean";

/// A process.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    pub(crate) name: String,
    /// Its id in the innermost process namespace.
    pub(crate) inner: u32,
}

/// Processes below this one that have not ended.
pub(crate) fn processes() -> Vec<Process> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // It may have ended since it was listed.
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { continue };
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
        let parent = field("PPid:").parse().unwrap_or(0);
        let inner = field("NSpid:").split_whitespace().last().and_then(|id| id.parse().ok()).unwrap_or(pid);
        let process = Process { pid, parent, name: field("Name:").to_owned(), inner };
        all.push((process, field("State:").starts_with('Z')));
    }
    let mut ours = vec![std::process::id()];
    let mut found = Vec::new();
    let mut next = 0;
    while let Some(&parent) = ours.get(next) {
        next += 1;
        for (process, zombie) in all.iter().filter(|(process, _)| process.parent == parent) {
            ours.push(process.pid);
            if !zombie {
                found.push(process.clone());
            }
        }
    }
    found
}

/// Reaps whatever has ended.
pub(crate) fn reap() {
    while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
}

/// Whether it comes true in time.
pub(crate) fn soon(mut is_true: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if is_true() {
            return true;
        }
        sleep(Duration::from_millis(2));
    }
    is_true()
}

/// Sends a signal; a process that has ended meanwhile gets none.
pub(crate) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        rustix::process::kill_process(pid, signal).ok();
    }
}

/// Fails when anything is left that runs, is mounted, or is a control group. What runs is ended, so that it cannot disturb
/// the next trial.
pub(crate) fn none(place: &Place) {
    let gone = || {
        reap();
        processes().is_empty()
    };
    let left = if soon(gone) { Vec::new() } else { processes() };
    // Who tidies up after a supervisor is let do so.
    left.iter().filter(|process| process.name != JANITOR).for_each(|process| signal(process.pid, Signal::KILL));
    assert!(left.is_empty() || !soon(gone), "processes stay: {left:?}");
    assert!(left.is_empty(), "processes stay: {left:?}");
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    let base = place.base().to_str().expect("a path");
    assert_eq!(mounts.lines().find(|line| line.contains(base)), None, "a mount stays");
    let groups = || groups().into_iter().filter(|group| !place.groups().contains(group)).collect::<Vec<_>>();
    assert!(soon(|| groups().is_empty()), "control groups stay: {:?}", groups());
    let temporary = entries(&place.path("tmp"));
    assert!(temporary.is_empty(), "temporary files stay: {temporary:?}");
}

/// Control groups whose supervisor has ended.
pub(crate) fn groups() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(directory) = open.pop() {
        for path in entries(&directory).into_iter().filter(|path| path.is_dir() && !path.is_symlink()) {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let supervisor =
                name.strip_prefix("stockade-").and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
            if supervisor.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
                found.push(path.clone());
            }
            open.push(path);
        }
    }
    found
}

/// What is in a directory; nothing where there is none.
pub(crate) fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).map(|list| list.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}
