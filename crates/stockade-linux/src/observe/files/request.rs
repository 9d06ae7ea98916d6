//! A file operation with everything that it names, copied out of the asking process once.
//!
//! Whatever decides or acts afterwards uses this copy only, so that changing the memory meanwhile changes nothing.

use rustix::fs::{AtFlags, OFlags, RenameFlags, XattrFlags};
use rustix::io::Errno;

use super::attributes::{Attribute, Times};
use crate::observe::asker::Asker;
use crate::observe::walk::LastLink;

/// Most bytes of an extended attribute's value (`XATTR_SIZE_MAX` of `linux/limits.h`), and of its name.
const MAX_ATTRIBUTE: usize = 65_536;
/// `struct open_how` as of Linux 5.6, which a longer one begins with.
const OPEN_HOW: usize = 24;

/// A path with the directory to which it is relative.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: i32,
    pub(super) path: Vec<u8>,
    pub(super) last: LastLink,
}

/// What an operation is about: a path, or what a descriptor is open on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Place(Place),
    Descriptor(i32),
}

/// What is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum New {
    Directory,
    /// A device, FIFO or socket file, or an empty regular file: type and permission bits, and device number.
    Node {
        kind: u32,
        device: u64,
    },
    Link {
        text: Vec<u8>,
    },
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Open {
        place: Place,
        flags: OFlags,
        mode: u32,
    },
    /// `openat2`, whose restrictions on the way to the file are not imitated.
    OpenHow {
        place: Place,
        flags: OFlags,
    },
    Execute {
        subject: Subject,
    },
    Make {
        place: Place,
        new: New,
        mode: u32,
    },
    Remove {
        place: Place,
        directory: bool,
    },
    Rename {
        from: Place,
        to: Place,
        flags: RenameFlags,
    },
    Link {
        from: Subject,
        to: Place,
    },
    Change {
        subject: Subject,
        attribute: Attribute,
    },
    /// A call that changes attributes in a newer form than is imitated.
    ChangeNewer {
        place: Place,
    },
}

/// Reads the arguments of a call.
///
/// # Errors
/// As the kernel would answer: a bad address, a path that is too long, a flag that does not exist. `ENOSYS` for a call
/// that is no file operation.
pub(super) fn read(asker: &Asker<'_>, call: &str) -> Result<Request, Errno> {
    let here = libc::AT_FDCWD;
    let at = |argument| asker.number(argument);
    match call {
        "open" => open(asker, here, 0),
        "openat" => open(asker, at(0), 1),
        "creat" => {
            let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::TRUNC;
            Ok(Request::Open { place: place(asker, here, 0, LastLink::Follow)?, flags, mode: asker.bits(1) })
        }
        "openat2" => open_how(asker),
        "execve" => Ok(Request::Execute { subject: Subject::Place(place(asker, here, 0, LastLink::Follow)?) }),
        "execveat" => Ok(Request::Execute { subject: subject(asker, 1, 4, AtFlags::SYMLINK_NOFOLLOW)? }),
        "mkdir" => make(asker, here, 0, New::Directory, asker.bits(1)),
        "mkdirat" => make(asker, at(0), 1, New::Directory, asker.bits(2)),
        "mknod" => make(asker, here, 0, node(asker, 1), asker.bits(1)),
        "mknodat" => make(asker, at(0), 1, node(asker, 2), asker.bits(2)),
        "symlink" => make(asker, here, 1, New::Link { text: asker.text(asker.argument(0))? }, 0),
        "symlinkat" => make(asker, at(1), 2, New::Link { text: asker.text(asker.argument(0))? }, 0),
        "unlink" => remove(asker, here, 0, false),
        "rmdir" => remove(asker, here, 0, true),
        "unlinkat" => remove(asker, at(0), 1, at_flags(asker, 2)?.contains(AtFlags::REMOVEDIR)),
        "rename" => rename(asker, (here, 0), (here, 1), RenameFlags::empty()),
        "renameat" => rename(asker, (at(0), 1), (at(2), 3), RenameFlags::empty()),
        "renameat2" => rename(asker, (at(0), 1), (at(2), 3), RenameFlags::from_bits_retain(asker.bits(4))),
        "link" => {
            let from = Subject::Place(place(asker, here, 0, LastLink::Keep)?);
            Ok(Request::Link { from, to: place(asker, here, 1, LastLink::Keep)? })
        }
        "linkat" => Ok(Request::Link { from: link_source(asker)?, to: place(asker, at(2), 3, LastLink::Keep)? }),
        "setxattrat" | "removexattrat" | "file_setattr" => {
            Ok(Request::ChangeNewer { place: place(asker, at(0), 1, LastLink::Follow)? })
        }
        _ => change(asker, call),
    }
}

