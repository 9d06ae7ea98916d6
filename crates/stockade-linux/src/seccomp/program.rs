//! From the plan's switches and the table to a program for one architecture.

use std::collections::BTreeMap;

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

/// Whether the filter asks somebody: the program is then installed with a listener, which must be served.
#[must_use]
pub const fn needs_listener(filter: &SystemCallFilter) -> bool {
    filter.notify
        || filter.decide_signals
        || !filter.files.is_off()
        || matches!(filter.network, NetworkFilter::UnixOnly)
}

/// The BPF program for `seccomp(2)` that carries a filter out on one architecture.
///
/// Allowed calls depend on nothing but their number, so the kernel answers them from a bitmap (since 5.11) and runs the
/// program only for the others. Questions (decisions about signals, files or Unix sockets) are asked even where
/// `notify` is off; without a listener they fail with `ENOSYS`, which is closed, not open.
///
/// `decide_signals` says that the run has no namespaces of its own. Then calls that reach into other processes, and
/// exchange by System V or POSIX names, are refused as well: they would meet the host's.
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
fn ranges(architecture: Architecture, filter: &SystemCallFilter) -> Vec<(u32, Block)> {
    let mut starts: BTreeMap<u32, Block> = BTreeMap::from([(0, Verdicts::fail(libc::ENOSYS))]);
    let numbered = table::calls().filter_map(|call| Some((call.number(architecture)?, call.class)));
    let blocks: BTreeMap<u32, Block> = numbered.map(|(number, class)| (number, block(class, filter))).collect();
    for number in blocks.keys().filter(|number| !blocks.contains_key(&(*number + 1))) {
        starts.insert(number + 1, Verdicts::fail(libc::ENOSYS));
    }
    starts.extend(blocks);
    starts.insert(SKIPPED, Verdicts::allow());
    let mut ranges: Vec<(u32, Block)> = Vec::with_capacity(starts.len());
    for (start, block) in starts {
        if !ranges.last().is_some_and(|(_, last)| same(last, &block)) {
            ranges.push((start, block));
        }
    }
    ranges
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
    let fields = |block: &[sock_filter]| block.iter().map(|i| (i.code, i.jt, i.jf, i.k)).collect::<Vec<_>>();
    one.len() == other.len() && fields(one) == fields(other)
}

fn block(class: Class, filter: &SystemCallFilter) -> Block {
    let verdicts = Verdicts { notify: filter.notify };
    let allow_if = |condition: bool| if condition { Verdicts::allow() } else { verdicts.refuse(libc::EPERM) };
    match class {
        Class::Allow => Verdicts::allow(),
        Class::Absent => Verdicts::fail(libc::ENOSYS),
        Class::Forbidden => verdicts.refuse(libc::EPERM),
        Class::Namespace => allow_if(filter.nested_namespaces),
        Class::Peer | Class::Ipc => allow_if(!filter.decide_signals),
        Class::Check(check) => argument_block(check, filter, verdicts),
        Class::Signal => ask_if(filter.decide_signals),
        Class::Network(usage) => network_block(usage, filter),
        Class::File(usage) => file_block(usage, filter),
    }
}

fn argument_block(check: ArgumentCheck, filter: &SystemCallFilter, verdicts: Verdicts) -> Block {
    let shared = filter.decide_signals;
    match check {
        ArgumentCheck::Clone | ArgumentCheck::Unshare if filter.nested_namespaces => Verdicts::allow(),
        ArgumentCheck::Clone => checks::clone(verdicts),
        ArgumentCheck::Unshare => checks::unshare(verdicts),
        ArgumentCheck::Socket => match filter.network {
            NetworkFilter::Private => checks::socket(verdicts, &Verdicts::allow()),
            NetworkFilter::UnixOnly => checks::socket(verdicts, &verdicts.refuse(libc::EACCES)),
        },
        ArgumentCheck::SocketPair => checks::socket_pair(verdicts),
        ArgumentCheck::Ioctl => checks::ioctl(verdicts, shared),
        ArgumentCheck::Personality => checks::personality(verdicts),
        ArgumentCheck::Prctl => checks::prctl(verdicts),
        ArgumentCheck::Kill if shared => Verdicts::ask(),
        ArgumentCheck::Kill if filter.notify => checks::kill_one(),
        ArgumentCheck::Fcntl if shared => checks::fcntl_owner(verdicts),
        ArgumentCheck::Scheduling if shared => checks::ask_unless_self(),
        ArgumentCheck::Priority if shared => checks::own_priority(verdicts, PRIORITY_OF_PROCESS),
        ArgumentCheck::IoPriority if shared => checks::own_priority(verdicts, IO_PRIORITY_OF_PROCESS),
        ArgumentCheck::Kill
        | ArgumentCheck::Fcntl
        | ArgumentCheck::Scheduling
        | ArgumentCheck::Priority
        | ArgumentCheck::IoPriority => Verdicts::allow(),
    }
}

fn network_block(usage: NetworkUse, filter: &SystemCallFilter) -> Block {
    let unix_only = filter.network == NetworkFilter::UnixOnly;
    let asks = unix_only || filter.notify;
    match usage {
        NetworkUse::Connect | NetworkUse::Bind => ask_if(asks),
        NetworkUse::SendTo if asks => checks::ask_with_address(),
        NetworkUse::SendTo => Verdicts::allow(),
        NetworkUse::SendMessage => ask_if(unix_only),
    }
}

fn file_block(usage: FileUse, filter: &SystemCallFilter) -> Block {
    let reads = filter.files.trace_reads || !filter.files.deny.is_empty();
    let changes = filter.files.trace_writes || filter.files.decides();
    match usage {
        FileUse::Change => ask_if(changes),
        FileUse::Open if changes && !reads => checks::ask_when_writing(1),
        FileUse::OpenAt if changes && !reads => checks::ask_when_writing(2),
        FileUse::Open | FileUse::OpenAt | FileUse::Execute => ask_if(reads),
        FileUse::OpenHow => ask_if(reads || changes),
    }
}

fn ask_if(condition: bool) -> Block {
    if condition { Verdicts::ask() } else { Verdicts::allow() }
}
