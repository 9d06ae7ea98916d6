//! Who the work is done as.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// User ids that belong to people on Debian and everywhere else (`adduser.conf(5)`).
const PEOPLE: std::ops::Range<u32> = 1_000..60_000;

/// The user that takes a person's place where there is none.
const NOBODY: u32 = 65_534;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// The name.
    pub(crate) name: String,
    /// User id.
    pub(crate) uid: u32,
    /// Group id.
    pub(crate) gid: u32,
    /// Whether this process has to become that user.
    other: bool,
}

impl User {
    /// `root` or `user`.
    pub(crate) fn kind(&self) -> &'static str {
        if self.uid == 0 { "root" } else { "user" }
    }

    /// A command that this user runs, with nothing of the environment but where programs are.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>, home: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", home).env("PATH", path(home)).env("LANG", "C.UTF-8").env("SHELL", "/bin/sh");
        command.env("USER", &self.name).env("LOGNAME", &self.name).env("TERM", "dumb").stdin(Stdio::null());
        if self.other {
            // The standard library gives up the supplementary groups of root as well.
            command.uid(self.uid).gid(self.gid);
        }
        command
    }
}

/// Where programs are: in the home of the test, then where they are natively, without what lies in the home of whoever runs
/// the tests.
fn path(home: &Path) -> String {
    let own = std::env::var("HOME").unwrap_or_default();
    let native = std::env::var("PATH").unwrap_or_default();
    let outside =
        native.split(':').filter(|entry| entry.starts_with('/') && (own.len() < 2 || !entry.starts_with(&own)));
    let toolchain = format!("{}/.cargo/bin", home.display());
    std::iter::once(toolchain.as_str()).chain(outside).collect::<Vec<_>>().join(":")
}

/// Every user that the work is done as: whoever runs the tests, and an ordinary one where that is root. That one is named by
/// `STOCKADE_TEST_USER`, or is the first person of `/etc/passwd`, or nobody.
pub(crate) fn all() -> Vec<User> {
    let status = fs::read_to_string("/proc/self/status").expect("/proc/self/status");
    let id = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("an id in /proc/self/status");
        line.split_whitespace().nth(1).and_then(|id| id.parse().ok()).expect("an effective id")
    };
    let (uid, gid): (u32, u32) = (id("Uid:"), id("Gid:"));
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let known = users(&passwd);
    let name = known.iter().find(|user| user.uid == uid).map_or_else(|| uid.to_string(), |user| user.name.clone());
    let mut all = vec![User { name, uid, gid, other: false }];
    if uid == 0 {
        let wanted = std::env::var("STOCKADE_TEST_USER").ok();
        let person = |user: &&User| wanted.as_ref().map_or(PEOPLE.contains(&user.uid), |name| *name == user.name);
        let nobody = User { name: "nobody".to_owned(), uid: NOBODY, gid: NOBODY, other: true };
        all.push(known.iter().rev().find(person).cloned().unwrap_or(nobody));
    }
    all
}

/// The users of `/etc/passwd`.
fn users(passwd: &str) -> Vec<User> {
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, ..] = fields[..] else { return None };
        Some(User { name: name.to_owned(), uid: uid.parse().ok()?, gid: gid.parse().ok()?, other: true })
    };
    passwd.lines().filter_map(parse).collect()
}
