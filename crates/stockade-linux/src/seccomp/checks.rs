//! Argument checks: blocks that look at a call's arguments and end in a verdict.

use super::block::{Block, Test, branch, branch_any, keep, load_high, load_low, verdict};

/// How refused calls end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verdicts {
    /// Whether a supervisor listens.
    pub(super) notify: bool,
}

impl Verdicts {
    /// The call passes.
    pub(super) fn allow() -> Block {
        verdict(libc::SECCOMP_RET_ALLOW)
    }

    /// The call fails and nobody is told.
    pub(super) fn fail(errno: i32) -> Block {
        verdict(libc::SECCOMP_RET_ERRNO | errno.unsigned_abs() & libc::SECCOMP_RET_DATA)
    }

    /// The supervisor answers; where nobody listens the call fails.
    pub(super) fn refuse(self, errno: i32) -> Block {
        if self.notify { verdict(libc::SECCOMP_RET_USER_NOTIF) } else { Self::fail(errno) }
    }
}

// `include/uapi/linux/sched.h`. `clone` has no flag for time namespaces: its bit belongs to the signal number there.
const CLONE_NAMESPACES: u32 = 0x7e02_0000;
const UNSHARE_NAMESPACES: u32 = CLONE_NAMESPACES | 0x80;

/// Namespace flags in the first argument are refused. (Both architectures have the flags there.)
pub(super) fn clone(verdicts: Verdicts) -> Block {
    load_low(0, branch(Test::AnyOf(CLONE_NAMESPACES), verdicts.refuse(libc::EPERM), Verdicts::allow()))
}

/// Namespace flags in the first argument are refused.
pub(super) fn unshare(verdicts: Verdicts) -> Block {
    load_low(0, branch(Test::AnyOf(UNSHARE_NAMESPACES), verdicts.refuse(libc::EPERM), Verdicts::allow()))
}

// `include/linux/socket.h`, `include/uapi/linux/in.h`, `include/linux/net.h`.
const UNIX: u32 = 1;
const INET: u32 = 2;
const INET6: u32 = 10;
const NETLINK: u32 = 16;
const NETLINK_ROUTE: u32 = 0;
const TYPE_MASK: u32 = 0xf;
const STREAM: u32 = 1;
const DATAGRAM: u32 = 2;
/// `SOCK_STREAM` and `SOCK_SEQPACKET`.
const CONNECTED_TYPES: [u32; 2] = [STREAM, 5];
/// Any (0) and TCP.
const STREAM_PROTOCOLS: [u32; 2] = [0, 6];
/// Any (0) and UDP.
const DATAGRAM_PROTOCOLS: [u32; 2] = [0, 17];
/// Echo requests by ICMP and ICMPv6. A new network namespace lets nobody send them (`ping_group_range`, `icmp(7)`), without
/// a word to the supervisor; so they are refused here, with the kernel's error, for the sake of a record.
const ECHO_PROTOCOLS: [u32; 2] = [1, 58];
const MPTCP: u32 = 262;

/// Unix sockets end in `unix`; TCP and UDP sockets end in `network`, those of routing netlink in `routing`; everything else is
/// refused.
///
/// Multipath TCP is refused without a report: Go asks for it first and then takes TCP.
pub(super) fn socket(verdicts: Verdicts, unix: Block, network: &Block, routing: Block) -> Block {
    let protocol = verdicts.refuse(libc::EPROTONOSUPPORT);
    let multipath = branch(Test::Equal(MPTCP), Verdicts::fail(libc::EPROTONOSUPPORT), protocol.clone());
    let stream = load_low(2, branch_any(&STREAM_PROTOCOLS, network, multipath));
    let echo = branch_any(&ECHO_PROTOCOLS, &verdicts.refuse(libc::EACCES), protocol);
    let datagram = load_low(2, branch_any(&DATAGRAM_PROTOCOLS, network, echo));
    let other_type = branch(Test::Equal(DATAGRAM), datagram, verdicts.refuse(libc::EPERM));
    let inet = load_low(1, keep(TYPE_MASK, branch(Test::Equal(STREAM), stream, other_type)));
    let family = verdicts.refuse(libc::EAFNOSUPPORT);
    let netlink = load_low(2, branch(Test::Equal(NETLINK_ROUTE), routing, family.clone()));
    let other = branch_any(&[INET, INET6], &inet, branch(Test::Equal(NETLINK), netlink, family));
    load_low(0, branch(Test::Equal(UNIX), unix, other))
}

