//! A path that a sandbox changed, beside what the host has there.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::{Errno, Result};

use crate::directory;
use crate::layers::descent::Group;
use crate::layers::union::is_directory;
use crate::layers::{Entry, Kind, reach, xattrs};

/// The trees of the descent.
pub(super) const CHANGED: usize = 0;
pub(super) const HOST: usize = 1;

/// What is known of a directory of the host, for what is in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    /// Whether it cannot be read.
    pub(super) unreadable: bool,
    /// Whether something may have been removed from it since the sandbox could see it.
    pub(super) lossy: bool,
}

/// What the host has at a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnHost {
    Has(Entry),
    Nothing,
    /// Nothing, and the sandbox's file is a copy of something that was there or in a layer.
    NothingAnyMore,
    /// Its directory cannot be read.
    Unknown,
}

/// A changed path.
#[derive(Debug)]
pub(super) struct Changed {
    pub(super) on_host: OnHost,
    /// Whether what the host has in it, if that is a directory, is hidden.
    pub(super) hides: bool,
    /// The directories that it names, to be entered, and what is known of the host's.
    pub(super) child: Group,
    pub(super) level: Level,
}

/// Looks at a name of a directory; `since` is when the host's entries may first have changed unseen.
pub(super) fn look(group: &Group, level: Level, since: i64, name: &CStr) -> Result<Option<Changed>> {
    let Some(changed) = member(group, CHANGED) else { return Ok(None) };
    let Some(status) = reach::status(changed, name)? else { return Ok(None) };
    let host = member(group, HOST);
    let on_host = on_host(host, level, name);
    let mut found = Changed { on_host, hides: false, child: Group::new(), level };
    let host_directory = matches!(on_host, OnHost::Has(entry) if entry.kind == Kind::Directory);
    if !is_directory(&status) {
        found.hides = host_directory;
        let is_file = Entry::of(&status).kind == Kind::File;
        if on_host == OnHost::Nothing && level.lossy && is_file && is_copied_up(changed, name)? {
            found.on_host = OnHost::NothingAnyMore;
        }
        return Ok(Some(found));
    }
    let Some(child) = reach::open_directory(changed, name)? else { return Ok(None) };
    if let (OnHost::Has(entry), true, Some(host)) = (on_host, host_directory, host) {
        found.hides = xattrs::is_opaque(child.as_fd())?;
        found.level.lossy = entry.modified >= since;
        match directory::open_child(host, name) {
            Ok(host) => found.child.push((HOST, host)),
            Err(_) => found.level.unreadable = true,
        }
    }
    found.child.insert(0, (CHANGED, child));
    Ok(Some(found))
}

fn on_host(host: Option<BorrowedFd<'_>>, level: Level, name: &CStr) -> OnHost {
    match host.map(|host| directory::status(host, name)) {
        Some(Ok(status)) => OnHost::Has(Entry::of(&status)),
        Some(Err(Errno::NOENT | Errno::NOTDIR)) => OnHost::Nothing,
        None if !level.unreadable => OnHost::Nothing,
        Some(Err(_)) | None => OnHost::Unknown,
    }
}

fn is_copied_up(dir: BorrowedFd<'_>, name: &CStr) -> Result<bool> {
    reach::open_file(dir, name)?.map_or(Ok(false), |file| xattrs::is_copied_up(file.as_fd()))
}

pub(super) fn member(group: &Group, root: usize) -> Option<BorrowedFd<'_>> {
    group.iter().find(|(number, _)| *number == root).map(|(_, dir)| dir.as_fd())
}
