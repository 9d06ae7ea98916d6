//! Whether the host's version of a file is the one that the sandbox began with.
//!
//! The sandbox wrote over what it saw. Where the host has something else by now, or may have, its version would be lost, so
//! the change is refused. A version that says the same as the sandbox's is no conflict: there is no change then, or only one
//! of attributes.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::host::Host;
use super::report::{Reason, Why};
use super::request::Seen;
use crate::directory;
use crate::layers::{Change, Entry, Kind, Status};

/// What is to become of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It can be applied.
    Clean,
    /// Both sides have done the same.
    Same,
    Conflict(Reason),
    Held(String),
    Failed(Why),
}

/// Judges a change by what the host has. Where the caller takes the sandbox's version anyway, the base does not matter.
pub(super) fn judge(host: &Host, change: &Change, base: &Seen, taken: bool) -> Verdict {
    let now = match host.look(change.path.as_os_str().as_bytes()) {
        Ok(now) => now,
        // A directory above is gone, is a link, or is no directory: it is a change itself, and takes this one along.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => None,
        Err(Errno::XDEV) => return Verdict::Failed(Why::OtherFileSystem),
        Err(error) => return Verdict::Failed(Why::step("look at", error)),
    };
    match change.new.map(|new| new.kind) {
        Some(Kind::Socket) => return Verdict::Failed(Why::Socket),
        Some(Kind::Device) => return Verdict::Failed(Why::Device),
        None if now.is_none() => return Verdict::Same,
        _ => {}
    }
    if now.is_some_and(|now| now.kind == Kind::Directory && now.device != host.device()) {
        return Verdict::Failed(Why::OtherFileSystem);
    }
    // The host changes it while it is looked at.
    if !is_same(change.old.as_ref(), now.as_ref(), Same::exactly) {
        return Verdict::Conflict(reason(change.old.as_ref(), now.as_ref()));
    }
    match base {
        _ if taken => Verdict::Clean,
        Seen::Uncertain => Verdict::Conflict(Reason::Uncertain),
        Seen::Known { entry, .. } if is_same(entry.as_ref(), now.as_ref(), Same::since_base) => Verdict::Clean,
        Seen::Known { entry: Some(entry), copy } if says_the_same(host, change, entry, copy.as_deref()) => {
            Verdict::Clean
        }
        Seen::Known { entry, .. } => Verdict::Conflict(reason(entry.as_ref(), now.as_ref())),
    }
}

fn reason(then: Option<&Entry>, now: Option<&Entry>) -> Reason {
    match (then, now) {
        (None, Some(_)) => Reason::Appeared,
        (Some(_), None) => Reason::Gone,
        _ => Reason::Changed,
    }
}

/// How two entries are compared. A directory is what it is whatever is in it: that has changes of its own.
pub(super) struct Same;

impl Same {
    /// Whether nothing has touched it. Of a file with several names the time of the last change of attributes says nothing:
    /// what is done to another of its names, by this very apply perhaps, changes it.
    pub(super) fn exactly(then: &Entry, now: &Entry) -> bool {
        let untouched = now.kind == Kind::Directory || then.links > 1 || then.changed == now.changed;
        then.is_same_file(now) && untouched && Self::looks(then, now)
    }

    /// Whether it is the file of then, after a rename, which changes the time of the last change of attributes.
    pub(super) fn renamed(then: &Entry, now: &Entry) -> bool {
        then.is_same_file(now) && Self::looks(then, now)
    }

    /// Whether nothing has touched it since it was taken note of, before a restart perhaps, after which the same device may
    /// have another number. A directory may have been made anew, and a file may have got or lost another name.
    pub(super) fn since_base(then: &Entry, now: &Entry) -> bool {
        let untouched = then.inode == now.inode && (then.changed == now.changed || then.links != now.links);
        (now.kind == Kind::Directory || untouched) && Self::looks(then, now)
    }

    fn looks(then: &Entry, now: &Entry) -> bool {
        (then.kind, then.mode) == (now.kind, now.mode)
            && (now.kind == Kind::Directory || (then.size, then.modified) == (now.size, now.modified))
    }
}

fn is_same(then: Option<&Entry>, now: Option<&Entry>, same: impl Fn(&Entry, &Entry) -> bool) -> bool {
    match (then, now) {
        (None, None) => true,
        (Some(then), Some(now)) => same(then, now),
        _ => false,
    }
}

/// Whether the host's file, though it was touched, says what the sandbox began with: when only attributes differ from the
/// sandbox's, or when it is equal to the copy that was kept.
fn says_the_same(host: &Host, change: &Change, base: &Entry, copy: Option<&Path>) -> bool {
    let Some(now) = change.old.filter(|now| (now.kind, now.mode) == (base.kind, base.mode)) else { return false };
    if now.kind != Kind::File {
        return false;
    }
    change.status == Status::Attributes
        || now.size == base.size && copy.is_some_and(|copy| is_copy(host, change, copy).unwrap_or(false))
}

fn is_copy(host: &Host, change: &Change, copy: &Path) -> std::io::Result<bool> {
    let place = host.place(change.path.as_os_str().as_bytes())?;
    let mut now = File::from(open_file(place.dir.as_fd(), &place.name)?);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let mut copy = File::from(rustix::fs::open(copy, flags, Mode::empty())?);
    let (mut left, mut right) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let (read, also) = (fill(&mut now, &mut left)?, fill(&mut copy, &mut right)?);
        if left[..read] != right[..also] {
            return Ok(false);
        }
        if read == 0 {
            return Ok(true);
        }
    }
}

fn fill(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            more => filled += more,
        }
    }
    Ok(filled)
}

/// Opens a regular file of the host for reading. It is looked at before it is opened, so that no device is.
pub(super) fn open_file(dir: std::os::fd::BorrowedFd<'_>, name: &std::ffi::CStr) -> Result<OwnedFd, Errno> {
    use std::os::fd::AsRawFd;
    let found = directory::open_path(dir, name)?;
    if Entry::of(&directory::own_status(found.as_fd())?).kind != Kind::File {
        return Err(Errno::NOENT);
    }
    let path = format!("/proc/self/fd/{}", found.as_raw_fd());
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY, Mode::empty())
}