/// The calls that change attributes.
fn change(asker: &Asker<'_>, call: &str) -> Result<Request, Errno> {
    let here = libc::AT_FDCWD;
    let path = |last| place(asker, here, 0, last).map(Subject::Place);
    let descriptor = || Ok(Subject::Descriptor(asker.number(0)));
    let owner = |at| Attribute::Owner { user: asker.bits(at), group: asker.bits(at + 1) };
    let nofollow = AtFlags::SYMLINK_NOFOLLOW;
    let (subject, attribute) = match call {
        "chmod" => (path(LastLink::Follow)?, Attribute::Mode(asker.bits(1))),
        "fchmod" => (descriptor()?, Attribute::Mode(asker.bits(1))),
        "fchmodat" => {
            (Subject::Place(place(asker, asker.number(0), 1, LastLink::Follow)?), Attribute::Mode(asker.bits(2)))
        }
        "fchmodat2" => (subject(asker, 1, 3, nofollow)?, Attribute::Mode(asker.bits(2))),
        "chown" => (path(LastLink::Follow)?, owner(1)),
        "lchown" => (path(LastLink::Keep)?, owner(1)),
        "fchown" => (descriptor()?, owner(1)),
        "fchownat" => (subject(asker, 1, 4, nofollow)?, owner(2)),
        "truncate" => (path(LastLink::Follow)?, Attribute::Length(asker.argument(1))),
        "utime" => (path(LastLink::Follow)?, Attribute::Times(Times::seconds(asker, 1)?)),
        "utimes" => (path(LastLink::Follow)?, Attribute::Times(Times::microseconds(asker, 1)?)),
        "futimesat" => (times_subject(asker, None)?, Attribute::Times(Times::microseconds(asker, 2)?)),
        "utimensat" => (times_subject(asker, Some(3))?, Attribute::Times(Times::nanoseconds(asker, 2)?)),
        "setxattr" => (path(LastLink::Follow)?, set_extended(asker)?),
        "lsetxattr" => (path(LastLink::Keep)?, set_extended(asker)?),
        "fsetxattr" => (descriptor()?, set_extended(asker)?),
        "removexattr" => (path(LastLink::Follow)?, remove_extended(asker)?),
        "lremovexattr" => (path(LastLink::Keep)?, remove_extended(asker)?),
        "fremovexattr" => (descriptor()?, remove_extended(asker)?),
        _ => return Err(Errno::NOSYS),
    };
    Ok(Request::Change { subject, attribute })
}

fn place(asker: &Asker<'_>, at: i32, path: usize, last: LastLink) -> Result<Place, Errno> {
    Ok(Place { at, path: asker.text(asker.argument(path))?, last })
}

fn open(asker: &Asker<'_>, at: i32, path: usize) -> Result<Request, Errno> {
    let flags = OFlags::from_bits_retain(asker.bits(path + 1));
    Ok(Request::Open { place: place(asker, at, path, last_of(flags))?, flags, mode: asker.bits(path + 2) })
}

/// Whether opening with these flags follows a link in the last place.
fn last_of(flags: OFlags) -> LastLink {
    let keeps = flags.contains(OFlags::NOFOLLOW) || flags.contains(OFlags::CREATE | OFlags::EXCL);
    if keeps { LastLink::Keep } else { LastLink::Follow }
}

