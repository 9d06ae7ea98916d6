//! From the plan's switches and the table to a program for one architecture.

use libc::sock_filter;
use stockade_spec::plan::{NetworkFilter, SystemCallFilter};

use super::architecture::{Architecture, X32_BIT};
use super::block::{ARCHITECTURE, Block, NUMBER, Test, branch, load};
use super::checks::{self, Verdicts};
use super::table::{self, ArgumentCheck, Class, FileUse, NetworkUse};

/// The number that a debugger sets to skip a call. The kernel runs nothing for it.
const SKIPPED: u32 = u32::MAX;
/// `PRIO_PROCESS` of `setpriority` (`include/uapi/linux/resource.h`).
const PRIORITY_OF_PROCESS: u32 = 0;
/// `IOPRIO_WHO_PROCESS` of `ioprio_set` (`include/uapi/linux/ioprio.h`).
const IO_PRIORITY_OF_PROCESS: u32 = 1;

/// The BPF program for `seccomp(2)` that carries a filter out on one architecture.
///
/// It is installed with a listener exactly where `notify` is set; otherwise it asks nothing, and what the supervisor
/// would have decided is refused: every signal where signals are to be decided, every file operation that is observed,
/// every connection to a Unix socket where there is no network namespace.
///
/// Allowed calls depend on nothing but their number, so the kernel answers them from a bitmap (since 5.11) and runs the
/// program only for the others.
///
/// Without a network namespace, or with signals to decide, a run has no namespaces of its own. Then calls that reach
/// into other processes, and exchange by System V or POSIX names, are refused as well: they would meet the host's.
#[must_use]
pub fn program(architecture: Architecture, filter: &SystemCallFilter) -> Vec<sock_filter> {
    let verdicts = Verdicts { notify: filter.notify };
    let foreign = verdicts.refuse(libc::ENOSYS);
    let mut body = tree(&ranges(architecture, filter));
    if architecture == Architecture::X86_64 {
        let high = branch(Test::Equal(SKIPPED), Verdicts::allow(), foreign.clone());
        body = branch(Test::AnyOf(X32_BIT), high, body);
    }
    load(ARCHITECTURE, branch(Test::Equal(architecture.audit()), load(NUMBER, body), foreign))
}

/// What happens from each number on, up to the next one; the first starts at 0.
///
/// This runs before every command, so blocks are made only where the class changes from one number to the next.
fn ranges(architecture: Architecture, filter: &SystemCallFilter) -> Vec<(u32, Block)> {
    let mut ranges: Vec<(u32, Block)> = Vec::new();
    let mut last = None;
    for (start, class) in classes(architecture) {
        if last.replace(class) == Some(class) {
            continue;
        }
        let block = block(class, filter);
        if !ranges.last().is_some_and(|(_, last)| same(last, &block)) {
            ranges.push((start, block));
        }
    }
    ranges
}

/// The class of every number: each counts up to the next one.
fn classes(architecture: Architecture) -> Vec<(u32, Class)> {
    let mut known: Vec<(u32, Class)> =
        table::calls().filter_map(|call| Some((call.number(architecture)?, call.class))).collect();
    known.sort_by_key(|(number, _)| *number);
    let mut classes = Vec::with_capacity(known.len() + 32);
    let mut next = 0;
    for (number, class) in known {
        if number > next {
            classes.push((next, Class::Absent));
        }
        classes.push((number, class));
        next = number + 1;
    }
    classes.push((next, Class::Absent));
    classes.push((SKIPPED, Class::Allow));
    classes
}

/// A binary search over ranges for the number in the accumulator.
fn tree(ranges: &[(u32, Block)]) -> Block {
    match ranges {
        [] => Verdicts::fail(libc::ENOSYS),
        [(_, block)] => block.clone(),
        _ => {
            let (below, above) = ranges.split_at(ranges.len() / 2);
            branch(Test::AtLeast(above[0].0), tree(above), tree(below))
        }
    }
}

fn same(one: &[sock_filter], other: &[sock_filter]) -> bool {
    let equal = |(a, b): (&sock_filter, &sock_filter)| (a.code, a.jt, a.jf, a.k) == (b.code, b.jt, b.jf, b.k);
    one.len() == other.len() && one.iter().zip(other).all(equal)
}

fn block(class: Class, filter: &SystemCallFilter) -> Block {
    let verdicts = Verdicts { notify: filter.notify };
    let allow_if = |condition: bool| if condition { Verdicts::allow() } else { verdicts.refuse(libc::EPERM) };
    match class {
        Class::Allow => Verdicts::allow(),
        Class::Absent => Verdicts::fail(libc::ENOSYS),
        Class::Forbidden => verdicts.refuse(libc::EPERM),
        Class::Namespace => allow_if(filter.nested_namespaces),
        Class::Peer | Class::Ipc => allow_if(!is_shared(filter)),
        Class::Check(check) => argument_block(check, filter, verdicts),
        Class::Signal => allow_if(!filter.decide_signals),
        Class::Network(usage) => network_block(usage, filter, verdicts),
        Class::File(usage) => file_block(usage, filter, verdicts),
    }
}

