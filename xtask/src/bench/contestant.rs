//! What is measured beside what.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::Failure;
use super::place::{Place, SEARCH_PATH};
use super::rival;

/// How often a run that is bounded in time is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// One way to run a command.
#[derive(Clone, Debug)]
pub(super) struct Contestant {
    /// Its name in tables.
    pub(super) name: &'static str,
    /// What precedes the command.
    prefix: Vec<OsString>,
    home: PathBuf,
    workspace: PathBuf,
}

impl Contestant {
    /// The command itself, without a sandbox.
    pub(super) fn native(place: &Place) -> Self {
        Self::new("native", place, &place.bare_home, Vec::new())
    }

    /// Bubblewrap with the shape that Stockade's default has: the system read-only, temporary file systems, the workspace
    /// writable, every namespace its own. `None` where it is not installed.
    pub(super) fn bubblewrap(place: &Place) -> Option<Self> {
        let program = installed("bwrap")?;
        let mut prefix = vec![program.into_os_string()];
        for directory in ["/usr", "/etc", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt"] {
            let path = Path::new(directory);
            match path.read_link() {
                Ok(text) => prefix.extend(["--symlink".into(), text.into_os_string(), directory.into()]),
                Err(_) if path.exists() => prefix.extend(["--ro-bind", directory, directory].map(OsString::from)),
                Err(_) => {}
            }
        }
        prefix.extend(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/run"].map(OsString::from));
        prefix.extend(["--tmpfs".into(), place.bare_home.clone().into_os_string()]);
        let workspace = place.workspace.clone().into_os_string();
        prefix.extend(["--bind".into(), workspace.clone(), workspace.clone(), "--chdir".into(), workspace]);
        prefix.extend(["--unshare-all", "--die-with-parent", "--new-session", "--"].map(OsString::from));
        Some(Self::new("bubblewrap", place, &place.bare_home, prefix))
    }

    /// `unshare(1)`: namespaces alone, with the host's files.
    pub(super) fn unshare(place: &Place) -> Option<Self> {
        let program = installed("unshare")?;
        let mut prefix = vec![program.into_os_string()];
        let options = ["--map-root-user", "--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup", "--fork", "--"];
        prefix.extend(options.map(OsString::from));
        Some(Self::new("unshare (namespaces alone)", place, &place.bare_home, prefix))
    }

    /// Firejail with its private home and no network.
    pub(super) fn firejail(place: &Place) -> Option<Self> {
        let program = installed("firejail")?;
        let mut prefix = vec![program.into_os_string()];
        prefix.extend(["--quiet", "--noprofile", "--net=none", "--private-tmp", "--"].map(OsString::from));
        Some(Self::new("firejail", place, &place.bare_home, prefix))
    }

    /// Stockade with its default policy.
    pub(super) fn stockade(place: &Place) -> Self {
        Self::new("stockade run", place, &place.bare_home, stockade_prefix(place))
    }

    /// The same in a home with toolchains and caches.
    pub(super) fn stockade_furnished(place: &Place) -> Self {
        Self::new("stockade run, furnished home", place, &place.furnished_home, stockade_prefix(place))
    }

    /// Stockade with a gate that leads to the server.
    pub(super) fn gate(place: &Place, policy: &Path, server: SocketAddr) -> Self {
        let mut prefix = vec![place.stockade.clone().into_os_string(), "run".into(), "--policy".into(), policy.into()];
        prefix.extend(["--allow", &server.to_string(), "--"].map(OsString::from));
        Self::new("stockade run --allow HOST", place, &place.bare_home, prefix)
    }

    /// `pasta` with its own namespaces. `None` where it is not installed, or cannot be used.
    pub(super) fn pasta(place: &Place) -> Option<Self> {
        let prefix = rival::pasta(&installed("pasta").filter(|_| rival::may_run())?);
        Some(Self::new("pasta", place, &place.bare_home, prefix))
    }

    /// `slirp4netns` beside namespaces that `unshare(1)` makes. `None` where either is not installed, or cannot be used.
    pub(super) fn slirp4netns(place: &Place) -> Option<Self> {
        installed("slirp4netns").and(installed("unshare")).filter(|_| rival::may_run())?;
        Some(Self::new("slirp4netns", place, &place.bare_home, rival::slirp4netns()))
    }

    fn new(name: &'static str, place: &Place, home: &Path, prefix: Vec<OsString>) -> Self {
        Self { name, prefix, home: home.to_owned(), workspace: place.workspace.clone() }
    }

    /// The program itself, with other arguments than those that run a command.
    pub(super) fn program(&self, arguments: &[&str]) -> Command {
        let program = Self { prefix: self.prefix.iter().take(1).cloned().collect(), ..self.clone() };
        program.command(arguments)
    }

    /// The command line that runs `command` in the workspace.
    pub(super) fn command(&self, command: &[&str]) -> Command {
        let mut line = self.prefix.iter().cloned().chain(command.iter().map(OsString::from));
        let mut run = Command::new(line.next().unwrap_or_default());
        run.args(line)
            .current_dir(&self.workspace)
            .env_clear()
            .env("PATH", SEARCH_PATH)
            .env("HOME", &self.home)
            .env("LANG", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        run
    }

    /// Runs `command` once; returns the time from its start to its end. Fails where it fails: what does not work must
    /// not count as fast.
    pub(super) fn time(&self, command: &[&str]) -> Result<Duration, Failure> {
        let mut run = self.command(command);
        let start = Instant::now();
        let output = run.spawn()?.wait_with_output()?;
        let elapsed = start.elapsed();
        self.check(&output).map(|()| elapsed)
    }

    /// Runs `command` once; returns what it prints, which must be little. Fails where it fails, and when it takes longer than
    /// `bound`; it is killed then.
    pub(super) fn output(&self, command: &[&str], bound: Duration) -> Result<Vec<u8>, Failure> {
        let mut run = self.command(command);
        let mut child = run.stdout(Stdio::piped()).process_group(0).spawn()?;
        let start = Instant::now();
        while child.try_wait()?.is_none() {
            if start.elapsed() > bound {
                kill_process_group(Pid::from_child(&child), Signal::KILL)?;
                child.wait()?;
                return Err(format!("{} took longer than {bound:?}", self.name).into());
            }
            thread::sleep(LOOK_AGAIN);
        }
        let output = child.wait_with_output()?;
        self.check(&output).map(|()| output.stdout)
    }

    fn check(&self, output: &Output) -> Result<(), Failure> {
        if output.status.success() {
            return Ok(());
        }
        let error = String::from_utf8_lossy(&output.stderr);
        Err(format!("{} failed with {}: {}", self.name, output.status, error.trim()).into())
    }
}

fn stockade_prefix(place: &Place) -> Vec<OsString> {
    vec![place.stockade.clone().into_os_string(), "run".into(), "--".into()]
}

fn installed(program: &str) -> Option<PathBuf> {
    SEARCH_PATH.split(':').map(|directory| Path::new(directory).join(program)).find(|path| path.is_file())
}
