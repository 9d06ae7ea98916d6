//! What this machine can enforce, and what lies where on it: plain data, found by probing elsewhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::os_text;

/// The facts of one host for one caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// The caller's user id.
    pub uid: u32,
    /// The caller's group id.
    pub gid: u32,
    /// Processors that the caller may run on.
    pub cpus: u32,
    /// Physical memory in bytes.
    pub memory: u64,
    /// The kernel and what it offers.
    pub kernel: KernelFacts,
    /// Whether user namespaces can be made and used.
    pub user_namespaces: Availability,
    /// Where control groups can be made.
    pub cgroups: CgroupFacts,
    /// The paths that [`crate::compile::survey`] asked about.
    pub paths: BTreeMap<PathBuf, PathFact>,
    /// Protected files that exist in the workspace, absolute, each a file or a directory.
    #[serde(with = "os_text::list")]
    pub protected: Vec<PathBuf>,
    /// `user.name` and `user.email` of the caller's git configuration.
    pub git_identity: GitIdentity,
}

/// What the kernel offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelFacts {
    /// Release, as `uname -r` prints it.
    pub release: String,
    /// Major and minor version.
    pub version: (u32, u32),
    /// Architecture, as `uname -m` prints it.
    pub machine: String,
    /// Highest Landlock ABI; 0 where Landlock is missing or off.
    pub landlock_abi: u32,
    /// Whether seccomp filters with user notification work for an ordinary user.
    pub seccomp_notify: bool,
}

/// Whether something can be used, and if not, what stands in the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Availability {
    /// Nothing that can be seen without trying stands in the way.
    Available,
    /// It cannot be used.
    Blocked(Obstacle),
}

impl Availability {
    /// Whether it can be used.
    #[must_use]
    pub const fn is_available(&self) -> bool {
        matches!(self, Self::Available)
    }
}

/// What keeps user namespaces from working.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Obstacle {
    /// The kernel was built without them.
    NotInKernel,
    /// `user.max_user_namespaces` is 0.
    MaxUserNamespaces,
    /// Debian's `kernel.unprivileged_userns_clone` is 0.
    UnprivilegedUsernsClone,
    /// `AppArmor` confines unprivileged user namespaces (`kernel.apparmor_restrict_unprivileged_userns`).
    AppArmor,
    /// A step of making the sandbox was refused: the step and the system's error number.
    Refused {
        /// The operation that failed.
        operation: String,
        /// The error number.
        errno: i32,
    },
}

/// Where control groups can be made by the caller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupFacts {
    /// A cgroup v2 directory in which the caller may make children, with the controllers enabled for them.
    pub v2: Option<CgroupV2>,
    /// cgroup v1: by controller, a directory in which the caller may make children.
    pub v1: BTreeMap<String, PathBuf>,
    /// The socket of the caller's systemd user manager, which can make a delegated scope.
    #[serde(with = "os_text::option")]
    pub systemd_user: Option<PathBuf>,
}

/// A cgroup v2 directory that the caller may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupV2 {
    /// The directory.
    #[serde(with = "os_text::one")]
    pub path: PathBuf,
    /// Controllers that children get.
    pub controllers: Vec<String>,
}

/// What lies at a path, without following a link in its last component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathFact {
    /// Nothing.
    Missing,
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link: its text, and the path and kind that it leads to in the end.
    Symlink {
        /// The link's text.
        #[serde(with = "os_text::one")]
        text: PathBuf,
        /// The path without links that it leads to; `None` where that does not exist.
        #[serde(with = "os_text::option")]
        resolved: Option<PathBuf>,
        /// Whether that is a directory.
        directory: bool,
    },
    /// A Unix socket.
    Socket,
    /// A FIFO or device.
    Special,
    /// A file or directory that the caller's permissions let neither be read nor listed (`access(2)` with `R_OK`
    /// fails). The command has no more permissions than the caller, so nothing needs to hide it. Whoever probes may
    /// answer `File` or `Directory` instead; the plan is then longer, not weaker.
    Sealed,
}

/// The part of the caller's git configuration that is carried over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitIdentity {
    /// `user.name`.
    pub name: Option<String>,
    /// `user.email`.
    pub email: Option<String>,
}

impl HostFacts {
    /// What lies at `path`; a path that was not surveyed counts as missing.
    #[must_use]
    pub fn at(&self, path: &Path) -> &PathFact {
        self.paths.get(path).unwrap_or(&PathFact::Missing)
    }

    /// Whether the kernel is at least `major.minor`.
    #[must_use]
    pub fn kernel_at_least(&self, major: u32, minor: u32) -> bool {
        self.kernel.version >= (major, minor)
    }
}
