//! Whether a directory that was taken away holds what it was known to hold, and nothing else.

use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use rustix::io::{Errno, Result};

use super::host::Place;
use super::judge::Same;
use super::step::Below;
use crate::layers::{Entry, Kind};
use crate::trail::Trail;
use crate::{directory, listing};

/// Compares what lies in the directory at `place` with what was known to lie below `path`, which is in order.
pub(super) fn are(place: &Place, path: &[u8], known: &[Below]) -> Result<bool> {
    let root = directory::open_child(place.dir.as_fd(), &place.name)?;
    let mut trail = Trail::default();
    let (mut waiting, mut seen) = (vec![path.to_vec()], 0);
    while let Some(dir) = waiting.pop() {
        let below = dir[path.len()..].strip_prefix(b"/").unwrap_or_default();
        let opened = trail.open(root.as_fd(), below, directory::open_child)?;
        let result = listing::each(opened.as_fd(), |name, _| {
            let entry = Entry::of(&directory::status(opened.as_fd(), name)?);
            let whole = directory::join(&dir, name.to_bytes());
            let as_path = std::path::Path::new(std::ffi::OsStr::from_bytes(&whole));
            let at = known.binary_search_by(|below| below.path.as_path().cmp(as_path));
            if !at.is_ok_and(|at| Same::exactly(&known[at].entry, &entry)) {
                return Err(Errno::STALE);
            }
            seen += 1;
            if entry.kind == Kind::Directory {
                waiting.push(whole);
            }
            Ok(())
        });
        match result {
            Ok(()) => {}
            Err(Errno::STALE) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(seen == known.len())
}
