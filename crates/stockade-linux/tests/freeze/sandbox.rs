//! A process namespace with an init that starts what a test wants, and a look at what runs in it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use stockade_linux::freeze::{FreezeError, Freezer, Frozen};

use crate::roles;

/// Control groups that a test has made; removed with it.
pub(crate) struct Groups {
    paths: Vec<PathBuf>,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Groups {
    #[expect(clippy::unnecessary_wraps, reason = "it stands beside those that may be missing")]
    pub(crate) fn none() -> Option<Self> {
        Some(Self { paths: Vec::new() })
    }

    pub(crate) fn v2() -> Option<Self> {
        ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].iter().find_map(|parent| Self::make(parent, "cgroup.freeze"))
    }

    pub(crate) fn v1() -> Option<Self> {
        Self::make("/sys/fs/cgroup/freezer", "freezer.state")
    }

    fn make(parent: &str, file: &str) -> Option<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(parent).join(format!("stockade-test-{}-{number}", std::process::id()));
        fs::create_dir(&path).ok()?;
        let groups = Self { paths: vec![path.clone()] };
        path.join(file).exists().then_some(groups)
    }

    pub(crate) fn add(&self, pid: u32) {
        for path in &self.paths {
            fs::write(path.join("cgroup.procs"), pid.to_string()).unwrap();
        }
    }

    /// Killed in a frozen group of version 1, processes end when it thaws.
    fn thaw(&self) {
        let files = self.paths.iter().map(|path| path.join("freezer.state"));
        files.filter(|path| path.exists()).for_each(|path| fs::write(path, "THAWED").unwrap());
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        for path in &self.paths {
            fs::write(path.join(file), text).unwrap();
        }
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        self.thaw();
        for path in &self.paths {
            let start = Instant::now();
            while fs::remove_dir(path).is_err() && start.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// A sandbox: its init, its `/proc`, and a directory for what its processes write.
pub(crate) struct Sandbox {
    unshare: Child,
    pub(crate) init: Pid,
    pub(crate) proc: OwnedFd,
    pub(crate) groups: Groups,
    keep: tempfile::TempDir,
}

impl Sandbox {
    /// With no control group. `None`, and a word about it, where no namespaces can be made.
    pub(crate) fn traced(commands: &[&[&str]]) -> Option<Self> {
        let sandbox = Self::start(Groups::none()?, commands);
        if sandbox.is_none() {
            crate::not_run("freezing by Tracing (needs namespaces of users and processes)");
        }
        sandbox
    }

    /// Starts these commands inside. `DIR` in an argument stands for a directory of the test, and a command that begins with `role`
    /// is one of [`roles`].
    pub(crate) fn start(groups: Groups, commands: &[&[&str]]) -> Option<Self> {
        let keep = tempfile::tempdir().unwrap();
        let directory = keep.path().display().to_string();
        let commands: Vec<Vec<String>> =
            commands.iter().map(|words| words.iter().map(|word| word.replace("DIR", &directory)).collect()).collect();
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child", "--"]);
        let init = roles::command(&["init", &serde_json::to_string(&commands).unwrap()]);
        unshare.arg(init.get_program()).args(init.get_args());
        unshare.envs(init.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut unshare = unshare.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let Some(init) = init_of(&mut unshare) else {
            unshare.kill().unwrap();
            unshare.wait().unwrap();
            return None;
        };
        groups.add(init.as_raw_nonzero().get().unsigned_abs());
        unshare.stdin.take().unwrap().write_all(b"go\n").unwrap();
        let proc = File::open(format!("/proc/{}/root/proc", init.as_raw_nonzero())).unwrap().into();
        Some(Self { unshare, init, proc, groups, keep })
    }

    pub(crate) fn freezer(&self) -> Freezer {
        Freezer::of(self.groups.paths.iter().map(PathBuf::as_path), self.init, self.proc.as_fd()).unwrap()
    }

    /// Freezes it, also on a machine that is so busy that it takes more than one try.
    pub(crate) fn freeze(&self, freezer: &Freezer) -> Frozen {
        for _ in 0..20 {
            match freezer.freeze(&[]) {
                Err(FreezeError::Unstable { .. } | FreezeError::Busy { .. }) => {}
                // For as long as that lasts, nothing is tried.
                Err(FreezeError::Stuck { .. }) => std::thread::sleep(Duration::from_millis(200)),
                // After the latter, for as long as the thread takes to see that it was given up.
                Err(FreezeError::Traced { .. }) => {}
                other => return other.unwrap(),
            }
        }
        freezer.freeze(&[]).unwrap()
    }

    pub(crate) fn directory(&self) -> &Path {
        self.keep.path()
    }

    /// What a file of the test's directory holds; waits until it is there and not empty.
    pub(crate) fn wait_for(&self, name: &str) -> String {
        let path = self.directory().join(name);
        let start = Instant::now();
        loop {
            match fs::read_to_string(&path) {
                Ok(text) if !text.is_empty() => return text,
                _ => assert!(start.elapsed() < Duration::from_secs(20), "{name} does not appear"),
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The letters of `/proc/PID/stat` for every thread inside but init's: inner process, thread.
    pub(crate) fn letters(&self) -> BTreeMap<(u32, u32), char> {
        let proc = format!("/proc/{}/root/proc", self.init.as_raw_nonzero());
        let mut letters = BTreeMap::new();
        for pid in numbers(&proc).into_iter().filter(|&pid| pid != 1) {
            let tasks = format!("{proc}/{pid}/task");
            for thread in numbers(&tasks) {
                let Ok(text) = fs::read_to_string(format!("{tasks}/{thread}/stat")) else { continue };
                let letter = text.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
                letters.insert((pid, thread), letter.unwrap());
            }
        }
        letters
    }

    /// The inner number of the process that was started first.
    pub(crate) fn first(&self) -> u32 {
        self.letters().keys().next().unwrap().0
    }

    /// What the first thread of a process does.
    pub(crate) fn letter(&self, inside: u32) -> char {
        self.letters().get(&(inside, inside)).copied().unwrap_or(' ')
    }

    /// Waits until something is so.
    pub(crate) fn until(&self, mut is_so: impl FnMut() -> bool) {
        let start = Instant::now();
        while !is_so() {
            assert!(start.elapsed() < Duration::from_secs(20), "still {:?}", self.letters());
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    /// The outer number of a process inside.
    pub(crate) fn outer(&self, inside: u32) -> u32 {
        let found = numbers("/proc").into_iter().find(|pid| {
            let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
            let is_inside = line.split_whitespace().count() > 1;
            let namespace = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
            is_inside
                && line.split_whitespace().next_back() == Some(&inside.to_string())
                && namespace(*pid) == namespace(self.init.as_raw_nonzero().get().unsigned_abs())
        });
        found.unwrap()
    }

    pub(crate) fn signal(&self, inside: u32, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.outer(inside)).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        rustix::process::kill_process(self.init, Signal::KILL).ok();
        self.groups.thaw();
        self.unshare.wait().unwrap();
    }
}

/// The first process of the new namespace, once it is this program.
fn init_of(unshare: &mut Child) -> Option<Pid> {
    let own = std::env::current_exe().unwrap();
    let start = Instant::now();
    while unshare.try_wait().unwrap().is_none() {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", unshare.id())).unwrap_or_default();
        for pid in children.split_whitespace() {
            if fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == own) {
                return Pid::from_raw(pid.parse().unwrap());
            }
        }
        assert!(start.elapsed() < Duration::from_secs(20), "no process appears in the namespace");
        std::thread::sleep(Duration::from_millis(1));
    }
    None
}

/// The entries of a directory that are numbers.
pub(crate) fn numbers(directory: &str) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}