/// The error number of a refused `socket` call; the same decision as [`socket`], for the supervisor.
pub(super) fn socket_refusal(arguments: &[u64; 6]) -> i32 {
    let [family, kind, protocol] = [low(arguments[0]), low(arguments[1]) & TYPE_MASK, low(arguments[2])];
    match (family, kind) {
        (INET | INET6, STREAM) if STREAM_PROTOCOLS.contains(&protocol) => libc::EACCES,
        (INET | INET6, DATAGRAM) if DATAGRAM_PROTOCOLS.contains(&protocol) => libc::EACCES,
        (INET | INET6, DATAGRAM) if ECHO_PROTOCOLS.contains(&protocol) => libc::EACCES,
        (INET | INET6, STREAM | DATAGRAM) => libc::EPROTONOSUPPORT,
        (INET | INET6, _) => libc::EPERM,
        (NETLINK, _) if protocol == NETLINK_ROUTE => libc::EACCES,
        // Of a type that is not for this tier; see `connected_unix`.
        (UNIX, _) => libc::EACCES,
        _ => libc::EAFNOSUPPORT,
    }
}

/// Pairs of Unix sockets end in `unix`; others are refused.
pub(super) fn socket_pair(verdicts: Verdicts, unix: Block) -> Block {
    load_low(0, branch(Test::Equal(UNIX), unix, verdicts.refuse(libc::EAFNOSUPPORT)))
}

/// The error number of a refused `socketpair` call.
pub(super) const fn socket_pair_refusal(arguments: &[u64; 6]) -> i32 {
    if low(arguments[0]) == UNIX { libc::EACCES } else { libc::EAFNOSUPPORT }
}

/// Unix sockets of the types that send only to the peer with which they are connected.
///
/// A datagram socket can be sent to any address by `sendmsg`, where a filter cannot look.
pub(super) fn connected_unix(verdicts: Verdicts) -> Block {
    let connected = branch_any(&CONNECTED_TYPES, &Verdicts::allow(), verdicts.refuse(libc::EACCES));
    load_low(1, keep(TYPE_MASK, connected))
}

// `include/linux/socket.h`: the levels of IP, TCP, UDP and IPv6.
const INTERNET_LEVELS: [u32; 4] = [0, 6, 17, 41];

// `include/uapi/linux/tcp.h`: `TCP_ULP`.
const TCP: u32 = 6;
const UPPER_LAYER: u32 = 31;

/// Options of Internet protocols are taken without effect, because the socket has none of these protocols; programs that set
/// them do so to go faster, and many give up where that fails. Having the kernel encrypt (`TCP_ULP`) is no such option: it is
/// left to the kernel, which refuses it here.
pub(super) fn ignore_internet_options() -> Block {
    let taken = Verdicts::fail(0);
    let of_tcp = load_low(2, branch(Test::Equal(UPPER_LAYER), Verdicts::allow(), taken.clone()));
    let other = branch_any(&INTERNET_LEVELS, &taken, Verdicts::allow());
    load_low(1, branch(Test::Equal(TCP), of_tcp, other))
}

// `include/uapi/asm-generic/socket.h`: `SOL_SOCKET`, and there `SO_TYPE`, `SO_PROTOCOL` and `SO_DOMAIN`.
const SOCKET_LEVEL: u32 = 1;
const KIND_OPTIONS: [u32; 3] = [3, 38, 39];

