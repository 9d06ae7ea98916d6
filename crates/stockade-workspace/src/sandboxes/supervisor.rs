//! The lock that a supervisor holds for as long as it lives: the kernel lets go of it however the supervisor ends.
//!
//! Like every lock by `flock(2)` it belongs to the open file: a copy of the process holds it too, so a supervisor that is
//! killed has to have seen to it that none of its children keeps the descriptor.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::fs::FlockOperation;

use super::error::SandboxError;
use super::folder::{Folder, Lock, Wait};
use super::id::Id;

const FILE: &str = "supervisor";

/// How often, and after how long, it is tried again while others look whether it is held, which takes them microseconds.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(1);

/// Held by the supervisor of a sandbox.
#[derive(Debug)]
pub struct Supervisor {
    lock: Lock,
    sandbox: Id,
}

impl Supervisor {
    /// Whether it is the one of this sandbox.
    pub(super) fn is_of(&self, sandbox: Id) -> bool {
        self.sandbox == sandbox
    }
}

impl AsFd for Supervisor {
    /// The locked file, which no child must keep.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.lock.file().as_fd()
    }
}

/// Takes the lock; `None` when a supervisor lives.
pub(super) fn hold(folder: &Folder, sandbox: Id) -> Result<Option<Supervisor>, SandboxError> {
    for _ in 0..TRIES {
        if let Some(lock) = folder.lock_alone(FILE, Wait::No)? {
            return Ok(Some(Supervisor { lock, sandbox }));
        }
        // Only a supervisor keeps others from sharing it.
        if folder.lock(FILE, FlockOperation::NonBlockingLockShared)?.is_none() {
            return Ok(None);
        }
        std::thread::sleep(PAUSE);
    }
    Ok(None)
}

/// Writes down who holds it, for people.
pub(super) fn sign(supervisor: &Supervisor, folder: &Folder) -> Result<(), SandboxError> {
    let failed = |source| SandboxError::Io { operation: "write", path: folder.path().join(FILE), source };
    let mut file = supervisor.lock.file();
    file.set_len(0).map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)
}

/// Whether it is held.
pub(super) fn is_held(folder: &Folder) -> Result<bool, SandboxError> {
    // Where nobody ever held it, there is no file, and none is made.
    if !folder.has(FILE)? {
        return Ok(false);
    }
    Ok(folder.lock(FILE, FlockOperation::NonBlockingLockShared)?.is_none())
}
