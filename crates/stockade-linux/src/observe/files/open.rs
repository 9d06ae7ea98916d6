//! Opens files for the process that asked.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, fchmod, fcntl_getfl, fcntl_setfl, fstat, major, minor, openat};
use rustix::io::Errno;
use stockade_spec::tier::Tier;

use super::act::resolve;
use super::request::Place;
use super::rules::{FileRules, Refused, Use};
use crate::observe::Answer;
use crate::observe::asker::Asker;
use crate::observe::walk::{self, Found, LastLink, in_proc, link_of, path_of, proc_owner};

/// Attempts at making a file that others make and remove at the same time.
const MAX_ATTEMPTS: usize = 8;
/// `/dev/tty`, which means the controlling terminal of whoever opens it (`Documentation/admin-guide/devices.txt`).
const TTY: (u32, u32) = (5, 0);
/// First and last major number of pseudo-terminals, 256 to each.
const PSEUDO_TERMINALS: std::ops::RangeInclusive<u32> = 136..=143;
/// Files of a process in `/proc` that any user may read natively.
const PUBLIC_PROC_FILES: [&str; 6] = ["stat", "status", "statm", "cmdline", "comm", "children"];
/// Files of a process in `/proc` that it may write about itself. Those about namespaces are not among them: the kernel
/// looks at who opened them.
const OWN_PROC_FILES: [&str; 5] = ["comm", "oom_score_adj", "timerslack_ns", "coredump_filter", "clear_refs"];
/// Flags that say how to find or make the file, which has been done, or that are set below.
const RESOLVED: OFlags =
    OFlags::CREATE.union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NOCTTY);

/// Opens as `openat(2)` would for the process.
pub(super) fn open(
    rules: &FileRules,
    asker: &Asker<'_>,
    place: &Place,
    flags: OFlags,
    mode: u32,
) -> Result<Answer, Refused> {
    if flags.contains(OFlags::PATH) {
        // A place cannot be read or written; whoever makes more of it has to ask again. The flags are no pointer.
        return Ok(Answer::Continue);
    }
    for _ in 0..MAX_ATTEMPTS {
        let found = resolve(asker, place)?;
        let file = match &found.object {
            Some(object) => return open_existing(rules, asker, &found, object, flags, mode),
            None if !flags.contains(OFlags::CREATE) => return Err(Errno::NOENT.into()),
            None if found.directory_wanted => return Err(Errno::ISDIR.into()),
            None => match create(rules, asker, &found, flags, mode) {
                Err(Refused::Error(Errno::EXIST)) if !flags.contains(OFlags::EXCL) => continue,
                result => result?,
            },
        };
        return Ok(answer(file, flags));
    }
    Err(Errno::AGAIN.into())
}

fn answer(file: OwnedFd, flags: OFlags) -> Answer {
    Answer::Descriptor { file, close_on_exec: flags.contains(OFlags::CLOEXEC) }
}

/// What opening with these flags wants of a file.
fn use_of(flags: OFlags) -> Use {
    let writes = flags.intersects(OFlags::WRONLY | OFlags::RDWR | OFlags::TRUNC);
    if writes { Use::Write } else { Use::Read }
}

fn create(rules: &FileRules, asker: &Asker<'_>, found: &Found, flags: OFlags, mode: u32) -> Result<OwnedFd, Refused> {
    if in_proc(found.parent.as_fd())? {
        return Err(Errno::NOENT.into());
    }
    rules.check(&found.name_path()?, Use::Name)?;
    let mode = wanted_mode(asker, mode)?;
    let how = flags | RESOLVED;
    let file = openat(&found.parent, &found.name, how, mode)?;
    grant(rules, &file, mode)?;
    Ok(file)
}

fn wanted_mode(asker: &Asker<'_>, mode: u32) -> Result<Mode, Errno> {
    Ok(Mode::from_bits_truncate(mode & 0o7777 & !asker.status()?.umask))
}

/// Gives a new file the bits that the supervisor's own mask has taken away.
fn grant(rules: &FileRules, file: &OwnedFd, mode: Mode) -> Result<(), Errno> {
    if mode.bits() & rules.own_umask() != 0 { fchmod(file, mode) } else { Ok(()) }
}

