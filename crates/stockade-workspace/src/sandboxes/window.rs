//! Since when the host's workspace may have changed unseen.
//!
//! What the host had at a path is noted after the sandbox changed the path (`bases/`). An entry of the host that has not
//! changed since the moment kept here is what the sandbox saw; one that has may be either. The moment is the modification
//! time of the file `since`, set without writing anything.
//!
//! It is read from the clock that the kernel stamps files with, which moves in steps of some milliseconds
//! (`ktime_get_coarse_real_ts64`). So an entry that was changed in the same step counts as changed afterwards: some are
//! called uncertain that are not, and never the other way round.

use rustix::fs::{AtFlags, Mode, OFlags, Timestamps};
use rustix::io::Errno;
use rustix::time::{ClockId, Timespec, clock_gettime};

use super::error::SandboxError;
use super::folder::Folder;
use crate::directory;
use crate::layers::Entry;

const FILE: &str = "since";

/// The kernel's coarse clock, in nanoseconds since 1970.
pub(super) fn now() -> i64 {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::RealtimeCoarse);
    tv_sec.saturating_mul(1_000_000_000).saturating_add(tv_nsec)
}

/// Sets the moment.
pub(super) fn begin(folder: &Folder, moment: i64) -> Result<(), SandboxError> {
    let failed = |error| folder.failed("set the time of", FILE, error);
    let time = Timespec { tv_sec: moment.div_euclid(1_000_000_000), tv_nsec: moment.rem_euclid(1_000_000_000) };
    let times = Timestamps { last_access: time, last_modification: time };
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    match rustix::fs::utimensat(folder.fd(), FILE, &times, flags) {
        Err(Errno::NOENT) => {
            let create = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let made = rustix::fs::openat(folder.fd(), FILE, create, Mode::RUSR | Mode::WUSR).map_err(failed)?;
            rustix::fs::futimens(made, &times).map_err(failed)
        }
        other => other.map_err(failed),
    }
}

/// The moment; `None` where none was set, and it is that at which the sandbox was made.
pub(super) fn since(folder: &Folder) -> Result<Option<i64>, SandboxError> {
    match directory::status(folder.fd(), c"since") {
        Ok(status) => Ok(Some(Entry::of(&status).modified)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(folder.failed("look at", FILE, error)),
    }
}