fn open_how(asker: &Asker<'_>) -> Result<Request, Errno> {
    if asker.argument(3) < OPEN_HOW as u64 {
        return Err(Errno::INVAL);
    }
    let how = asker.bytes(asker.argument(2), OPEN_HOW)?;
    let flags = how.first_chunk::<4>().map_or(0, |low| u32::from_le_bytes(*low));
    let flags = OFlags::from_bits_retain(flags);
    Ok(Request::OpenHow { place: place(asker, asker.number(0), 1, last_of(flags))?, flags })
}

/// A path relative to argument 0, or the descriptor itself where the path is empty and the flags allow that.
fn subject(asker: &Asker<'_>, path: usize, flags: usize, nofollow: AtFlags) -> Result<Subject, Errno> {
    let flags = at_flags(asker, flags)?;
    let last = if flags.contains(nofollow) { LastLink::Keep } else { LastLink::Follow };
    let place = place(asker, asker.number(0), path, last)?;
    Ok(if place.path.is_empty() && flags.contains(AtFlags::EMPTY_PATH) && place.at != libc::AT_FDCWD {
        Subject::Descriptor(place.at)
    } else {
        Subject::Place(place)
    })
}

fn link_source(asker: &Asker<'_>) -> Result<Subject, Errno> {
    let follow = at_flags(asker, 4)?.contains(AtFlags::SYMLINK_FOLLOW);
    Ok(match subject(asker, 1, 4, AtFlags::empty())? {
        Subject::Place(place) => {
            Subject::Place(Place { last: if follow { LastLink::Follow } else { LastLink::Keep }, ..place })
        }
        descriptor => descriptor,
    })
}

/// Calls that set times take the descriptor itself where the path is a null pointer.
fn times_subject(asker: &Asker<'_>, flags: Option<usize>) -> Result<Subject, Errno> {
    match flags {
        _ if asker.argument(1) == 0 => Ok(Subject::Descriptor(asker.number(0))),
        Some(flags) => subject(asker, 1, flags, AtFlags::SYMLINK_NOFOLLOW),
        None => Ok(Subject::Place(place(asker, asker.number(0), 1, LastLink::Follow)?)),
    }
}

fn at_flags(asker: &Asker<'_>, argument: usize) -> Result<AtFlags, Errno> {
    AtFlags::from_bits(asker.bits(argument)).ok_or(Errno::INVAL)
}

fn make(asker: &Asker<'_>, at: i32, path: usize, new: New, mode: u32) -> Result<Request, Errno> {
    Ok(Request::Make { place: place(asker, at, path, LastLink::Keep)?, new, mode: mode & 0o7777 })
}

fn node(asker: &Asker<'_>, mode: usize) -> New {
    New::Node { kind: asker.bits(mode) & libc::S_IFMT, device: asker.argument(mode + 1) }
}

fn remove(asker: &Asker<'_>, at: i32, path: usize, directory: bool) -> Result<Request, Errno> {
    Ok(Request::Remove { place: place(asker, at, path, LastLink::Keep)?, directory })
}

fn rename(asker: &Asker<'_>, from: (i32, usize), to: (i32, usize), flags: RenameFlags) -> Result<Request, Errno> {
    let from = place(asker, from.0, from.1, LastLink::Keep)?;
    Ok(Request::Rename { from, to: place(asker, to.0, to.1, LastLink::Keep)?, flags })
}

fn set_extended(asker: &Asker<'_>) -> Result<Attribute, Errno> {
    let length = usize::try_from(asker.argument(3)).ok().filter(|&length| length <= MAX_ATTRIBUTE);
    let value = asker.bytes(asker.argument(2), length.ok_or(Errno::TOOBIG)?)?;
    let flags = XattrFlags::from_bits_retain(asker.bits(4));
    Ok(Attribute::SetExtended { name: asker.text(asker.argument(1))?, value, flags })
}

fn remove_extended(asker: &Asker<'_>) -> Result<Attribute, Errno> {
    Ok(Attribute::RemoveExtended { name: asker.text(asker.argument(1))? })
}
