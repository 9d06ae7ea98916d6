//! Every system call that Linux 6.18 knows, with its number on each architecture and what the filter does with it.
//!
//! Numbers come from the kernel's `arch/x86/entry/syscalls/syscall_64.tbl` and `scripts/syscall.tbl` (which aarch64
//! uses). A call that is not here is unknown to Stockade and is answered with `ENOSYS`, so that the C library falls back
//! to an older one.

mod exchange;
mod files;
mod kernel;
mod processes;

use super::architecture::Architecture;

/// One system call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) name: &'static str,
    pub(super) class: Class,
    x86_64: u32,
    aarch64: Option<u32>,
}

/// What the filter does with a call, before the plan's switches are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Passes.
    Allow,
    /// Answered with `ENOSYS` and not reported: the kernel has no such call either, or programs fall back by themselves.
    Absent,
    /// Dangerous: refused and reported.
    Forbidden,
    /// Makes or changes namespaces and mounts: refused and reported, unless programs may nest namespaces.
    Namespace,
    /// Reaches into another process: passes where only the sandbox's own processes can be named.
    Peer,
    /// Exchange by numbers or names that belong to the IPC namespace: passes where that is the sandbox's own.
    Ipc,
    /// Depends on its arguments.
    Check(ArgumentCheck),
    /// Sends a signal, or makes a handle with which one can be sent.
    Signal,
    /// Names a socket address.
    Network(NetworkUse),
    /// Opens, changes or executes files.
    File(FileUse),
}

/// Which arguments decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ArgumentCheck {
    /// `clone`: namespace flags.
    Clone,
    /// `unshare`: namespace flags.
    Unshare,
    /// `socket`: family, type and protocol.
    Socket,
    /// `socketpair`: family.
    SocketPair,
    /// `ioctl`: requests that feed or seize a terminal, or aim signals.
    Ioctl,
    /// `fcntl`: requests that aim signals.
    Fcntl,
    /// `personality`: bits that weaken.
    Personality,
    /// `prctl`: options.
    Prctl,
    /// `kill`: a process named by id.
    Kill,
    /// The first argument is a process id, 0 for the caller.
    Scheduling,
    /// `sched_setaffinity`: as [`Self::Scheduling`], and refused where the processors are the limit.
    Affinity,
    /// `setrlimit`: which limit is set.
    SetLimit,
    /// `prlimit64`: as [`Self::Scheduling`], and which limit is set.
    Limit,
    /// `setpriority`: whose priority is set.
    Priority,
    /// `ioprio_set`: whose priority is set.
    IoPriority,
}

/// How a call uses a socket address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NetworkUse {
    Connect,
    Bind,
    /// Names an address when its fifth argument is not null.
    SendTo,
    /// Asks for a socket's own address, or its peer's.
    Name,
    /// Asks where something came from when its fifth argument is not null.
    ReceiveFrom,
    /// Receives into where memory says, where a filter cannot look; it may ask where something came from.
    ReceiveMessage,
    /// Sets an option of the level that the second argument names.
    SetOption,
    /// Asks for an option of the level that the second argument names.
    GetOption,
}

/// How a call uses a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileUse {
    /// Changes a name, a content or an attribute.
    Change,
    /// Opens, with the flags in the second argument.
    Open,
    /// Opens, with the flags in the third argument.
    OpenAt,
    /// Opens, with the flags in memory, where a filter cannot look.
    OpenHow,
    /// Executes.
    Execute,
}

const TABLES: [&[Call]; 4] = [files::FILES, exchange::EXCHANGE, processes::PROCESSES, kernel::KERNEL];

/// A call of both architectures.
const fn both(name: &'static str, x86_64: u32, aarch64: u32, class: Class) -> Call {
    Call { name, class, x86_64, aarch64: Some(aarch64) }
}

/// A call that only x86-64 has.
const fn x86(name: &'static str, x86_64: u32, class: Class) -> Call {
    Call { name, class, x86_64, aarch64: None }
}

impl Call {
    /// Its number, where the architecture has it.
    pub(super) const fn number(&self, architecture: Architecture) -> Option<u32> {
        match architecture {
            Architecture::X86_64 => Some(self.x86_64),
            Architecture::Aarch64 => self.aarch64,
        }
    }
}

/// Every call, in no particular order.
pub(super) fn calls() -> impl Iterator<Item = &'static Call> {
    TABLES.into_iter().flatten()
}

/// The call with a number.
pub(super) fn by_number(architecture: Architecture, number: u32) -> Option<&'static Call> {
    calls().find(|call| call.number(architecture) == Some(number))
}