fn argument_block(check: ArgumentCheck, filter: &SystemCallFilter, verdicts: Verdicts) -> Block {
    let shared = is_shared(filter);
    match check {
        ArgumentCheck::Clone | ArgumentCheck::Unshare if filter.nested_namespaces => Verdicts::allow(),
        ArgumentCheck::Clone => checks::clone(verdicts),
        ArgumentCheck::Unshare => checks::unshare(verdicts),
        ArgumentCheck::Socket => {
            let network = network_sockets(filter, verdicts);
            // `getaddrinfo(3)` asks for it, and does without: where that is for reaching the gate, it is no news.
            let has_stand_ins = filter.network == NetworkFilter::StandIns;
            let routing = if has_stand_ins { Verdicts::fail(libc::EACCES) } else { network.clone() };
            checks::socket(verdicts, unix_sockets(filter, verdicts), &network, routing)
        }
        ArgumentCheck::SocketPair => checks::socket_pair(verdicts, unix_sockets(filter, verdicts)),
        ArgumentCheck::Ioctl => checks::ioctl(verdicts, shared),
        ArgumentCheck::Personality => checks::personality(verdicts),
        ArgumentCheck::Prctl => checks::prctl(verdicts),
        ArgumentCheck::Kill if filter.decide_signals => verdicts.refuse(libc::EPERM),
        ArgumentCheck::Kill if filter.notify => checks::kill_one(verdicts),
        ArgumentCheck::Fcntl if shared => checks::fcntl_owner(verdicts),
        ArgumentCheck::Affinity if filter.keep_processors => verdicts.refuse(libc::EPERM),
        ArgumentCheck::SetLimit => checks::set_limit(),
        ArgumentCheck::Limit if shared => checks::ask_unless_own_limit(verdicts),
        ArgumentCheck::Limit => checks::limit(),
        ArgumentCheck::Scheduling | ArgumentCheck::Affinity if shared => checks::ask_unless_self(verdicts),
        ArgumentCheck::Priority if shared => checks::own_priority(verdicts, PRIORITY_OF_PROCESS),
        ArgumentCheck::IoPriority if shared => checks::own_priority(verdicts, IO_PRIORITY_OF_PROCESS),
        ArgumentCheck::Kill
        | ArgumentCheck::Fcntl
        | ArgumentCheck::Scheduling
        | ArgumentCheck::Affinity
        | ArgumentCheck::Priority
        | ArgumentCheck::IoPriority => Verdicts::allow(),
    }
}

/// Whether the run shares processes and IPC with the host.
fn is_shared(filter: &SystemCallFilter) -> bool {
    filter.decide_signals || filter.network.is_shared()
}

/// Where the host's sockets are near, only sockets that cannot be aimed by `sendmsg`. That call itself is never put to the
/// supervisor: the stage hands the listener over with it, when nobody listens yet.
fn unix_sockets(filter: &SystemCallFilter, verdicts: Verdicts) -> Block {
    if filter.network.is_shared() { checks::connected_unix(verdicts) } else { Verdicts::allow() }
}

/// Where they are stood in for, it is the supervisor that answers with another socket; the kernel never makes one of these.
fn network_sockets(filter: &SystemCallFilter, verdicts: Verdicts) -> Block {
    if filter.network.is_shared() { verdicts.refuse(libc::EACCES) } else { Verdicts::allow() }
}

/// In a private network questions serve reports only; without one they decide. Making a Unix socket's name (`bind`)
/// is left to the file rules where nobody listens.
fn network_block(usage: NetworkUse, filter: &SystemCallFilter, verdicts: Verdicts) -> Block {
    let shared = filter.network.is_shared();
    let has_stand_ins = filter.network == NetworkFilter::StandIns;
    let refused = verdicts.refuse(libc::EACCES);
    match usage {
        NetworkUse::Connect if shared || filter.notify => refused,
        NetworkUse::Bind if filter.notify => refused,
        NetworkUse::SendTo if shared || filter.notify => checks::ask_with_address(verdicts),
        NetworkUse::Name | NetworkUse::ReceiveMessage if has_stand_ins => refused,
        NetworkUse::ReceiveFrom if has_stand_ins => checks::ask_with_address(verdicts),
        NetworkUse::SetOption if has_stand_ins => checks::ignore_internet_options(),
        NetworkUse::GetOption if has_stand_ins => checks::ask_internet_options(verdicts),
        _ => Verdicts::allow(),
    }
}

fn file_block(usage: FileUse, filter: &SystemCallFilter, verdicts: Verdicts) -> Block {
    let reads = filter.files.trace_reads || !filter.files.deny.is_empty();
    let changes = filter.files.trace_writes || filter.files.decides();
    let ask_if = |condition: bool| if condition { verdicts.refuse(libc::EACCES) } else { Verdicts::allow() };
    match usage {
        FileUse::Change => ask_if(changes),
        FileUse::Open if changes && !reads => checks::ask_when_writing(verdicts, 1),
        FileUse::OpenAt if changes && !reads => checks::ask_when_writing(verdicts, 2),
        FileUse::Open | FileUse::OpenAt | FileUse::Execute => ask_if(reads),
        FileUse::OpenHow => ask_if(reads || changes),
    }
}
