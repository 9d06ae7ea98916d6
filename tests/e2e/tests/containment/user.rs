//! Who attacks.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The account that is made when root runs the suite and no ordinary user is there.
const NAME: &str = "tester";

/// A user.
#[derive(Clone, Debug)]
pub(crate) struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// The users that this process can run programs as.
    pub(crate) fn available() -> Vec<Self> {
        let own = Self { uid: rustix::process::getuid().as_raw(), gid: rustix::process::getgid().as_raw() };
        if !own.is_root() {
            return vec![own];
        }
        vec![own, Self::ordinary().expect("an ordinary user is there or can be made with useradd")]
    }

    fn ordinary() -> Option<Self> {
        Self::find().or_else(|| {
            let made = Command::new("useradd").args(["--create-home", NAME]).status().ok()?;
            made.success().then(Self::find)?
        })
    }

    fn find() -> Option<Self> {
        let passwd = fs::read_to_string("/etc/passwd").ok()?;
        let line = passwd.lines().find(|line| line.split(':').next() == Some(NAME))?;
        let mut fields = line.split(':').skip(2);
        Some(Self { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    }

    /// Whether it is root.
    pub(crate) fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// Whether it is who runs the tests.
    #[allow(dead_code, reason = "this file belongs to several test targets")]
    pub(crate) fn is_own(&self) -> bool {
        rustix::process::getuid().as_raw() == self.uid
    }

    /// Makes a command run as this user.
    pub(crate) fn becomes(&self, command: &mut Command) {
        if rustix::process::getuid().as_raw() != self.uid {
            command.uid(self.uid).gid(self.gid);
        }
    }

    /// Gives a file to this user.
    pub(crate) fn own(&self, path: &Path) -> io::Result<()> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
    }
}
