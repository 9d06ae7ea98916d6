//! What a notified system call is, for whoever answers the notification.

use super::architecture::{Architecture, X32_BIT};
use super::checks;
use super::table::{self, ArgumentCheck, Class, FileUse, NetworkUse};

/// A system call in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// The kernel's name, or the name of the foreign entry.
    pub name: &'static str,
    /// What it does, and therefore who decides.
    pub kind: Kind,
}

/// What a notified call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// It is refused whatever the circumstances; a call that depends on its arguments is notified only when they are the
    /// refused ones. Answer with [`refusal`].
    Forbidden,
    /// The call came through the entry of another architecture (i386, x32, 32-bit Arm): refused, and its number means
    /// something else. Answer with [`refusal`].
    ForeignArchitecture,
    /// `socket` or `socketpair` with a refused family, type or protocol: `args[0..3]`. Answer with [`refusal`].
    Socket,
    /// `connect(fd, address, length)`.
    Connect,
    /// `bind(fd, address, length)`.
    Bind,
    /// `sendto(fd, data, length, flags, address, address_length)` with an address that is not null.
    SendTo,
    /// `getsockname` or `getpeername(fd, address, length)`, where sockets are stood in for.
    SocketName,
    /// `getsockopt(fd, level, option, value, length)` of an Internet protocol or for the socket's kind, where sockets are stood in
    /// for.
    SocketOption,
    /// `recvfrom(fd, data, length, flags, address, address_length)` with an address that is not null, where sockets are stood
    /// in for.
    ReceiveFrom,
    /// `recvmsg(fd, message, flags)`, where sockets are stood in for.
    ReceiveMessage,
    /// Acts on the process or thread whose id is `args[0]` (`pidfd_send_signal`: whose pidfd): signals, handles for
    /// them, and limits or scheduling of another process.
    Signal,
    /// `open`, `openat` or `openat2`. The flags are the argument after the path; those of `openat2` are in memory.
    FileOpen,
    /// Changes a name, a content or an attribute of files that it names by path or (`f…` forms) by descriptor.
    FileChange,
    /// `execve` or `execveat`.
    Execute,
    /// Passes by itself, or is unknown to the table: no filter of this module notifies it.
    Other,
}

/// What the call with a number does, from the `arch` and `nr` of a notification.
#[must_use]
pub fn meaning(arch: u32, number: i32) -> Meaning {
    let number = number.cast_unsigned();
    let Some(architecture) = Architecture::from_audit(arch) else {
        return Meaning { name: "32-bit system call", kind: Kind::ForeignArchitecture };
    };
    if architecture == Architecture::X86_64 && number & X32_BIT != 0 {
        return Meaning { name: "x32 system call", kind: Kind::ForeignArchitecture };
    }
    match table::by_number(architecture, number) {
        Some(call) => Meaning { name: call.name, kind: kind(call.class) },
        None => Meaning { name: "unknown system call", kind: Kind::Other },
    }
}

/// The family and type of an Internet socket that a refused call asked for: whether it is IPv6, and whether it is TCP, not UDP.
/// None of other sockets and of other calls.
#[must_use]
pub fn internet_socket(arch: u32, number: i32, arguments: &[u64; 6]) -> Option<(bool, bool)> {
    let meaning = meaning(arch, number);
    (meaning.kind == Kind::Socket && meaning.name == "socket").then(|| checks::internet_socket(arguments))?
}

/// The error number with which a refused call is answered.
#[must_use]
pub fn refusal(arch: u32, number: i32, arguments: &[u64; 6]) -> i32 {
    let Some(call) = Architecture::from_audit(arch)
        .filter(|_| meaning(arch, number).kind != Kind::ForeignArchitecture)
        .and_then(|architecture| table::by_number(architecture, number.cast_unsigned()))
    else {
        return libc::ENOSYS;
    };
    match call.class {
        Class::Absent => libc::ENOSYS,
        Class::Network(_) | Class::File(_) => libc::EACCES,
        Class::Check(ArgumentCheck::Socket) => checks::socket_refusal(arguments),
        Class::Check(ArgumentCheck::SocketPair) => checks::socket_pair_refusal(arguments),
        _ => libc::EPERM,
    }
}

const fn kind(class: Class) -> Kind {
    match class {
        Class::Allow | Class::Absent => Kind::Other,
        Class::Check(ArgumentCheck::Socket | ArgumentCheck::SocketPair) => Kind::Socket,
        Class::Signal
        | Class::Check(
            ArgumentCheck::Kill | ArgumentCheck::Scheduling | ArgumentCheck::Affinity | ArgumentCheck::Limit,
        ) => Kind::Signal,
        Class::Forbidden | Class::Namespace | Class::Peer | Class::Ipc | Class::Check(_) => Kind::Forbidden,
        Class::Network(NetworkUse::Connect) => Kind::Connect,
        Class::Network(NetworkUse::Bind) => Kind::Bind,
        Class::Network(NetworkUse::SendTo) => Kind::SendTo,
        Class::Network(NetworkUse::Name) => Kind::SocketName,
        Class::Network(NetworkUse::ReceiveFrom) => Kind::ReceiveFrom,
        Class::Network(NetworkUse::ReceiveMessage) => Kind::ReceiveMessage,
        Class::Network(NetworkUse::GetOption) => Kind::SocketOption,
        // What is done with these depends on the arguments only, and nobody is asked.
        Class::Network(NetworkUse::SetOption) => Kind::Other,
        Class::File(FileUse::Change) => Kind::FileChange,
        Class::File(FileUse::Open | FileUse::OpenAt | FileUse::OpenHow) => Kind::FileOpen,
        Class::File(FileUse::Execute) => Kind::Execute,
    }
}
