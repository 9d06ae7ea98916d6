//! Signals, and whatever else one process may do to another of the same user.
//!
//! Without a process namespace the whole host can be named. A process may signal itself and whatever descends from the
//! sandbox's first process, nothing else; not that one itself either, since it is what ends everything. Signals to others than itself are sent on its behalf, immediately after the
//! check: by then the id could be another process's if the kernel were left to send it whenever the asker runs again.
//!
//! Within a process namespace the kernel decides; attempts at processes that are only outside are recorded.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use stockade_spec::report::Area;
use stockade_spec::tier::Tier;

use super::asker::{Asker, errno};
use super::process::{Standing, descends_from, read_bounded, standing, status};
use super::walk::{self, LastLink};
use super::{Answer, Context, Observer};
use crate::denials::{Attempt, DenialLog};
use crate::sys::kill;

/// Entries of `/proc` that are looked at for a member of a process group whose leader has ended.
const MAX_PROCESSES: usize = 65_536;

/// `RLIMIT_CORE` (`include/uapi/asm-generic/resource.h`).
const CORE_LIMIT: i32 = 4;

pub(super) fn decide(observer: &Observer, asker: &Asker<'_>, call: &'static str, log: &mut DenialLog<'_>) -> Answer {
    if observer.context.tier == Tier::Namespaces {
        return observe_only(asker, call, log);
    }
    let verdict = match call {
        "kill" => kill_call(&observer.context, asker),
        "pidfd_open" => handle(&observer.context, asker),
        "pidfd_send_signal" => signal_by_handle(&observer.context, asker),
        // The filter answers where a process does not name itself by number (`seccomp::checks::set_limit`).
        "prlimit64" if asker.number(1) == CORE_LIMIT && asker.argument(2) != 0 => Err(Errno::PERM),
        // `tkill`, `tgkill` and the queueing ones, limits and scheduling: for the process itself.
        _ => own_thread(asker).map(|()| Answer::Continue),
    };
    match verdict {
        Ok(answer) => answer,
        Err(error) => {
            if error == Errno::PERM {
                record(asker, call, log);
            }
            Answer::Fail(error)
        }
    }
}

/// `kill(2)`: one process, the own group, another group, or everyone.
fn kill_call(context: &Context, asker: &Asker<'_>) -> Result<Answer, Errno> {
    let signal = asker.number(1);
    match asker.number(0) {
        -1 => Err(Errno::PERM),
        0 => {
            let group = asker.standing()?.group;
            send_to_group(context, asker, group, signal)
        }
        target if target < 0 => send_to_group(context, asker, target.unsigned_abs(), signal),
        target if is_own(asker, target.unsigned_abs())? => Ok(Answer::Continue),
        target => {
            let process = open_inside(context, target, PidfdFlags::empty())?;
            Ok(kill::send(process.as_fd(), signal).map_err(|error| errno(&error)).into())
        }
    }
}

/// `pidfd_open(2)`: the handle is made here and handed over, for the checked process.
fn handle(context: &Context, asker: &Asker<'_>) -> Result<Answer, Errno> {
    let flags = PidfdFlags::from_bits_retain(asker.bits(1));
    let file = open_inside(context, asker.number(0), flags)?;
    Ok(Answer::Descriptor { file, close_on_exec: true })
}

/// `pidfd_send_signal(2)`: a copy of the handle is checked and used, since its number can be given to another one.
fn signal_by_handle(context: &Context, asker: &Asker<'_>) -> Result<Answer, Errno> {
    if asker.argument(2) != 0 {
        // Information that pretends to come from elsewhere.
        return Err(Errno::PERM);
    }
    let process = asker.duplicate(asker.number(0))?;
    let target = pid_of(&process)?;
    if !is_inside(context, target) {
        return Err(Errno::PERM);
    }
    // The handle names the process for good: if it answers to signal 0 after the walk, the walk was about it.
    kill::send(process.as_fd(), 0).map_err(|error| errno(&error))?;
    Ok(kill::send(process.as_fd(), asker.number(1)).map_err(|error| errno(&error)).into())
}

/// Calls that take a thread of the process itself, or 0 for the caller.
fn own_thread(asker: &Asker<'_>) -> Result<(), Errno> {
    let target = u32::try_from(asker.number(0)).map_err(|_| Errno::INVAL)?;
    if target == 0 || is_own(asker, target)? { Ok(()) } else { Err(Errno::PERM) }
}

/// Whether the id is that of the asking process or of one of its threads.
fn is_own(asker: &Asker<'_>, target: u32) -> Result<bool, Errno> {
    if target == asker.thread() {
        return Ok(true);
    }
    match fs::symlink_metadata(format!("/proc/{}/task/{target}", asker.thread())) {
        Ok(_) => asker.status().map(|_| true),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound) => Ok(false),
        Err(error) => Err(errno(&error)),
    }
}

/// Whether a process is the sandbox's and may be signalled from inside. The first one may not: without it, what daemonizes
/// would have no ancestor left by which it is found at the end.
fn is_inside(context: &Context, pid: u32) -> bool {
    pid != context.first_process && descends_from(pid, context.first_process)
}

