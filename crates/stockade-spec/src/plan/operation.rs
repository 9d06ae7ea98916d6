//! The operations of which plans are made.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::gate::{GateRoutes, GateRules};
use super::landlock::LandlockRuleset;
use super::system_calls::SystemCallFilter;
use crate::os_text;
use crate::request::Upper;

/// Who carries an operation out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The supervisor, outside, before or while the command runs.
    Supervisor,
    /// The stage, inside, before the command is executed.
    Stage,
}

/// One operation. All paths are absolute. `target` paths are seen from inside, `source` paths from the host.
///
/// Operations come in an order in which a directory is mounted before what lies below it. An operation that puts something
/// at a `target` (all but [`Operation::Mask`], [`Operation::CoverFile`], [`Operation::ReadOnly`] and [`Operation::Pin`], whose target
/// exists) makes it and its parents in the new root where they are missing, with mode 755.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Operation {
    // --- carried out by the supervisor ---
    /// Bound a resource of all processes together, or of each.
    Limit {
        /// What is bounded.
        resource: Resource,
        /// Bytes, milliseconds, thousandths of a processor, or a count, as the resource has it.
        value: u64,
        /// How.
        mechanism: LimitMechanism,
    },
    /// Watch for protected files that appear in the workspace, and sweep it at the end.
    SweepProtected {
        /// The workspace.
        #[serde(with = "os_text::one")]
        workspace: PathBuf,
        /// Globs below the workspace.
        patterns: Vec<String>,
    },
    /// Make new namespaces: user, mount, process, network, IPC, host name, cgroup.
    CreateNamespaces,
    /// Make a private directory (mode 700) on the host that is removed at the end (tier `landlock`: home and temporary
    /// files). It must not exist, so that nobody else can have prepared it; its parent does.
    PrivateDirectory {
        /// The path.
        #[serde(with = "os_text::one")]
        path: PathBuf,
    },
    /// Pass on what the rules let through, and refuse the rest, while the command runs.
    Gate {
        /// What may pass.
        rules: GateRules,
    },

    // --- carried out by the stage ---
    /// End when the supervisor ends, however it ends.
    DieWithSupervisor,
    /// Become the reaper of orphaned descendants (where there is no process namespace).
    Subreaper,
    /// Map the caller's own user and group to themselves, and nothing else.
    MapIdentity {
        /// User id, inside and outside.
        uid: u32,
        /// Group id, inside and outside.
        gid: u32,
    },
    /// Bring the loopback interface up.
    LoopbackUp,
    /// Lead connections and questions for names to the gate.
    GateRoutes {
        /// What is led there.
        routes: GateRoutes,
    },
    /// Set the host name.
    HostName {
        /// The name.
        name: String,
    },
    /// Mount an empty file system in memory: the new root, and the store of every private directory.
    MountRoot {
        /// Bytes that it may hold.
        size: u64,
        /// Files that it may hold.
        inodes: u64,
    },
    /// Make a directory in the new root, with its parents.
    Directory {
        /// The path.
        #[serde(with = "os_text::one")]
        target: PathBuf,
        /// Permission bits.
        mode: u32,
    },
    /// Make a writable private directory, apart from the read-only root; its content vanishes at the end.
    PrivateStore {
        /// The path.
        #[serde(with = "os_text::one")]
        target: PathBuf,
        /// Permission bits.
        mode: u32,
    },
    /// Make a file with fixed content in the new root, or, where there is none, in a private directory of the run.
    File {
        /// The path.
        #[serde(with = "os_text::one")]
        target: PathBuf,
        /// The content.
        content: String,
        /// Permission bits.
        mode: u32,
    },
    /// Put a read-only file with fixed content in the place of a file that is already visible, and that is no symbolic
    /// link.
    CoverFile {
        /// The path.
        #[serde(with = "os_text::one")]
        target: PathBuf,
        /// The content.
        content: String,
        /// Permission bits.
        mode: u32,
    },
    /// Make a symbolic link in the new root.
    Symlink {
        /// The path.
        #[serde(with = "os_text::one")]
        target: PathBuf,
        /// The link's text.
        #[serde(with = "os_text::one")]
        text: PathBuf,
    },
    /// Show a file or directory of the host, with everything mounted below it.
    Bind {
        /// The path on the host.
        #[serde(with = "os_text::one")]
        source: PathBuf,
        /// The path inside.
        #[serde(with = "os_text::one")]
        target: PathBuf,
        /// What may be done with it.
        access: BindAccess,
    },
    /// Show a Unix socket of the host, so that it can be connected to. No symbolic link is followed on the way to it, and
    /// it is an error if anything but a socket is there: who can write the directory may have put it there.
    Socket {
        /// The path on the host.
        #[serde(with = "os_text::one")]
        source: PathBuf,
        /// The path inside.
        #[serde(with = "os_text::one")]
        target: PathBuf,
    },
    /// Show a directory of the host; writes to it are kept in memory and vanish at the end.
    CopyOnWrite {
        /// The path on the host.
        #[serde(with = "os_text::one")]
        source: PathBuf,
        /// The path inside.
        #[serde(with = "os_text::one")]
        target: PathBuf,
    },
    /// Show a directory of the host under layers that are kept on the host, where writes to it go; it is not written
    /// itself.
    Layered {
        /// The path on the host.
        #[serde(with = "os_text::one")]
        source: PathBuf,
        /// The path inside.
        #[serde(with = "os_text::one")]
        target: PathBuf,
        /// Layers between, the topmost first; they are only read.
        #[serde(with = "os_text::list")]
        sealed: Vec<PathBuf>,
        /// Where writes go; `None` holds it read-only.
        writes: Option<Upper>,
    },
    /// Hide a file (an empty, unreadable one takes its place) or a directory (likewise).
    Mask {
        /// The path inside.
        #[serde(with = "os_text::one")]
        target: PathBuf,
        /// Whether it is a directory.
        directory: bool,
    },
    /// Hold a file or directory that is already visible read-only.
    ReadOnly {
        /// The path inside.
        #[serde(with = "os_text::one")]
        target: PathBuf,
    },
    /// Make a directory that is already visible a mount point, so that it can be neither renamed nor removed.
    Pin {
        /// The path inside.
        #[serde(with = "os_text::one")]
        target: PathBuf,
    },
    /// Mount a fresh `/proc`.
    MountProc,
    /// Mount a fresh instance of `/dev/pts`, and link `/dev/ptmx` to its `ptmx`.
    MountDevPts,
    /// Mount a fresh `mqueue` at `/dev/mqueue`.
    MountMqueue,
    /// Make the new root the root, detach the old one, and hold the new one read-only.
    SwitchRoot,
    /// Close every descriptor but the ones that the command gets.
    CloseDescriptors,
    /// Drop every capability, for good.
    DropCapabilities,
    /// No program gains privileges by being executed.
    NoNewPrivileges,
    /// Install a Landlock domain.
    Landlock {
        /// What it allows.
        ruleset: LandlockRuleset,
    },
    /// Install the system-call filter.
    SystemCalls {
        /// What it allows.
        filter: SystemCallFilter,
    },
    /// Start commands whenever the supervisor asks, in place of the one command of a run, until told to end.
    ServeCommands,
}

