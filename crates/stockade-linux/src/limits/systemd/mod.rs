//! A transient scope of the user's systemd: a control group that the manager makes, and removes when it is empty.
//!
//! The call goes over the manager's private socket, which its owner alone can open, so no bus daemon has to run.
//! `StartTransientUnit`: org.freedesktop.systemd1(5). Properties of scopes: systemd.scope(5),
//! systemd.resource-control(5).

mod connection;
mod error;
mod memory_watch;
mod message;

use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, OFlags};
use rustix::io::Errno;
use rustix::process::Pid;
use stockade_spec::plan::Resource;

use self::connection::Connection;
pub use self::error::ScopeError;
use self::memory_watch::MemoryWatch;
use self::message::{Incoming, Value};
use super::error::LimitError;
use super::hits::Hits;
use super::janitor::Janitor;
use super::settings::{Bound, Version};
use super::{kernel_file, members};

/// The serial number of the only call on a connection.
const SERIAL: u32 = 1;

/// How long dropping waits for the manager to remove the scope, in milliseconds.
const REMOVAL_MS: u64 = 500;

/// A scope with processes in it.
///
/// The manager removes a scope as soon as its last process has ended, and what the kernel counted is gone then. So a
/// process of our own stays in it until this is dropped; it ends with the supervisor too. For its sake the kernel is
/// not told to end the whole group when memory runs out: it ends one process, and the supervisor, which is told, ends
/// the others.
#[derive(Debug)]
pub struct Scope {
    keeper: Option<Janitor>,
    path: PathBuf,
    directory: OwnedFd,
    watch: Option<MemoryWatch>,
    known: Cell<Hits>,
}

impl Scope {
    /// Has the manager behind `socket` start a scope with the given bounds around `pid`, which must not have children
    /// yet, and waits until it is there.
    ///
    /// # Errors
    /// [`LimitError::Scope`]; [`LimitError::Unsupported`] for a resource that no controller bounds;
    /// [`LimitError::Threaded`]. The process may be in the scope then, and has to be ended.
    pub fn start(socket: &Path, pid: Pid, bounds: &[Bound], timeout: Duration) -> Result<Self, LimitError> {
        let unit = format!("{}.scope", super::group::unique_name());
        let keeper = Janitor::start(&[])?;
        let properties = properties(&[pid, keeper.pid()], bounds)?;
        request(socket, &unit, &properties, timeout)?;
        let path = crate::probe::group_of(pid).filter(|path| path.ends_with(&unit));
        let path = path.ok_or(ScopeError::NotMoved { unit })?;
        let directory = kernel_file::open(CWD, &path, OFlags::RDONLY | OFlags::DIRECTORY)
            .map_err(|error| LimitError::group("open", &path, error))?;
        let watch = MemoryWatch::start(&directory).map_err(|error| LimitError::group("watch", &path, error))?;
        let scope = Self { keeper: Some(keeper), path, directory, watch, known: Cell::default() };
        scope.check(bounds)?;
        Ok(scope)
    }

    /// The scope's directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which bounds were hit so far.
    ///
    /// # Errors
    /// [`LimitError::Group`].
    pub fn hits(&self) -> Result<Hits, LimitError> {
        if let Some(watch) = &self.watch {
            watch.acknowledge().map_err(|error| LimitError::group("read", self.path.join("memory.events"), error))?;
        }
        let mut hits = Hits::default();
        match hits.read(Version::V2, self.directory.as_fd()) {
            Ok(()) | Err((_, Errno::NODEV)) => {}
            Err((file, error)) => return Err(LimitError::group("read", self.path.join(file), error)),
        }
        let known = self.known.get().max(hits);
        self.known.set(known);
        Ok(known)
    }

    /// A descriptor that becomes readable when the scope's memory is at its limit; `None` when it is not bounded. Only
    /// [`Scope::hits`] tells whether that cost a process its life; asking makes the descriptor wait for the next event.
    #[must_use]
    pub fn out_of_memory_descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(MemoryWatch::descriptor)
    }

    /// Kills every member, the keeper included; what was hit is noted before.
    ///
    /// # Errors
    /// [`LimitError::Group`].
    pub fn kill(&self) -> Result<(), LimitError> {
        self.hits()?;
        members::kill(self.directory.as_fd())
            .map_err(|error| LimitError::group("kill the members of", &self.path, error))
    }

    /// Whether the kernel holds every bound: the manager sets what it can, and says nothing of controllers that it was
    /// not given.
    fn check(&self, bounds: &[Bound]) -> Result<(), LimitError> {
        for bound in bounds {
            let file = match bound.resource {
                Resource::Memory => "memory.max",
                Resource::Processes => "pids.max",
                _ => "cpu.max",
            };
            let mut buffer = [0; 64];
            let content = kernel_file::read(&self.directory, file, &mut buffer).unwrap_or(b"max");
            if kernel_file::words(content).next().is_none_or(|word| word == "max") {
                return Err(ScopeError::NotDelegated { file }.into());
            }
        }
        Ok(())
    }
}

impl Drop for Scope {
    /// Ends what is left, and gives the manager time to remove the scope, so that nothing is left when the supervisor
    /// ends.
    fn drop(&mut self) {
        // The manager ends it at the latest when it stops itself; nobody is left to be told.
        drop(self.kill());
        drop(self.keeper.take());
        for _ in 0..REMOVAL_MS {
            if !self.path.exists() {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn properties(pids: &[Pid], bounds: &[Bound]) -> Result<Vec<(&'static str, Value)>, LimitError> {
    let mut properties = vec![
        ("Description", Value::Text("Stockade sandbox".to_owned())),
        // A scope that failed would otherwise be listed until someone resets it.
        ("CollectMode", Value::Text("inactive-or-failed".to_owned())),
        ("PIDs", Value::Numbers(pids.iter().map(|pid| pid.as_raw_nonzero().get().unsigned_abs()).collect())),
    ];
    for &Bound { resource, value } in bounds {
        match resource {
            Resource::Memory => {
                properties.push(("MemoryMax", Value::Number(value)));
                properties.push(("MemorySwapMax", Value::Number(0)));
            }
            // The process that keeps the scope counts too.
            Resource::Processes => properties.push(("TasksMax", Value::Number(value.saturating_add(1)))),
            // Microseconds of processor time in a second.
            Resource::Cpu => properties.push(("CPUQuotaPerSecUSec", Value::Number(value.saturating_mul(1_000)))),
            _ => return Err(LimitError::Unsupported { resource, mechanism: "a systemd scope" }),
        }
    }
    Ok(properties)
}

/// Calls, and waits until the manager has done what it was asked for.
fn request(
    socket: &Path,
    unit: &str,
    properties: &[(&'static str, Value)],
    timeout: Duration,
) -> Result<(), ScopeError> {
    let mut connection = Connection::open(socket, timeout)?;
    connection.send(&message::start_transient_unit(SERIAL, unit, properties))?;
    let mut returned = false;
    let mut removed = None;
    // The job may be done before the call returns.
    while !returned || removed.is_none() {
        match connection.receive()? {
            Incoming::Returned { serial: SERIAL } => returned = true,
            Incoming::Failed { serial: SERIAL, name, text } => return Err(ScopeError::Refused { name, text }),
            Incoming::JobRemoved { unit: of, result } if of == unit => removed = Some(result),
            _ => {}
        }
    }
    match removed {
        Some(result) if result != "done" => Err(ScopeError::JobFailed { unit: unit.to_owned(), result }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