/// A handle for a process of the sandbox.
fn open_inside(context: &Context, target: i32, flags: PidfdFlags) -> Result<OwnedFd, Errno> {
    let pid = Pid::from_raw(target).filter(|_| target > 0).ok_or(Errno::INVAL)?;
    let process = pidfd_open(pid, flags)?;
    if !is_inside(context, target.unsigned_abs()) {
        return Err(Errno::PERM);
    }
    kill::send(process.as_fd(), 0).map_err(|error| errno(&error))?;
    Ok(process)
}

/// The process of a handle, which `/proc` shows (`proc_pid_fdinfo(5)`).
fn pid_of(process: &OwnedFd) -> Result<u32, Errno> {
    let text = read_bounded(&format!("/proc/self/fdinfo/{}", process.as_raw_fd())).map_err(|error| errno(&error))?;
    let text = String::from_utf8_lossy(&text);
    let pid = text.lines().find_map(|line| line.strip_prefix("Pid:")).ok_or(Errno::BADF)?;
    pid.trim().parse().map_err(|_| Errno::SRCH)
}

fn send_to_group(context: &Context, asker: &Asker<'_>, group: u32, signal: i32) -> Result<Answer, Errno> {
    if !group_is_inside(context, asker, group)? {
        return Err(Errno::PERM);
    }
    Ok(kill::send_to_group(group, signal).map_err(|error| errno(&error)).into())
}

/// Whether a process group holds processes of the sandbox only.
///
/// A group never leaves its session, and a session that one process of the sandbox is in, but not the supervisor, was
/// made within the sandbox: then every process of it is inside. In the supervisor's own session a group counts as inside
/// when the process that leads it does. The group of the sandbox's first process is not for others to signal.
fn group_is_inside(context: &Context, asker: &Asker<'_>, group: u32) -> Result<bool, Errno> {
    let own = asker.standing()?;
    let supervisor = standing(context.supervisor).map_err(|error| errno(&error))?;
    if standing(context.first_process).map_err(|error| errno(&error))?.group == group {
        return Ok(false);
    }
    let leader = standing(group).ok().filter(|leader| leader.group == group);
    if let Some(leader) = leader
        && is_inside(context, group)
    {
        return Ok(leader.session != supervisor.session || group != supervisor.group);
    }
    let member = if own.group == group { Some(own) } else { member_inside(context, group)? };
    Ok(member.is_some_and(|member| member.session != supervisor.session))
}

/// A process of the sandbox that is in a group; `ESRCH` when nobody is in it at all.
fn member_inside(context: &Context, group: u32) -> Result<Option<Standing>, Errno> {
    let mut error = Errno::SRCH;
    let entries = fs::read_dir("/proc").map_err(|error| errno(&error))?.take(MAX_PROCESSES);
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    for pid in pids {
        let Some(member) = standing(pid).ok().filter(|member| member.group == group) else { continue };
        if is_inside(context, pid) {
            return Ok(Some(member));
        }
        error = Errno::PERM;
    }
    if error == Errno::PERM { Ok(None) } else { Err(error) }
}

fn record(asker: &Asker<'_>, call: &'static str, log: &mut DenialLog<'_>) {
    let target = match (call, asker.number(0)) {
        ("kill", -1) => "every process".to_owned(),
        ("kill", 0) => "own process group".to_owned(),
        ("kill", group) if group < 0 => format!("process group {}", group.unsigned_abs()),
        ("pidfd_send_signal", descriptor) => format!("process of descriptor {descriptor}"),
        (_, pid) => describe(pid.unsigned_abs()),
    };
    log.record(Attempt::new(Area::Signals, call, target).rule("not of this sandbox").by(asker.process()));
}

/// A process of the host in words.
fn describe(pid: u32) -> String {
    match read_bounded(&format!("/proc/{pid}/comm")) {
        Ok(name) => format!("process {pid} ({})", String::from_utf8_lossy(name.trim_ascii_end())),
        Err(_) => format!("process {pid}"),
    }
}

/// Within a process namespace: records what is aimed at a process of the same user that exists only outside.
fn observe_only(asker: &Asker<'_>, call: &'static str, log: &mut DenialLog<'_>) -> Answer {
    let target = asker.number(0).unsigned_abs();
    let inside = walk::resolve(asker, libc::AT_FDCWD, format!("/proc/{target}").as_bytes(), LastLink::Keep);
    let hidden = inside.is_ok_and(|found| found.object.is_none());
    if call == "kill" && asker.number(0) > 0 && hidden && same_user(asker, target) {
        log.record(Attempt::new(Area::Signals, call, describe(target)).rule("hidden").by(asker.process()));
    }
    Answer::Continue
}

fn same_user(asker: &Asker<'_>, target: u32) -> bool {
    let other = status(target).ok().filter(|other| other.process == target);
    // Kernel threads belong to root and have no command line.
    let has_program = read_bounded(&format!("/proc/{target}/cmdline")).is_ok_and(|text| !text.is_empty());
    has_program && other.is_some_and(|other| asker.status().is_ok_and(|own| own.user == other.user))
}