/// What may be done with a bound file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BindAccess {
    /// Read and execute.
    ReadOnly,
    /// Read, write and execute.
    Write,
    /// A device node: read and write.
    Device,
}

/// What a limit bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    /// Bytes of memory.
    Memory,
    /// Thousandths of a processor.
    Cpu,
    /// Processes and threads.
    Processes,
    /// Open files of one process.
    Files,
    /// Bytes written to disk.
    Disk,
    /// Milliseconds of wall-clock time.
    Time,
    /// Bytes on standard output and standard error together.
    Output,
}

/// How a limit is enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LimitMechanism {
    /// A control group of version 2.
    CgroupV2,
    /// A control group of version 1.
    CgroupV1,
    /// A transient scope of the caller's systemd manager.
    SystemdScope,
    /// A resource limit of each process (`setrlimit(2)`).
    Rlimit,
    /// The set of processors that may be used (`sched_setaffinity(2)`).
    Affinity,
    /// The size of the private file system, and of any one file.
    PrivateStoreSize,
    /// The supervisor looks at intervals and ends the run.
    Sampler,
    /// The supervisor's timer.
    Timer,
    /// The supervisor passes the output on and counts.
    Relay,
}

impl Operation {
    /// Who carries it out.
    #[must_use]
    pub const fn side(&self) -> Side {
        match self {
            Self::Limit { mechanism: LimitMechanism::Rlimit | LimitMechanism::Affinity, .. } => Side::Stage,
            Self::Limit { .. }
            | Self::SweepProtected { .. }
            | Self::CreateNamespaces
            | Self::PrivateDirectory { .. }
            | Self::Gate { .. } => Side::Supervisor,
            _ => Side::Stage,
        }
    }
}