/// The supervisor is asked about options of Internet protocols, and about what kind of socket it is.
pub(super) fn ask_internet_options(verdicts: Verdicts) -> Block {
    let asked = verdicts.refuse(libc::EACCES);
    let kind = load_low(2, branch_any(&KIND_OPTIONS, &asked, Verdicts::allow()));
    load_low(1, branch_any(&INTERNET_LEVELS, &asked, branch(Test::Equal(SOCKET_LEVEL), kind, Verdicts::allow())))
}

/// Whether a socket that was refused for its family is one of TCP or UDP, by the arguments of `socket`.
pub(super) fn internet_socket(arguments: &[u64; 6]) -> Option<(bool, bool)> {
    let [family, kind, protocol] = [low(arguments[0]), low(arguments[1]) & TYPE_MASK, low(arguments[2])];
    match (family, kind) {
        (INET | INET6, STREAM) if STREAM_PROTOCOLS.contains(&protocol) => Some((family == INET6, true)),
        (INET | INET6, DATAGRAM) if [0, 17].contains(&protocol) => Some((family == INET6, false)),
        _ => None,
    }
}

// `include/uapi/asm-generic/ioctls.h` and `sockios.h`, the same on both architectures.
/// Feeds a terminal's input, pastes a console's selection, seizes the console's output, changes a line's discipline.
const TERMINAL_REQUESTS: [u32; 4] = [0x5412, 0x541c, 0x541d, 0x5423];
/// `FIOSETOWN` and `SIOCSPGRP`: who gets a descriptor's signals.
const OWNER_REQUESTS: [u32; 2] = [0x8901, 0x8902];

/// Requests that take a terminal over are refused; those that aim signals too, when `aim` says so.
pub(super) fn ioctl(verdicts: Verdicts, aim: bool) -> Block {
    let refused = verdicts.refuse(libc::EPERM);
    let owner: &[u32] = if aim { &OWNER_REQUESTS } else { &[] };
    load_low(1, branch_any(&TERMINAL_REQUESTS, &refused, branch_any(owner, &refused, Verdicts::allow())))
}

// `include/uapi/asm-generic/fcntl.h`: `F_SETOWN` and `F_SETOWN_EX`.
const OWNER_COMMANDS: [u32; 2] = [8, 15];

/// Commands that aim signals at any process are refused.
pub(super) fn fcntl_owner(verdicts: Verdicts) -> Block {
    load_low(1, branch_any(&OWNER_COMMANDS, &verdicts.refuse(libc::EPERM), Verdicts::allow()))
}

// `include/uapi/linux/personality.h`: Linux with 32-bit or 64-bit `uname`, `UNAME26`, and `ADDR_NO_RANDOMIZE`, which
// debuggers set. What makes memory executable or maps address zero is not among them.
const HARMLESS_PERSONALITY: u32 = 0x0008 | 0x0002_0000 | 0x0004_0000;
const ASK_PERSONALITY: u32 = 0xffff_ffff;

/// Asking passes, and setting bits that weaken nothing.
pub(super) fn personality(verdicts: Verdicts) -> Block {
    let weakens = branch(Test::AnyOf(!HARMLESS_PERSONALITY), verdicts.refuse(libc::EPERM), Verdicts::allow());
    load_low(0, branch(Test::Equal(ASK_PERSONALITY), Verdicts::allow(), weakens))
}

// `include/uapi/linux/prctl.h`.
/// `PR_SET_SECUREBITS`, `PR_SET_MM`, `PR_SET_IO_FLUSHER`: all want capabilities, and forge what `/proc` says or
/// reach the kernel's reserves.
const REFUSED_OPTIONS: [u32; 3] = [28, 35, 57];
/// `PR_FUTEX_HASH`, the last of Linux 6.18.
const LAST_OPTION: u32 = 78;
/// `PR_SET_VMA`, `PR_SET_PTRACER`, `PR_GET_AUXV`, whose numbers are words.
const WORD_OPTIONS: [u32; 3] = [0x5356_4d41, 0x5961_6d61, 0x4155_5856];

