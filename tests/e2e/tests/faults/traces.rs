//! What a run may not leave behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper, wait};

use crate::place::Place;

/// How long the kernel and whoever tidies up may take after a supervisor was killed.
const PATIENCE: Duration = Duration::from_secs(8);

/// Makes this process the parent of whatever outlives its own parent, so that nothing can escape the count.
pub(crate) fn adopt_orphans() {
    set_child_subreaper(Some(getpid())).expect("a subreaper");
}

/// Processes below this one that have not ended, with their names.
pub(crate) fn processes() -> Vec<(u32, String)> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // It may have ended since it was listed.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let (Some(open), Some(close)) = (stat.find('('), stat.rfind(')')) else { continue };
        let mut fields = stat[close + 1..].split_whitespace();
        let (state, parent) = (fields.next(), fields.next().and_then(|field| field.parse::<u32>().ok()));
        all.push((pid, parent.unwrap_or(0), stat[open + 1..close].to_owned(), state == Some("Z")));
    }
    let mut ours = vec![std::process::id()];
    let mut found = Vec::new();
    let mut next = 0;
    while let Some(&parent) = ours.get(next) {
        next += 1;
        for (pid, _, name, zombie) in all.iter().filter(|process| process.1 == parent) {
            ours.push(*pid);
            if !zombie {
                found.push((*pid, name.clone()));
            }
        }
    }
    found
}

/// Reaps what was adopted, until no process is left; what is still there in the end.
pub(crate) fn processes_left() -> Vec<(u32, String)> {
    let until = Instant::now() + PATIENCE;
    loop {
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        let left = processes();
        if left.is_empty() || Instant::now() > until {
            return left;
        }
        sleep(Duration::from_millis(2));
    }
}

/// Fails when a run whose supervisor was `pid` left anything but its journal and what it wrote.
pub(crate) fn none_left(place: &Place, pid: u32, what: &str) {
    let processes = processes_left();
    assert!(processes.is_empty(), "{what}: processes stay: {processes:?}");
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    let base = place.base().to_str().expect("a path");
    let mount = mounts.lines().find(|line| line.contains(base));
    assert_eq!(mount, None, "{what}: a mount stays");
    let groups = groups(pid);
    assert!(groups.is_empty(), "{what}: control groups stay: {groups:?}");
    let temporary = temporary(place, pid);
    assert!(temporary.is_empty(), "{what}: temporary files stay: {temporary:?}");
}

/// Fails when a journal is left. An empty one stays for a minute where a supervisor was killed before it wrote the first
/// byte: it may be one that is just being made.
pub(crate) fn no_journal(place: &Place, what: &str) {
    let mut journals = entries(&place.path("home/.local/state/stockade/journal"));
    journals.retain(|path| fs::metadata(path).is_ok_and(|data| data.len() > 0));
    assert!(journals.is_empty(), "{what}: journals stay: {journals:?}");
}

/// Control groups of that supervisor.
fn groups(pid: u32) -> Vec<PathBuf> {
    let name = format!("stockade-{pid}-");
    let mut found = Vec::new();
    let mut open = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(directory) = open.pop() {
        for path in entries(&directory) {
            if !path.is_dir() || path.is_symlink() {
                continue;
            }
            if path.file_name().is_some_and(|last| last.to_string_lossy().starts_with(&name)) {
                found.push(path.clone());
            }
            open.push(path);
        }
    }
    found
}

fn temporary(place: &Place, pid: u32) -> Vec<PathBuf> {
    let mut found = entries(&place.path("tmp"));
    let name = format!("stockade-{pid}-");
    found.extend(entries(Path::new("/tmp")).into_iter().filter(|path| path.to_string_lossy().contains(&name)));
    found
}

/// What is in a directory; nothing where there is none.
pub(crate) fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).map(|list| list.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}

/// The process below this one that is held at the place of its fault.
pub(crate) fn held() -> Option<u32> {
    processes().into_iter().find_map(|(pid, name)| (name == "held").then_some(pid))
}

/// Whether something comes to pass in time.
pub(crate) fn soon(mut condition: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if condition() {
            return true;
        }
        sleep(Duration::from_millis(1));
    }
    false
}

/// Sends a signal.
pub(crate) fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
    rustix::process::kill_process(pid, signal).expect("the process is there");
}