fn open_existing(
    rules: &FileRules,
    asker: &Asker<'_>,
    found: &Found,
    object: &OwnedFd,
    flags: OFlags,
    mode: u32,
) -> Result<Answer, Refused> {
    let stat = fstat(object)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    if flags.contains(OFlags::CREATE | OFlags::EXCL) {
        return Err(Errno::EXIST.into());
    }
    match kind {
        FileType::Symlink => return Err(Errno::LOOP.into()),
        FileType::Socket => return Err(Errno::NXIO.into()),
        FileType::Directory if flags.contains(OFlags::CREATE) => return Err(Errno::ISDIR.into()),
        FileType::Directory => {}
        _ if found.directory_wanted => return Err(Errno::NOTDIR.into()),
        _ => {}
    }
    let path = path_of(object.as_fd())?;
    // What has lost its last name, or never had one, is reached only by who has it open already.
    let has_path = path.has_root() && !(found.by_descriptor && stat.st_nlink == 0);
    if in_proc(object.as_fd())? {
        check_proc(rules, asker, &path, flags)?;
    } else if has_path && !is_common_device(&stat) {
        let wanted = if flags.contains(OFlags::TMPFILE) { Use::Write } else { use_of(flags) };
        rules.check(&path, wanted)?;
    }
    if (major(stat.st_rdev), minor(stat.st_rdev)) == TTY && kind == FileType::CharacterDevice {
        return Ok(answer(open_terminal(asker, flags)?, flags));
    }
    if flags.contains(OFlags::TMPFILE) {
        let mode = wanted_mode(asker, mode)?;
        let file = openat(object, ".", flags | OFlags::CLOEXEC, mode)?;
        grant(rules, &file, mode)?;
        return Ok(answer(file, flags));
    }
    if kind == FileType::Fifo && !flags.intersects(OFlags::NONBLOCK | OFlags::RDWR) {
        let fifo = object.try_clone().map_err(|_| Errno::MFILE)?;
        return Ok(Answer::WhenOpened { fifo, flags: how(flags), close_on_exec: flags.contains(OFlags::CLOEXEC) });
    }
    Ok(answer(reopen(object.as_fd(), flags)?, flags))
}

/// Opens a place. Nothing that a process can arrange may hold the supervisor up (a lease on the file, a FIFO without
/// another end), so it opens without waiting, and gives the process what it asked for afterwards.
fn reopen(object: BorrowedFd<'_>, flags: OFlags) -> Result<OwnedFd, Errno> {
    let file = openat(CWD, link_of(object), how(flags) | OFlags::NONBLOCK, Mode::empty())?;
    if !flags.contains(OFlags::NONBLOCK) {
        fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
    }
    Ok(file)
}

/// The flags with which the supervisor opens what has been found.
fn how(flags: OFlags) -> OFlags {
    (flags - RESOLVED) | OFlags::CLOEXEC | OFlags::NOCTTY
}

/// Devices that hold nothing of anybody: `null`, `zero`, `full`, `random`, `urandom`, `tty`, `ptmx`.
pub(super) fn is_common_device(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && matches!((major(stat.st_rdev), minor(stat.st_rdev)), (1, 3 | 5 | 7 | 8 | 9) | (5, 0 | 2))
}

/// `/proc` is opened for a process as far as it is about itself, or about what everybody may see: the kernel would take
/// the supervisor's rights over other processes for the asker's.
fn check_proc(rules: &FileRules, asker: &Asker<'_>, path: &Path, flags: OFlags) -> Result<(), Refused> {
    let status = asker.status()?;
    let owner = proc_owner(path);
    let own = owner.is_some_and(|owner| owner == status.process_inside || owner == status.thread_inside);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let allowed = match use_of(flags) {
        // Without namespaces `/proc` is the host's, and the plan opens it for reading.
        Use::Write | Use::Name => own && rules.tier() == Tier::Namespaces && OWN_PROC_FILES.contains(&name),
        Use::Read => own || owner.is_none() || is_proc_directory(path) || PUBLIC_PROC_FILES.contains(&name),
    };
    if allowed { Ok(()) } else { Err(Errno::ACCESS.into()) }
}

/// `/proc`, the directory of a process, and that of its threads.
fn is_proc_directory(path: &Path) -> bool {
    let number = |name: &str| name.parse::<u32>().is_ok();
    let names: Vec<&str> = path.iter().skip(2).filter_map(|name| name.to_str()).collect();
    match names.as_slice() {
        [] => true,
        [pid] => number(pid),
        [pid, "task"] => number(pid),
        [pid, "task", thread] => number(pid) && number(thread),
        _ => false,
    }
}

/// The process's own controlling terminal, by its name inside. The supervisor's is another one.
fn open_terminal(asker: &Asker<'_>, flags: OFlags) -> Result<OwnedFd, Refused> {
    let device = asker.standing()?.terminal;
    let (major_number, minor_number) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xf_ff00));
    if !PSEUDO_TERMINALS.contains(&major_number) {
        return Err(Errno::NXIO.into());
    }
    let number = (major_number - PSEUDO_TERMINALS.start()) * 256 + minor_number;
    let path = format!("/dev/pts/{number}");
    let found = walk::resolve(asker, libc::AT_FDCWD, path.as_bytes(), LastLink::Keep)?;
    let object = found.object.ok_or(Errno::NXIO)?;
    let stat = fstat(&object)?;
    if (major(stat.st_rdev), minor(stat.st_rdev)) != (major_number, minor_number) {
        return Err(Errno::NXIO.into());
    }
    Ok(reopen(object.as_fd(), flags)?)
}