/// Known options pass but for a few; unknown ones do not exist.
pub(super) fn prctl(verdicts: Verdicts) -> Block {
    let known = branch_any(&REFUSED_OPTIONS, &verdicts.refuse(libc::EPERM), Verdicts::allow());
    let words = branch_any(&WORD_OPTIONS, &Verdicts::allow(), Verdicts::fail(libc::EINVAL));
    load_low(0, branch(Test::Above(LAST_OPTION), words, known))
}

/// The supervisor is asked about signals to one process; those to groups pass.
pub(super) fn kill_one(verdicts: Verdicts) -> Block {
    let one = branch(Test::AnyOf(0x8000_0000), Verdicts::allow(), verdicts.refuse(libc::EPERM));
    load_low(0, branch(Test::Equal(0), Verdicts::allow(), one))
}

/// The supervisor is asked unless the first argument is 0, the caller itself.
pub(super) fn ask_unless_self(verdicts: Verdicts) -> Block {
    load_low(0, branch(Test::Equal(0), Verdicts::allow(), verdicts.refuse(libc::EPERM)))
}

// `include/uapi/asm-generic/resource.h`.
const CORE_LIMIT: u32 = 4;

/// Setting the size of core dumps is taken without effect: the stage has set the one size with which nothing is dumped, and with a
/// smaller one a program of the host would be (`rlimits::no_core_dumps`). Programs that keep secrets set it to 0, and give up where
/// that fails.
pub(super) fn set_limit() -> Block {
    load_low(0, branch(Test::Equal(CORE_LIMIT), Verdicts::fail(0), Verdicts::allow()))
}

/// As [`set_limit`], where the third argument is the new limit; asking for one passes. Who sets it and asks for the old one, which
/// nobody would write, is refused.
pub(super) fn limit() -> Block {
    let set = if_null(3, Verdicts::fail(0), Verdicts::fail(libc::EPERM));
    load_low(1, branch(Test::Equal(CORE_LIMIT), if_null(2, Verdicts::allow(), set), Verdicts::allow()))
}

/// Whether an argument is a null pointer.
fn if_null(argument: u32, null: Block, other: Block) -> Block {
    let low = load_low(argument, branch(Test::Equal(0), null, other.clone()));
    load_high(argument, branch(Test::Equal(0), low, other))
}

/// As [`limit`]; the supervisor is asked unless the first argument is 0, the caller itself.
pub(super) fn ask_unless_own_limit(verdicts: Verdicts) -> Block {
    load_low(0, branch(Test::Equal(0), limit(), verdicts.refuse(libc::EPERM)))
}

/// Passes only for the caller itself: the given kind of target with id 0.
pub(super) fn own_priority(verdicts: Verdicts, kind: u32) -> Block {
    let refused = verdicts.refuse(libc::EPERM);
    let own = load_low(1, branch(Test::Equal(0), Verdicts::allow(), refused.clone()));
    load_low(0, branch(Test::Equal(kind), own, refused))
}

/// The supervisor is asked when the fifth argument, an address, is not null.
pub(super) fn ask_with_address(verdicts: Verdicts) -> Block {
    let refused = verdicts.refuse(libc::EACCES);
    let low = load_low(4, branch(Test::Equal(0), Verdicts::allow(), refused.clone()));
    load_high(4, branch(Test::Equal(0), low, refused))
}

// `include/uapi/asm-generic/fcntl.h`: `O_WRONLY`, `O_RDWR`, `O_CREAT`, `O_TRUNC`. `O_TMPFILE` needs one of the first two.
const CHANGING_FLAGS: u32 = 0x3 | 0o100 | 0o1000;

/// The supervisor is asked about flags that can change a file.
pub(super) fn ask_when_writing(verdicts: Verdicts, argument: u32) -> Block {
    load_low(argument, branch(Test::AnyOf(CHANGING_FLAGS), verdicts.refuse(libc::EACCES), Verdicts::allow()))
}

#[expect(clippy::cast_possible_truncation, reason = "the kernel reads only the low half of these arguments")]
const fn low(argument: u64) -> u32 {
    argument as u32
}
