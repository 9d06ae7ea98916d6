//! Carries a file operation out for the process that asked, after the rules have been asked about the very files that it
//! touches.
//!
//! Names are resolved to opened directories and files first; then their real paths are checked; then the operation is
//! made with what was opened. The supervisor answers one call after the other and all calls that change names come to it,
//! so no process of the sandbox can move anything between the check and the operation.

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, RenameFlags, chmodat, fstat, linkat, mkdirat, mknodat, renameat_with, symlinkat,
    unlinkat,
};
use rustix::io::Errno;

use super::attributes::{self, Attribute};
use super::open;
use super::request::{New, Place, Request, Subject};
use super::rules::{FileRules, Refused, Use};
use crate::observe::asker::Asker;
use crate::observe::walk::{self, Found, in_proc, link_of, path_of};
use crate::observe::{Answer, Observer};

type Acted = Result<Answer, Refused>;

pub(super) fn act(observer: &Observer, asker: &Asker<'_>, request: &Request) -> Acted {
    let rules = &observer.files;
    match request {
        Request::Open { place, flags, mode } => open::open(rules, asker, place, *flags, *mode),
        // Programs fall back to the older call, which needs no imitation of restrictions on the way.
        Request::OpenHow { .. } | Request::ChangeNewer { .. } => Err(Errno::NOSYS.into()),
        Request::Execute { subject } => execute(rules, asker, subject),
        Request::Make { place, new, mode } => make(rules, asker, place, new, *mode),
        Request::Remove { place, directory } => remove(rules, asker, place, *directory),
        Request::Rename { from, to, flags } => rename(rules, asker, (from, to), *flags),
        Request::Link { from, to } => link(rules, asker, from, to),
        Request::Change { subject, attribute } => change(rules, asker, subject, attribute),
    }
}

pub(super) fn resolve(asker: &Asker<'_>, place: &Place) -> Result<Found, Errno> {
    walk::resolve(asker, place.at, &place.path, place.last)
}

/// Nothing can execute on behalf of another process, so that this is the one answer after which the kernel reads the path
/// again. A process that changes it meanwhile gets a denied file executed, not read: a script's text is read by its
/// interpreter, which has to open it.
fn execute(rules: &FileRules, asker: &Asker<'_>, subject: &Subject) -> Acted {
    let object = match subject {
        Subject::Descriptor(descriptor) => Some(asker.opened(*descriptor)?),
        Subject::Place(place) => resolve(asker, place)?.object,
    };
    let path = path_of(object.ok_or(Errno::NOENT)?.as_fd())?;
    // Landlock holds the process itself here: only the deciding rules are asked.
    match rules.check(&path, Use::Read) {
        Err(refused @ Refused::Rule { .. }) => Err(refused),
        _ => Ok(Answer::Continue),
    }
}

/// Checks that a name may be made, removed or replaced.
fn check_name(rules: &FileRules, found: &Found) -> Result<(), Refused> {
    if in_proc(found.parent.as_fd())? {
        return Err(Errno::PERM.into());
    }
    rules.check(&found.name_path()?, Use::Name)
}

fn make(rules: &FileRules, asker: &Asker<'_>, place: &Place, new: &New, mode: u32) -> Acted {
    let found = resolve(asker, place)?;
    if found.object.is_some() {
        return Err(Errno::EXIST.into());
    }
    if found.directory_wanted && *new != New::Directory {
        return Err(Errno::NOENT.into());
    }
    check_name(rules, &found)?;
    let mode = Mode::from_bits_truncate(mode & !asker.status()?.umask);
    match new {
        New::Directory => mkdirat(&found.parent, &found.name, mode)?,
        New::Node { kind, device } => {
            let kind = if *kind == 0 { FileType::RegularFile } else { FileType::from_raw_mode(*kind) };
            mknodat(&found.parent, &found.name, kind, mode, *device)?;
        }
        New::Link { text } => {
            symlinkat(OsStr::from_bytes(text), &found.parent, &found.name)?;
            return Ok(Answer::Done);
        }
    }
    // The supervisor's own mask may have taken bits away.
    if mode.bits() & rules.own_umask() != 0 {
        chmodat(&found.parent, &found.name, mode, AtFlags::empty())?;
    }
    Ok(Answer::Done)
}

fn remove(rules: &FileRules, asker: &Asker<'_>, place: &Place, directory: bool) -> Acted {
    let found = named(resolve(asker, place)?, if directory { Errno::INVAL } else { Errno::ISDIR })?;
    check_name(rules, &found)?;
    if found.directory_wanted && !directory && !is_directory(&found)? {
        return Err(Errno::NOTDIR.into());
    }
    let flags = if directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
    unlinkat(&found.parent, &found.name, flags)?;
    Ok(Answer::Done)
}

fn rename(rules: &FileRules, asker: &Asker<'_>, (from, to): (&Place, &Place), flags: RenameFlags) -> Acted {
    let from = named(resolve(asker, from)?, Errno::BUSY)?;
    let to = resolve(asker, to)?;
    if to.name == "." {
        return Err(Errno::BUSY.into());
    }
    check_name(rules, &from)?;
    check_name(rules, &to)?;
    let exchanges_directory = flags.contains(RenameFlags::EXCHANGE) && to.object.is_some() && is_directory(&to)?;
    if is_directory(&from)? || exchanges_directory {
        rules.check_move(&from.name_path()?, &to.name_path()?)?;
    } else if from.directory_wanted || to.directory_wanted {
        return Err(Errno::NOTDIR.into());
    }
    renameat_with(&from.parent, &from.name, &to.parent, &to.name, flags)?;
    Ok(Answer::Done)
}

/// A second name makes a file reachable past the rules for its first one: the first has to be free of them too.
fn link(rules: &FileRules, asker: &Asker<'_>, from: &Subject, to: &Place) -> Acted {
    let object = match from {
        Subject::Descriptor(descriptor) => asker.opened(*descriptor)?,
        Subject::Place(place) => resolve(asker, place)?.object.ok_or(Errno::NOENT)?,
    };
    let to = resolve(asker, to)?;
    if to.object.is_some() {
        return Err(Errno::EXIST.into());
    }
    rules.check(&path_of(object.as_fd())?, Use::Write)?;
    check_name(rules, &to)?;
    linkat(CWD, link_of(object.as_fd()), &to.parent, &to.name, AtFlags::SYMLINK_FOLLOW)?;
    Ok(Answer::Done)
}

fn change(rules: &FileRules, asker: &Asker<'_>, subject: &Subject, attribute: &Attribute) -> Acted {
    let object = match subject {
        Subject::Descriptor(descriptor) => asker.opened(*descriptor)?,
        Subject::Place(place) => resolve(asker, place)?.object.ok_or(Errno::NOENT)?,
    };
    let path = path_of(object.as_fd())?;
    // Pipes and sockets have no path, and no rule is about them.
    if path.has_root() {
        rules.check(&path, Use::Write)?;
    }
    let is_link = FileType::from_raw_mode(fstat(&object)?.st_mode) == FileType::Symlink;
    attributes::change(&object, is_link, attribute)?;
    Ok(Answer::Done)
}

/// What exists under a name of its own; `error` for `.`, `..` and the root.
fn named(found: Found, error: Errno) -> Result<Found, Errno> {
    match found.object {
        None => Err(Errno::NOENT),
        Some(_) if found.name == "." => Err(error),
        Some(_) => Ok(found),
    }
}

fn is_directory(found: &Found) -> Result<bool, Errno> {
    let Some(object) = &found.object else { return Ok(false) };
    Ok(FileType::from_raw_mode(fstat(object)?.st_mode) == FileType::Directory)
}
